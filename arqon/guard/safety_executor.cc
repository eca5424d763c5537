#include "arqon/guard/safety_executor.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/guard/internal/enabled.h"

namespace arqon::guard {
namespace {

using internal::Check;
using internal::Distance;
using internal::enabled;
using internal::Rule;

constexpr double kGridTolerance = 1e-9;
constexpr double kSimplexTolerance = 1e-6;

// +0 or a normal number.
bool ordinary(double value) noexcept {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const std::uint64_t exponent = (bits >> 52) & 0x7ff;
  return bits == 0 || (exponent != 0 && exponent != 0x7ff);
}

// Same rule as Space::contains; bounded by construction, so the conversion cannot overflow.
bool on_grid(const Rule& rule, double value) noexcept {
  const double offset = value - rule.origin;
  const double half = offset < 0 ? -0.5 : 0.5;
  const auto nearest = static_cast<double>(static_cast<std::int64_t>(offset * rule.inverse + half));
  // Nearly every value is exact, and a division costs as much as all the rest.
  if (nearest * rule.step == offset || value == rule.top) return true;
  const double steps = offset / rule.step;
  return std::abs(steps - nearest) <= kGridTolerance * std::max(1.0, std::abs(steps));
}

double distance(const Rule& rule, const double* from, const double* to) noexcept {
  switch (rule.distance) {
    case Distance::kLine:
      return std::abs(*to - *from);
    case Distance::kCircle: {
      const double way = std::abs(*to - *from);
      return std::min(way, rule.period - way);
    }
    case Distance::kCategory:
      return *to == *from ? 0 : 1;
    case Distance::kSimplex: {
      double sum = 0;
      for (std::size_t i = 0; i < rule.slots; ++i) sum += std::abs(to[i] - from[i]);
      return 0.5 * sum;
    }
  }
  return 0;
}

}  // namespace

std::string_view to_string(ViolationKind kind) {
  switch (kind) {
    case ViolationKind::kNone:
      return "none";
    case ViolationKind::kWrongLength:
      return "wrong_length";
    case ViolationKind::kNotFinite:
      return "not_finite";
    case ViolationKind::kOutOfBounds:
      return "out_of_bounds";
    case ViolationKind::kOffGrid:
      return "off_grid";
    case ViolationKind::kNotSimplex:
      return "not_simplex";
    case ViolationKind::kMaxDelta:
      return "max_delta";
    case ViolationKind::kRate:
      return "rate";
    case ViolationKind::kNoBaseline:
      return "no_baseline";
    case ViolationKind::kUnprovenPending:
      return "unproven_pending";
    case ViolationKind::kSafeMode:
      return "safe_mode";
    case ViolationKind::kFrozen:
      return "frozen";
    case ViolationKind::kForbidden:
      return "forbidden";
  }
  return "none";
}

Result<SafetyExecutor> SafetyExecutor::create(const Space& space, const Guardrails& guardrails) {
  const Result<internal::Rules> rules = internal::make_rules(space, guardrails);
  if (!rules) return tl::unexpected(rules.error());
  return SafetyExecutor(*rules, guardrails);
}

SafetyExecutor::SafetyExecutor(const internal::Rules& rules, const Guardrails& guardrails)
    : rules_(rules),
      cell_(std::make_unique<ConfigCell>(rules.slots)),
      experiment_bucket_(guardrails.max_updates_per_second),
      reflex_bucket_(guardrails.reflex_updates_per_second) {}

Violation SafetyExecutor::violation_at(ViolationKind kind, std::size_t slot, double value,
                                       double limit) const noexcept {
  return {kind, rules_.param_of[slot], value, limit};
}

Violation SafetyExecutor::check_finite(std::span<const double> setting) const noexcept {
  if (!enabled(Check::kFinite)) return {};
  for (std::size_t i = 0; i < rules_.slots; ++i) {
    if (!ordinary(setting[i])) return violation_at(ViolationKind::kNotFinite, i, setting[i], 0);
  }
  return {};
}

Violation SafetyExecutor::check_range(std::span<const double> setting, const double* low,
                                      const double* high) const noexcept {
  for (std::size_t i = 0; i < rules_.slots; ++i) {
    // Written so that a NaN fails too, were one ever to come this far.
    if (!(setting[i] >= low[i])) {
      return violation_at(ViolationKind::kOutOfBounds, i, setting[i], low[i]);
    }
    if (!(setting[i] <= high[i])) {
      return violation_at(ViolationKind::kOutOfBounds, i, setting[i], high[i]);
    }
  }
  return {};
}

Violation SafetyExecutor::check_grid(std::span<const double> setting) const noexcept {
  if (!enabled(Check::kGrid)) return {};
  for (std::size_t p = 0; p < rules_.params; ++p) {
    const Rule& rule = rules_.rules[p];
    if (rule.step > 0 && !on_grid(rule, setting[rule.slot])) {
      return violation_at(ViolationKind::kOffGrid, rule.slot, setting[rule.slot], rule.step);
    }
  }
  return {};
}

Violation SafetyExecutor::check_simplex(std::span<const double> setting) const noexcept {
  if (!enabled(Check::kSimplex)) return {};
  for (std::size_t p = 0; p < rules_.params; ++p) {
    const Rule& rule = rules_.rules[p];
    if (rule.distance != Distance::kSimplex) continue;
    double sum = 0;
    for (std::size_t i = 0; i < rule.slots; ++i) sum += setting[rule.slot + i];
    if (std::abs(sum - 1) > kSimplexTolerance) {
      return violation_at(ViolationKind::kNotSimplex, rule.slot, sum, 1);
    }
  }
  return {};
}

Violation SafetyExecutor::check_values(std::span<const double> setting) const noexcept {
  if (enabled(Check::kLength) && setting.size() != rules_.slots) {
    return {ViolationKind::kWrongLength, 0, static_cast<double>(setting.size()),
            static_cast<double>(rules_.slots)};
  }
  Violation violation = check_finite(setting);
  if (violation.kind != ViolationKind::kNone) return violation;
  if (enabled(Check::kBounds)) {
    violation = check_range(setting, rules_.min.data(), rules_.max.data());
    if (violation.kind != ViolationKind::kNone) return violation;
  }
  violation = check_grid(setting);
  if (violation.kind != ViolationKind::kNone) return violation;
  return check_simplex(setting);
}

Violation SafetyExecutor::check_delta(std::span<const double> setting) const noexcept {
  if (!enabled(Check::kMaxDelta) || !has_baseline_) return {};
  for (std::size_t p = 0; p < rules_.params; ++p) {
    const Rule& rule = rules_.rules[p];
    const double step = distance(rule, &in_force_[rule.slot], &setting[rule.slot]);
    if (step <= rule.delta_limit) continue;
    const double value = rule.distance == Distance::kSimplex ? step : setting[rule.slot];
    return violation_at(ViolationKind::kMaxDelta, rule.slot, value, rule.max_delta);
  }
  return {};
}

Violation SafetyExecutor::check_state(Lane lane, bool continues_glide) const noexcept {
  const TokenBucket& bucket = lane == Lane::kReflex ? reflex_bucket_ : experiment_bucket_;
  if (enabled(Check::kRate) && !bucket.ready(time_)) {
    return {ViolationKind::kRate, 0, to_seconds(bucket.wait(time_)), to_seconds(bucket.period())};
  }
  if (enabled(Check::kBaseline) && !has_baseline_) return {ViolationKind::kNoBaseline, 0, 0, 0};
  if (enabled(Check::kUnproven) && unproven_ && lane == Lane::kExperiment && !continues_glide) {
    return {ViolationKind::kUnprovenPending, 0, 0, 0};
  }
  if (enabled(Check::kSafeMode) && safe_mode_) return {ViolationKind::kSafeMode, 0, 0, 0};
  if (enabled(Check::kFrozen) && frozen_) return {ViolationKind::kFrozen, 0, 0, 0};
  return {};
}

Violation SafetyExecutor::check_forbidden(std::span<const double> setting) const noexcept {
  if (!enabled(Check::kForbidden)) return {};
  for (std::size_t i = 0; i < rules_.slots; ++i) {
    if (rules_.rules[rules_.param_of[i]].forbidden && setting[i] != in_force_[i]) {
      return violation_at(ViolationKind::kForbidden, i, setting[i], in_force_[i]);
    }
  }
  return {};
}

Violation SafetyExecutor::check(std::span<const double> setting, Lane lane,
                                bool continues_glide) const noexcept {
  Violation violation = check_values(setting);
  if (violation.kind != ViolationKind::kNone) return violation;
  // Values are sound from here on. The envelope is a bound too, known once there is a baseline.
  if (enabled(Check::kEnvelope) && lane == Lane::kReflex && has_baseline_) {
    violation = check_range(setting, envelope_low_.data(), envelope_high_.data());
    if (violation.kind != ViolationKind::kNone) return violation;
  }
  violation = check_delta(setting);
  if (violation.kind != ViolationKind::kNone) return violation;
  violation = check_state(lane, continues_glide);
  if (violation.kind != ViolationKind::kNone) return violation;
  return check_forbidden(setting);
}

void SafetyExecutor::advance(TimePoint now) noexcept {
  time_ = enabled(Check::kClock) ? std::max(time_, now) : now;
}

void SafetyExecutor::put_in_force(std::span<const double> setting) noexcept {
  std::copy_n(setting.begin(), rules_.slots, in_force_.begin());
  const std::uint64_t before = generation_;
  generation_ = cell_->publish({in_force_.data(), rules_.slots}, time_);
  ARQON_ASSERT(generation_ == before + 1);
}

Violation SafetyExecutor::set_baseline(std::span<const double> setting, TimePoint now) noexcept {
  advance(now);
  const Violation violation = check_values(setting);
  if (violation.kind != ViolationKind::kNone) return violation;
  if (has_baseline_ && enabled(Check::kSafeMode) && safe_mode_) {
    return {ViolationKind::kSafeMode, 0, 0, 0};
  }
  if (has_baseline_ && enabled(Check::kFrozen) && frozen_) return {ViolationKind::kFrozen, 0, 0, 0};
  put_in_force(setting);
  confirmed_ = in_force_;
  envelope_low_ = in_force_;
  envelope_high_ = in_force_;
  has_baseline_ = true;
  unproven_ = false;
  return {};
}

Verdict SafetyExecutor::propose(std::span<const double> setting, Lane lane, TimePoint now,
                                bool continues_glide) noexcept {
  if (lane == Lane::kRevert) return revert(now);
  advance(now);
  ++counts_.proposed;
  const Violation violation = check(setting, lane, continues_glide);
  if (violation.kind != ViolationKind::kNone) {
    ++counts_.refused;
    return {false, generation_, violation};
  }
  (lane == Lane::kReflex ? reflex_bucket_ : experiment_bucket_).take(time_);
  put_in_force(setting);
  unproven_ = unproven_ || lane == Lane::kExperiment;
  ++counts_.applied;
  return {true, generation_, {}};
}

void SafetyExecutor::confirm(TimePoint now) noexcept {
  advance(now);
  if (!has_baseline_) return;
  confirmed_ = in_force_;
  unproven_ = false;
}

Verdict SafetyExecutor::revert(TimePoint now) noexcept {
  advance(now);
  if (!has_baseline_) return {false, generation_, {ViolationKind::kNoBaseline, 0, 0, 0}};
  put_in_force(confirmed());
  unproven_ = false;
  ++counts_.reverted;
  return {true, generation_, {}};
}

Violation SafetyExecutor::set_envelope(std::span<const double> low,
                                       std::span<const double> high) noexcept {
  for (const std::span<const double> end : {low, high}) {
    if (end.size() != rules_.slots) {
      return {ViolationKind::kWrongLength, 0, static_cast<double>(end.size()),
              static_cast<double>(rules_.slots)};
    }
    Violation violation = check_finite(end);
    if (violation.kind != ViolationKind::kNone) return violation;
    violation = check_range(end, rules_.min.data(), rules_.max.data());
    if (violation.kind != ViolationKind::kNone) return violation;
  }
  for (std::size_t i = 0; i < rules_.slots; ++i) {
    if (low[i] > high[i]) return violation_at(ViolationKind::kOutOfBounds, i, low[i], high[i]);
  }
  if (!has_baseline_) return {ViolationKind::kNoBaseline, 0, 0, 0};
  std::copy_n(low.begin(), rules_.slots, envelope_low_.begin());
  std::copy_n(high.begin(), rules_.slots, envelope_high_.begin());
  return {};
}

std::span<const double> SafetyExecutor::in_force() const noexcept {
  return {in_force_.data(), generation_ > 0 ? rules_.slots : 0};
}

std::span<const double> SafetyExecutor::confirmed() const noexcept {
  return {confirmed_.data(), has_baseline_ ? rules_.slots : 0};
}

const ConfigCell& SafetyExecutor::cell() const noexcept { return *cell_; }

TimePoint SafetyExecutor::next_allowed(Lane lane, TimePoint now) const noexcept {
  if (lane == Lane::kRevert) return now;
  const TokenBucket& bucket = lane == Lane::kReflex ? reflex_bucket_ : experiment_bucket_;
  const TimePoint latest = std::max(time_, now);
  const Duration wait = bucket.wait(latest);
  if (wait == Duration(0)) return now;
  // Far ends of the axis stay ends: no wait wraps round.
  return wait > TimePoint::max() - latest ? TimePoint::max() : latest + wait;
}

}  // namespace arqon::guard
