#include "arqon/control/meter.h"

#include "arqon/base/assert.h"

namespace arqon::control {
namespace {

ClassWindow difference(const serving::ClassCounters& from, const serving::ClassCounters& to) {
  ClassWindow w;
  w.arrived = to.arrived - from.arrived;
  w.good = to.good - from.good;
  w.bad = to.bad - from.bad;
  for (std::size_t i = 0; i < serving::kLimits; ++i) w.bad_by[i] = to.bad_by[i] - from.bad_by[i];
  w.prompt_tokens = to.prompt_tokens - from.prompt_tokens;
  w.output_tokens = to.output_tokens - from.output_tokens;
  w.good_tokens = to.good_tokens - from.good_tokens;
  const stats::Histogram ttft = to.ttft_ms.since(from.ttft_ms);
  w.ttft_ms_p50 = ttft.quantile(0.5);
  w.ttft_ms_p99 = ttft.quantile(0.99);
  w.gap_ms_p99 = to.gap_ms.since(from.gap_ms).quantile(0.99);
  const stats::Histogram tpot = to.tpot_ms.since(from.tpot_ms);
  w.tpot_ms_p50 = tpot.quantile(0.5);
  w.tpot_ms_p99 = tpot.quantile(0.99);
  return w;
}

}  // namespace

stats::Counts decided(const serving::Observation& from, const serving::Observation& to) {
  stats::Counts counts;
  for (std::size_t c = 0; c < to.classes.size(); ++c) {
    const std::uint64_t bad = to.classes[c].bad - from.classes[c].bad;
    counts += stats::Counts{to.classes[c].good - from.classes[c].good + bad, bad};
  }
  return counts;
}

WindowRecord difference(const serving::Observation& from, const serving::Observation& to) {
  ARQON_ASSERT(from.epoch == to.epoch && from.classes.size() == to.classes.size());
  WindowRecord w;
  w.t_s = to_seconds(to.at);
  w.seconds = to_seconds(to.at - from.at);
  for (std::size_t c = 0; c < to.classes.size(); ++c) {
    w.classes.push_back(difference(from.classes[c], to.classes[c]));
  }
  w.values = to.effective;
  w.paid_dollars = to.paid_dollars - from.paid_dollars;
  w.running = to.running;
  w.waiting = to.waiting;
  w.kv_use = to.kv_use;
  return w;
}

Meter::Meter(WindowSpec spec, const serving::Observation& start) : spec_(spec), start_(start) {}

std::optional<WindowRecord> Meter::take(const serving::Observation& now, const std::string& state) {
  if (now.epoch != start_.epoch) {
    start_ = now;
    state_.clear();
    return std::nullopt;
  }
  // A window that saw more than one state is named after the one that judges least.
  if (state_.empty() || state == "settling") state_ = state;
  const double seconds = to_seconds(now.at - start_.at);
  const bool full = seconds >= spec_.seconds_min && decided(start_, now).n >= spec_.requests_min;
  if (!full && seconds < spec_.seconds_max) return std::nullopt;
  return finish(now, state_);
}

std::optional<WindowRecord> Meter::finish(const serving::Observation& now,
                                          const std::string& state) {
  if (now.epoch != start_.epoch || now.at <= start_.at) return std::nullopt;
  WindowRecord w = difference(start_, now);
  w.state = state_.empty() ? state : state_;
  start_ = now;
  state_.clear();
  return w;
}

}  // namespace arqon::control
