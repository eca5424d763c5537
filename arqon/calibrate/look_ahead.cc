#include "arqon/calibrate/look_ahead.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "arqon/base/rng.h"
#include "arqon/sim/twin.h"

namespace arqon::calibrate {
namespace {

constexpr double kSampleS = 1;        // gauges are looked at so often
constexpr double kArrivalsMax = 1e6;  // of one horizon: a typing error must not fill the memory
constexpr double kExtraWaitingMax = 1e5;

Result<std::unique_ptr<sim::Twin>> twin_at(const Deployment& deployment, workload::Trace trace,
                                           double now_s) {
  sim::TwinOptions options;
  options.fleet = deployment.fleet;
  options.fleet.noise = false;
  options.classes = deployment.classes;
  options.knobs = deployment.knobs;
  options.draft_ms_base = deployment.draft_ms_base;
  options.draft_ms_per_k = deployment.draft_ms_per_k;
  options.trace = std::make_shared<const workload::Trace>(std::move(trace));
  auto twin = sim::Twin::create(std::move(options));
  if (!twin) return twin;
  if (!deployment.setting.empty()) {
    if (auto applied = (*twin)->apply(deployment.setting); !applied) {
      return tl::unexpected<Error>(applied.error());
    }
  }
  (*twin)->wait_until(time_at(now_s));
  return twin;
}

// From the twin's present to `until_s`.
serving::Forecast watch(sim::Twin& twin, double until_s) {
  serving::Forecast out;
  const serving::Observation before = twin.observe();
  const double begin = to_seconds(before.at);
  serving::Observation last = before;
  double samples = 0;
  for (double t = begin; t < until_s;) {
    t = std::min(until_s, t + kSampleS);
    twin.wait_until(time_at(t));
    last = twin.observe();
    out.running += last.running;
    out.waiting += last.waiting;
    out.kv_use += last.kv_use;
    ++samples;
  }
  out.horizon_s = until_s - begin;
  for (double* gauge : {&out.running, &out.waiting, &out.kv_use}) {
    *gauge /= std::max(1.0, samples);
  }
  stats::Histogram tpot, ttft;
  std::uint64_t tokens = 0;
  for (std::size_t c = 0; c < last.classes.size(); ++c) {
    const serving::ClassCounters& then = before.classes[c];
    const serving::ClassCounters& now = last.classes[c];
    tpot += now.tpot_ms.since(then.tpot_ms);
    ttft += now.ttft_ms.since(then.ttft_ms);
    tokens += now.output_tokens - then.output_tokens;
    const auto good = static_cast<double>(now.good - then.good);
    const double known = good + static_cast<double>(now.bad - then.bad);
    out.good_share.push_back(known > 0 ? good / known : 1);
  }
  out.tpot_ms_p50 = tpot.quantile(0.5);
  out.ttft_ms_p50 = ttft.quantile(0.5);
  out.ttft_ms_p90 = ttft.quantile(0.9);
  out.output_tokens_per_s = static_cast<double>(tokens) / std::max(1e-9, out.horizon_s);
  return out;
}

workload::Request drawn(const workload::Trace& recent, Rng& rng, double at_s) {
  workload::Request request = recent[rng.below(recent.size())];
  request.arrival = from_seconds(at_s);
  return request;
}

}  // namespace

Result<serving::Forecast> look_ahead(const Deployment& deployment, const Situation& situation,
                                     double horizon_s, std::uint64_t seed) {
  const workload::Trace& recent = situation.recent;
  const double rate = static_cast<double>(recent.size()) / situation.seconds;
  if (recent.empty() || !(situation.seconds > 0) || !(horizon_s > 0) ||
      rate * horizon_s > kArrivalsMax) {
    return fail(ErrorCode::kInvalidConfig,
                "a look ahead needs recent requests, a horizon above 0 and at most a million "
                "arrivals in it");
  }
  const double now = situation.seconds;
  workload::Trace trace = recent;
  Rng extra = Rng(seed).stream("waiting");
  if (situation.waiting > 0) {
    auto present = twin_at(deployment, recent, now);
    if (!present) return tl::unexpected<Error>(present.error());
    const double missing =
        std::min(kExtraWaitingMax, situation.waiting - (*present)->observe().waiting);
    for (double i = 1; i <= missing; ++i) trace.push_back(drawn(recent, extra, now));
  }
  Rng arrivals = Rng(seed).stream("arrivals"), lengths = Rng(seed).stream("lengths");
  for (double t = now + arrivals.exponential() / rate; t < now + horizon_s;
       t += arrivals.exponential() / rate) {
    trace.push_back(drawn(recent, lengths, t));
  }
  auto twin = twin_at(deployment, std::move(trace), now);
  if (!twin) return tl::unexpected<Error>(twin.error());
  return watch(**twin, now + horizon_s);
}

Result<serving::Forecast> hindcast(const Deployment& deployment, const Situation& situation,
                                   double window_s) {
  if (!(window_s > 0) || !(window_s <= situation.seconds)) {
    return fail(ErrorCode::kInvalidConfig, "the window must lie within what was seen");
  }
  auto twin = twin_at(deployment, situation.recent, situation.seconds - window_s);
  if (!twin) return tl::unexpected<Error>(twin.error());
  return watch(**twin, situation.seconds);
}

}  // namespace arqon::calibrate
