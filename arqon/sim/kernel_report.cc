// What is known of a run: observations while it goes on, totals when it is over.
#include <algorithm>

#include "arqon/base/assert.h"
#include "arqon/sim/kernel.h"
#include "arqon/sim/kernel_times.h"

namespace arqon::sim {

serving::Observation Twin::Kernel::observe(serving::Scope scope) {
  ARQON_ASSERT(scope.replica >= serving::Scope::kAll && scope.replica < capabilities_.replicas);
  if (capabilities_.replicas == 1) scope.replica = serving::Scope::kAll;
  const bool one = scope.replica != serving::Scope::kAll;
  for (const Due& due : due_.items()) account_.judge_waiting(slab_[due.id], now_);
  // Everything sent has ended or is somewhere inside.
  account_.check();
  ARQON_ASSERT(next_ == account_.ended() + slab_.live());
  serving::Observation out;
  double kv_use = 0, up = 0;
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    if (one && r != static_cast<std::size_t>(scope.replica)) continue;
    const Seat& seat = seats_[r];
    seat.replica->judge(now_);
    out.running += static_cast<double>(seat.replica->running());
    out.waiting += static_cast<double>(seat.replica->waiting());
    kv_use += seat.replica->kv_use();
    up += seat.phase == Phase::kOff ? 0 : 1;
  }
  out.at = TimePoint(Duration(now_ / 1000));
  out.kv_use = kv_use / std::max(1.0, up);
  out.classes =
      one ? account_.counters(static_cast<std::size_t>(scope.replica)) : account_.counters();
  paid_gpu_s(&out.paid_dollars);
  out.effective = read_config(true, scope.replica);
  return out;
}

serving::Health Twin::Kernel::health() const {
  bool faulty = false, serving = false;
  for (const Seat& seat : seats_) {
    faulty = faulty || seat.restarts || seat.phase == Phase::kFailed;
    serving = serving || seat.phase == Phase::kUp;
  }
  if (!serving) return serving::Health::kDown;
  return faulty ? serving::Health::kDegraded : serving::Health::kOk;
}

Totals Twin::Kernel::totals() const {
  Totals out;
  out.simulated_s = seconds_of(now_);
  account_.fill(out, out.simulated_s);
  out.paid_gpu_s = paid_gpu_s(&out.paid_dollars);
  if (out.good_tokens > 0) {
    out.dollars_per_million_good_tokens =
        out.paid_dollars / static_cast<double>(out.good_tokens) * 1e6;
  }
  ReplicaStats sum;
  double busy = 0;
  for (const Seat& seat : seats_) {
    const ReplicaStats& s = seat.replica->stats();
    const double capacity = static_cast<double>(seat.replica->blocks()) *
                            static_cast<double>(seat.replica->boot().block_size) *
                            double{kContextUnit};
    sum.steps += s.steps;
    sum.preemptions += s.preemptions;
    sum.recomputed_tokens += s.recomputed_tokens;
    sum.prompt_tokens += s.prompt_tokens;
    sum.cached_tokens += s.cached_tokens;
    sum.decode_steps += s.decode_steps;
    sum.decode_units += s.decode_units;
    for (std::size_t i = 0; i < s.batch.size(); ++i) sum.batch[i] += s.batch[i];
    busy += seconds_of(s.busy);
    if (now_ > 0) {
      out.kv_use_mean +=
          static_cast<double>(s.context_time) / (capacity * static_cast<double>(now_));
    }
    out.kv_use_max =
        std::max(out.kv_use_max, std::min(1.0, static_cast<double>(s.context_max) / capacity));
  }
  const auto replicas = static_cast<double>(seats_.size());
  out.kv_use_mean = std::min(1.0, out.kv_use_mean / replicas);
  out.busy_fraction = now_ > 0 ? std::min(1.0, busy / (replicas * out.simulated_s)) : 0;
  out.steps = sum.steps;
  out.preemptions = sum.preemptions;
  out.recomputed_tokens = sum.recomputed_tokens;
  if (sum.prompt_tokens > 0) {
    out.prefix_hit_rate =
        static_cast<double>(sum.cached_tokens) / static_cast<double>(sum.prompt_tokens);
  }
  if (sum.decode_steps > 0) {
    out.tokens_per_step = static_cast<double>(sum.decode_units) /
                          (double{kContextUnit} * static_cast<double>(sum.decode_steps));
  }
  const auto last = std::find_if(sum.batch.rbegin(), sum.batch.rend(),
                                 [](std::uint64_t count) { return count > 0; });
  out.batch_histogram.assign(sum.batch.begin(), last.base());
  return out;
}

}  // namespace arqon::sim
