#include "arqon/sim/kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/sim/checks.h"

namespace arqon::sim {
namespace {

constexpr Ps kRestartTick = 250 * kPsPerMs;
constexpr Ps kDrainSlice = kPsPerSecond;
constexpr Ps kDrainMost = 600 * kPsPerSecond;
constexpr double kSameValue = 1e-9;  // relative; rounding of a grid, not another value
constexpr Duration kLiveSettle = std::chrono::seconds(5);
constexpr Duration kRestartSettle = std::chrono::seconds(15);

Ps to_ps(Duration d) { return d.count() * 1000; }
double seconds(Ps t) { return static_cast<double>(t) / static_cast<double>(kPsPerSecond); }

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidConfig, std::move(message));
}

}  // namespace

Twin::Kernel::Kernel(TwinOptions options, RoutingPolicy policy, std::size_t replicas)
    : options_(std::move(options)),
      trace_(*options_.trace),
      account_(options_.classes, trace_, replicas, options_.record_requests),
      router_(policy, replicas, Rng(options_.seed).stream("router")) {
  if (!options_.fleet.router.weights.empty()) router_.set_weights(options_.fleet.router.weights);
  for (const PoolSpec& pool : options_.fleet.pools) {
    const double ps = pool.calibration.front_end_ms * static_cast<double>(kPsPerMs);
    front_end_ = std::max<Ps>(front_end_, std::llround(ps));
  }
  state_age_ = std::llround(options_.fleet.router.state_age_ms * static_cast<double>(kPsPerMs));
  for (const workload::Request& r : trace_) {
    largest_request_ = std::max(largest_request_, std::uint64_t{r.prompt_tokens} + r.output_tokens);
  }
}

Result<std::unique_ptr<Twin::Kernel>> Twin::Kernel::create(TwinOptions options) {
  if (options.trace == nullptr) options.trace = std::make_shared<const workload::Trace>();
  if (Status s = check_fleet(options.fleet); !s) return tl::unexpected<Error>(s.error());
  if (Status s = check_trace(*options.trace, options.classes.size()); !s) {
    return tl::unexpected<Error>(s.error());
  }
  Result<std::vector<KnobBinding>> bindings = bind_knobs(options.knobs, options.fleet);
  if (!bindings) return tl::unexpected<Error>(bindings.error());
  std::size_t replicas = 0;
  for (const PoolSpec& pool : options.fleet.pools) {
    replicas += static_cast<std::size_t>(pool.replicas);
  }
  const RoutingPolicy policy = *parse_policy(options.fleet.router.policy);
  std::unique_ptr<Kernel> kernel(new Kernel(std::move(options), policy, replicas));
  kernel->bindings_ = std::move(*bindings);
  for (std::size_t p = 0; p < kernel->options_.fleet.pools.size(); ++p) {
    if (Status s = kernel->build_pool(p); !s) return tl::unexpected<Error>(s.error());
  }
  kernel->fill_capabilities();
  if (kernel->options_.closed_loop_concurrency > 0) {
    for (int slot = 0; slot < kernel->options_.closed_loop_concurrency; ++slot) {
      kernel->send_next(static_cast<std::uint32_t>(slot), 0);
    }
  }
  return kernel;
}

Status Twin::Kernel::build_pool(std::size_t pool_index) {
  const PoolSpec& pool = options_.fleet.pools[pool_index];
  const ModelData* model = find_model(pool.model);
  const GpuData* gpu = find_gpu(pool.gpu);
  const auto step_time = std::make_shared<const StepTime>(
      *model, *gpu,
      StepTimeOptions{pool.tp, pool.dtype, pool.engine.async_scheduling, options_.draft_ms_base,
                      options_.draft_ms_per_k, pool.calibration});
  const EngineSettings settings = initial_settings(pool.engine, *gpu);
  if (Status s = check_settings(settings, pool.name); !s) return s;
  for (int i = 0; i < pool.replicas; ++i) {
    Seat seat{.pool = pool_index,
              .name = fmt::format("{}/{}", pool.name, i),
              .model = model,
              .gpu = gpu,
              .wanted = settings};
    Result<std::int64_t> blocks = blocks_for(seat, settings.boot);
    if (!blocks) return tl::unexpected<Error>(blocks.error());
    seat.wanted_blocks = *blocks;
    const std::size_t index = seats_.size();
    ReplicaOptions options{.step_time = step_time,
                           .settings = settings,
                           .blocks = *blocks,
                           .index = static_cast<int>(index),
                           .step_by_step = options_.step_by_step,
                           .step_log = options_.step_log};
    if (options_.closed_loop_concurrency > 0) options.finished_slots = &finished_slots_;
    seat.replica = std::make_unique<Replica>(
        std::move(options),
        Noise(Rng(options_.seed).stream("noise").stream(index), options_.fleet.noise), slab_,
        account_);
    seats_.push_back(std::move(seat));
  }
  return {};
}

Result<std::int64_t> Twin::Kernel::blocks_for(const Seat& seat, const BootSettings& boot) const {
  const PoolSpec& pool = options_.fleet.pools[seat.pool];
  const std::int64_t blocks =
      boot.kv_cache_blocks > 0
          ? boot.kv_cache_blocks
          : kv_blocks(*seat.model, *seat.gpu,
                      {pool.tp, pool.dtype, boot.gpu_memory_utilization, boot.block_size,
                       pool.calibration.other_memory_gb});
  const std::int64_t needed =
      blocks_of(static_cast<std::int64_t>(largest_request_), boot.block_size);
  if (blocks < needed) {
    return invalid(fmt::format(
        "pool \"{}\": its KV cache holds {} tokens, but one request of this workload needs {}; "
        "raise gpu_memory_utilization or tp, or give kv_cache_blocks",
        pool.name, std::max<std::int64_t>(0, blocks) * boot.block_size, largest_request_));
  }
  return blocks;
}

// ---- knobs ---------------------------------------------------------------------------------

Config Twin::Kernel::read_config(bool in_force, int replica) const {
  Config out(options_.knobs.slots());
  for (const KnobBinding& b : bindings_) {
    if (b.knob == nullptr) {
      double sum = 0;
      for (const double w : router_.weights()) sum += w;
      for (std::size_t i = 0; i < b.slots; ++i) out[b.offset + i] = router_.weights()[i] / sum;
      continue;
    }
    const std::size_t at = b.covers(replica) ? static_cast<std::size_t>(replica) : b.first_replica;
    double value = b.knob->read(seats_[at].wanted);
    // While a restart rolls, the old value holds until the last replica has it.
    for (std::size_t i = 0; in_force && b.knob->restart && i < b.replicas; ++i) {
      const Seat& seat = seats_[b.first_replica + i];
      if (b.covers(replica) && b.first_replica + i != at) continue;
      if (seat.replica->boot() == seat.wanted.boot) continue;
      value = b.knob->read({seat.wanted.live, seat.replica->boot()});
    }
    out[b.offset] = value;
  }
  return out;
}

void Twin::Kernel::fill_capabilities() {
  capabilities_.engine = "simulated vllm-v1";
  capabilities_.identity = {.engine = capabilities_.engine,
                            .model = std::string(seats_[0].model->name),
                            .hardware = std::string(seats_[0].gpu->name)};
  capabilities_.knobs = options_.knobs.parameters();
  for (std::size_t i = 0; i < bindings_.size(); ++i) {
    const bool restart = bindings_[i].knob != nullptr && bindings_[i].knob->restart;
    Parameter& parameter = capabilities_.knobs[i];
    if (restart && parameter.change_class != ChangeClass::kForbidden) {
      parameter.change_class = ChangeClass::kRestart;
    }
    const Duration roll =
        from_seconds(options_.fleet.restart_load_s) * static_cast<int>(bindings_[i].replicas);
    capabilities_.settle.push_back(restart ? kRestartSettle + roll : kLiveSettle);
  }
  capabilities_.boot = read_config(true);
  capabilities_.classes = options_.classes;
  capabilities_.replicas = static_cast<int>(seats_.size());
}

// The setting as it will stand. What is in force already may stay wherever it lies, and a value
// that differs from it by rounding is the same value: it must not cost a restart.
Result<Config> Twin::Kernel::accept(const Config& setting, const Config& present) const {
  Config accepted = present;
  Config checked = options_.knobs.default_config();
  for (std::size_t i = 0; i < options_.knobs.size(); ++i) {
    const auto first = static_cast<std::ptrdiff_t>(options_.knobs.offset(i));
    const auto slots = static_cast<std::ptrdiff_t>(options_.knobs[i].slots());
    const auto begin = setting.begin() + first;
    const auto same = [](double a, double b) {
      return std::abs(a - b) <= kSameValue * std::max(1.0, std::abs(b));
    };
    if (std::equal(begin, begin + slots, present.begin() + first, same)) continue;
    std::copy_n(begin, slots, accepted.begin() + first);
    std::copy_n(begin, slots, checked.begin() + first);
  }
  const auto outside = options_.knobs.first_violation(checked);
  if (!outside) return accepted;
  const Parameter& p = options_.knobs[*outside];
  return invalid(fmt::format("{} is not in the domain of {}: {} to {} in steps of {}",
                             setting[options_.knobs.offset(*outside)], p.name, p.min, p.max,
                             p.grid_step()));
}

Result<Config> Twin::Kernel::apply(const Config& setting, serving::Scope scope) {
  if (scope.replica < serving::Scope::kAll || scope.replica >= capabilities_.replicas) {
    return invalid(
        fmt::format("no replica {}; there are {}", scope.replica, capabilities_.replicas));
  }
  const bool one = scope.replica != serving::Scope::kAll;
  if (setting.size() != options_.knobs.slots() ||
      !std::all_of(setting.begin(), setting.end(), [](double v) { return std::isfinite(v); })) {
    return invalid(
        fmt::format("a setting of this engine has {} finite values", options_.knobs.slots()));
  }
  const Config present = read_config(false, scope.replica);
  Result<Config> taken = accept(setting, present);
  if (!taken) return taken;
  Config accepted = std::move(*taken);
  std::vector<EngineSettings> wanted;
  for (const Seat& seat : seats_) wanted.push_back(seat.wanted);
  for (std::size_t i = 0; i < bindings_.size(); ++i) {
    const KnobBinding& b = bindings_[i];
    if (capabilities_.knobs[i].change_class == ChangeClass::kForbidden ||
        (one && !b.covers(scope.replica))) {
      std::copy_n(present.begin() + static_cast<std::ptrdiff_t>(b.offset), b.slots,
                  accepted.begin() + static_cast<std::ptrdiff_t>(b.offset));
      continue;
    }
    for (std::size_t r = b.first_replica; b.knob != nullptr && r < b.first_replica + b.replicas;
         ++r) {
      if (one && r != static_cast<std::size_t>(scope.replica)) continue;
      b.knob->write(wanted[r], accepted[b.offset]);
    }
  }
  std::vector<std::int64_t> blocks;
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    if (Status s = check_settings(wanted[r], seats_[r].name); !s) {
      return tl::unexpected<Error>(s.error());
    }
    Result<std::int64_t> count = blocks_for(seats_[r], wanted[r].boot);
    if (!count) return tl::unexpected<Error>(count.error());
    blocks.push_back(*count);
  }
  // Nothing can fail from here on.
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    seats_[r].wanted = wanted[r];
    seats_[r].wanted_blocks = blocks[r];
    seats_[r].replica->set_live(wanted[r].live);
  }
  router_.balance(one ? std::optional(static_cast<std::size_t>(scope.replica)) : std::nullopt);
  for (const KnobBinding& b : bindings_) {
    if (b.knob == nullptr) router_.set_weights(std::span(accepted).subspan(b.offset, b.slots));
  }
  return accepted;
}

// ---- time ----------------------------------------------------------------------------------

void Twin::Kernel::advance_all(Ps t) {
  for (Seat& seat : seats_) seat.replica->advance_to(t);
}

void Twin::Kernel::refresh_loads(Ps at) {
  const Ps look = state_age_ > 0 ? at - at % state_age_ : at;
  if (look <= loads_at_ && state_age_ > 0) return;
  loads_at_ = look;
  advance_all(look);
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    const Replica& replica = *seats_[r].replica;
    router_.report(r, replica.running() + replica.waiting());
  }
}

std::size_t Twin::Kernel::choose(Ps at) {
  if (router_.needs_loads()) refresh_loads(at);
  const std::size_t chosen = router_.choose();
  seats_[chosen].replica->advance_to(at);
  return chosen;
}

void Twin::Kernel::dispatch(std::size_t trace_index, Ps arrival, std::uint32_t slot) {
  const Ps at = arrival + front_end_;
  const std::size_t chosen = choose(at);
  Replica& replica = *seats_[chosen].replica;
  const workload::Request& r = trace_[trace_index];
  const std::int64_t cap = replica.live().max_tokens;
  Sequence sequence;
  sequence.arrival = arrival;
  sequence.trace_index = static_cast<std::uint32_t>(trace_index);
  sequence.prompt = sequence.prefill_target = r.prompt_tokens;
  sequence.cut = cap > 0 && std::int64_t{r.output_tokens} > cap;
  sequence.output = sequence.cut ? static_cast<std::uint32_t>(cap) : r.output_tokens;
  sequence.slot = slot;
  sequence.replica = static_cast<std::uint16_t>(chosen);
  sequence.acceptance = r.acceptance;
  sequence.request_class = r.request_class;
  account_.route(sequence);
  if (!replica.refuses()) {
    replica.enqueue(slab_.add(sequence), at);
    return;
  }
  account_.reject(sequence, static_cast<int>(chosen));
  if (options_.closed_loop_concurrency > 0) finished_slots_.push_back({at, slot});
}

void Twin::Kernel::run_slice(Ps target) {
  if (options_.closed_loop_concurrency > 0) {
    run_closed(target);
  } else {
    for (; next_ < trace_.size(); ++next_) {
      const Ps arrival = to_ps(trace_[next_].arrival);
      if (arrival + front_end_ > target) break;
      dispatch(next_, arrival, 0);
    }
    // The router looks on its own grid, whether or not somebody sends or watches then.
    if (router_.needs_loads() && state_age_ > 0) refresh_loads(target);
    advance_all(target);
    account_.arrive_until(target);
  }
  now_ = target;
}

void Twin::Kernel::run_to(Ps target) {
  while (now_ < target) {
    const bool rolling = restart_ != Restart::kNone || restart_wanted();
    if (rolling) roll_restarts();
    run_slice(rolling ? std::min(target, now_ + kRestartTick) : target);
  }
}

// The front end delays every request by front_end_, so what ends inside one such slice can only
// send requests that reach a replica after it.
void Twin::Kernel::run_closed(Ps target) {
  while (now_ < target) {
    const Ps end = std::min(target, now_ + front_end_);
    while (!sent_.empty() && sent_.top().at + front_end_ <= end) {
      const Sent sent = sent_.top();
      sent_.pop();
      dispatch(sent.trace_index, sent.at, sent.slot);
    }
    if (router_.needs_loads() && state_age_ > 0) refresh_loads(end);
    advance_all(end);
    collect_finished();
    now_ = end;
  }
}

void Twin::Kernel::collect_finished() {
  // By time, then by slot: the order in which replicas were advanced must not matter.
  std::sort(finished_slots_.begin(), finished_slots_.end(),
            [](const FinishedSlot& a, const FinishedSlot& b) {
              return a.at != b.at ? a.at < b.at : a.slot < b.slot;
            });
  for (const FinishedSlot& done : finished_slots_) send_next(done.slot, done.at);
  finished_slots_.clear();
}

void Twin::Kernel::send_next(std::uint32_t slot, Ps at) {
  if (next_ >= trace_.size()) return;
  account_.arrive(next_, at);
  sent_.push({at, next_++, slot});
}

void Twin::Kernel::drain() {
  const Ps last = trace_.empty() ? 0 : to_ps(trace_.back().arrival);
  if (options_.closed_loop_concurrency == 0) run_to(std::max(now_, last));
  const Ps most = now_ + kDrainMost;
  const auto all_ended = [&] {
    return next_ >= trace_.size() && account_.ended() == trace_.size();
  };
  while (!all_ended() && now_ < most) run_to(std::min(most, now_ + kDrainSlice));
}

// ---- restarts ------------------------------------------------------------------------------

bool Twin::Kernel::restart_wanted() const {
  return std::any_of(seats_.begin(), seats_.end(),
                     [](const Seat& seat) { return !(seat.replica->boot() == seat.wanted.boot); });
}

// One replica at a time: off the router, what runs ends, its queue goes elsewhere, load, back on.
void Twin::Kernel::roll_restarts() {
  if (restart_ == Restart::kDraining && seats_[restarting_].replica->empty()) {
    loaded_at_ =
        now_ + std::llround(options_.fleet.restart_load_s * static_cast<double>(kPsPerSecond));
    restart_ = Restart::kLoading;
  }
  if (restart_ == Restart::kLoading && now_ >= loaded_at_) {
    Seat& seat = seats_[restarting_];
    seat.replica->reboot(seat.wanted.boot, seat.wanted_blocks, now_);
    seat.replica->hold(false);
    router_.set_available(restarting_, true);
    restart_ = Restart::kNone;
  }
  if (restart_ != Restart::kNone || !restart_wanted()) return;
  const auto first = std::find_if(seats_.begin(), seats_.end(), [](const Seat& seat) {
    return !(seat.replica->boot() == seat.wanted.boot);
  });
  restarting_ = static_cast<std::size_t>(first - seats_.begin());
  restart_ = Restart::kDraining;
  first->replica->hold(true);
  if (seats_.size() == 1) return;  // nowhere else to go: the queue waits
  router_.set_available(restarting_, false);
  for (const SequenceId id : first->replica->take_queue()) {
    const std::size_t chosen = choose(now_);
    slab_[id].replica = static_cast<std::uint16_t>(chosen);
    account_.route(slab_[id]);
    seats_[chosen].replica->enqueue(id, now_);
  }
}

// ---- what is known -------------------------------------------------------------------------

serving::Observation Twin::Kernel::observe(serving::Scope scope) {
  ARQON_ASSERT(scope.replica >= serving::Scope::kAll && scope.replica < capabilities_.replicas);
  const bool one = scope.replica != serving::Scope::kAll;
  serving::Observation out;
  double kv_use = 0;
  for (std::size_t r = 0; r < seats_.size(); ++r) {
    if (one && r != static_cast<std::size_t>(scope.replica)) continue;
    const Seat& seat = seats_[r];
    seat.replica->judge(now_);
    out.running += static_cast<double>(seat.replica->running());
    out.waiting += static_cast<double>(seat.replica->waiting());
    kv_use += seat.replica->kv_use();
  }
  out.at = TimePoint(Duration(now_ / 1000));
  out.kv_use = one ? kv_use : kv_use / static_cast<double>(seats_.size());
  out.classes =
      one ? account_.counters(static_cast<std::size_t>(scope.replica)) : account_.counters();
  paid_gpu_s(&out.paid_dollars);
  out.effective = read_config(true, scope.replica);
  return out;
}

serving::Health Twin::Kernel::health() const {
  if (restart_ == Restart::kNone) return serving::Health::kOk;
  return seats_.size() == 1 ? serving::Health::kDown : serving::Health::kDegraded;
}

double Twin::Kernel::paid_gpu_s(double* dollars) const {
  double gpu_s = 0;
  *dollars = 0;
  for (const PoolSpec& pool : options_.fleet.pools) {
    const double spent = seconds(now_) * pool.replicas * pool.tp;
    gpu_s += spent;
    *dollars += spent / 3600 * pool.price_per_gpu_hour;
  }
  return gpu_s;
}

Totals Twin::Kernel::totals() const {
  Totals out;
  out.simulated_s = seconds(now_);
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
    sum.decode_steps += s.decode_steps;
    sum.decode_units += s.decode_units;
    for (std::size_t i = 0; i < s.batch.size(); ++i) sum.batch[i] += s.batch[i];
    busy += seconds(s.busy);
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
