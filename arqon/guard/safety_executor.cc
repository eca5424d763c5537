#include "arqon/guard/safety_executor.h"

#include <algorithm>

#include "arqon/base/assert.h"
#include "arqon/guard/internal/enabled.h"
#include "arqon/guard/internal/sweep.h"

namespace arqon::guard {

using internal::Check;
using internal::enabled;
using internal::Rule;

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
    case ViolationKind::kConstraint:
      return "constraint";
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
    case ViolationKind::kOwner:
      return "owner";
    case ViolationKind::kLane:
      return "lane";
    case ViolationKind::kCoolDown:
      return "cool_down";
    case ViolationKind::kDwell:
      return "dwell";
    case ViolationKind::kFlips:
      return "flips";
    case ViolationKind::kTravel:
      return "travel";
    case ViolationKind::kReach:
      return "reach";
  }
  return "none";
}

std::string_view to_string(Owner owner) {
  switch (owner) {
    case Owner::kAnyone:
      return "anyone";
    case Owner::kSolver:
      return "solver";
    case Owner::kReflex:
      return "reflex";
    case Owner::kPlanner:
      return "planner";
    case Owner::kHuman:
      return "human";
  }
  return "anyone";
}

Result<SafetyExecutor> SafetyExecutor::create(const Space& space, const Guardrails& guardrails) {
  const Result<internal::Rules> rules = internal::make_rules(space, guardrails);
  if (!rules) return tl::unexpected(rules.error());
  return SafetyExecutor(*rules, guardrails);
}

SafetyExecutor::SafetyExecutor(const internal::Rules& rules, const Guardrails& guardrails)
    : rules_(rules),
      history_(rules.window_ns),
      cell_(std::make_unique<ConfigCell>(rules.slots)),
      experiment_bucket_(guardrails.max_updates_per_second),
      reflex_bucket_(guardrails.reflex_updates_per_second) {}

void SafetyExecutor::advance(TimePoint now) noexcept {
  time_ = enabled(Check::kClock) ? std::max(time_, now) : now;
  if (rules_.history) history_.advance(time_);
}

// The window of the next change: bounds and reach from here.
void SafetyExecutor::move_window() noexcept {
  using namespace internal;  // NOLINT(google-build-using-namespace): pairs and their operations
  const Columns& c = rules_.columns;
  for (std::size_t i = 0; i < rules_.slots; i += 2) {
    const Pair at = load(&in_force_[i]);
    store(&window_low_[i], greater(load(&c.min[i]), at - load(&c.fall[i])));
    store(&window_high_[i], lesser(load(&c.max[i]), at + load(&c.rise[i])));
  }
  for (std::size_t p = 0; rules_.ratios && p < rules_.params; ++p) {
    const Rule& rule = rules_.rules[p];
    if (rule.ratio <= 0) continue;
    const double at = in_force_[rule.slot];
    double& low = window_low_[rule.slot];
    double& high = window_high_[rule.slot];
    low = std::max(low, at - reach_of(rule, at, false));
    high = std::min(high, at + reach_of(rule, at, true));
  }
}

void SafetyExecutor::put_in_force(std::span<const double> setting) noexcept {
  std::copy_n(setting.begin(), rules_.slots, in_force_.begin());
  move_window();
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
  proof_ = EnvelopeProof::kPartly;
  has_baseline_ = true;
  unproven_ = false;
  return {};
}

Verdict SafetyExecutor::propose(const Proposal& proposal) noexcept {
  if (proposal.lane == Lane::kRevert) return revert(proposal.now);
  advance(proposal.now);
  ++counts_.proposed;
  const Violation violation = check(proposal);
  if (violation.kind != ViolationKind::kNone) {
    ++counts_.refused;
    return {false, generation_, violation};
  }
  const bool reflex = proposal.lane == Lane::kReflex;
  (reflex ? reflex_bucket_ : experiment_bucket_).take(time_);
  if (rules_.history) history_.record(in_force_.data(), proposal.setting.data(), rules_, time_);
  put_in_force(proposal.setting);
  unproven_ = unproven_ || !reflex;
  ++counts_.applied;
  return {true, generation_, {}};
}

void SafetyExecutor::confirm(TimePoint now) noexcept {
  advance(now);
  if (!has_baseline_) return;
  confirmed_ = in_force_;
  unproven_ = false;
}

// Failures of the last hour double the pause, and enough of them call for a human.
void SafetyExecutor::count_failure() noexcept {
  constexpr Duration kHour = std::chrono::hours(1);
  failed_at_[failures_++ % kFailuresMax] = time_;
  std::uint64_t recent = 0;
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(failures_, kFailuresMax); ++i) {
    recent += static_cast<std::uint64_t>(time_.time_since_epoch().count()) -
                          static_cast<std::uint64_t>(failed_at_[i].time_since_epoch().count()) <
                      static_cast<std::uint64_t>(kHour.count())
                  ? 1U
                  : 0U;
  }
  frozen_ = frozen_ || (rules_.failures_per_hour > 0 && recent >= rules_.failures_per_hour);
  if (rules_.cool_down_ns == 0) return;
  closed_for_ = Duration(rules_.cool_down_ns);
  for (std::uint64_t i = 1; i < recent && closed_for_ < kHour; ++i) closed_for_ *= 2;
  closed_for_ = std::min<Duration>(closed_for_, std::max(kHour, Duration(rules_.cool_down_ns)));
  closed_until_ =
      time_ > TimePoint::max() - closed_for_ ? TimePoint::max() : time_ + closed_for_;
}

Verdict SafetyExecutor::revert(TimePoint now, Why why) noexcept {
  advance(now);
  if (why == Why::kFailed) count_failure();
  if (!has_baseline_) return {false, generation_, {ViolationKind::kNoBaseline, 0, 0, 0}};
  put_in_force(confirmed());
  unproven_ = false;
  ++counts_.reverted;
  return {true, generation_, {}};
}

Violation SafetyExecutor::set_envelope(std::span<const double> low,
                                       std::span<const double> high,
                                       EnvelopeProof proof) noexcept {
  for (const std::span<const double> end : {low, high}) {
    if (end.size() != rules_.slots) {
      return {ViolationKind::kWrongLength, 0, static_cast<double>(end.size()),
              static_cast<double>(rules_.slots)};
    }
    Violation violation = check_finite(end);
    if (violation.kind != ViolationKind::kNone) return violation;
    violation = check_range(end, rules_.columns.min.data(), rules_.columns.max.data());
    if (violation.kind != ViolationKind::kNone) return violation;
  }
  for (std::size_t i = 0; i < rules_.slots; ++i) {
    if (low[i] > high[i]) return violation_at(ViolationKind::kOutOfBounds, i, low[i], high[i]);
  }
  if (!has_baseline_) return {ViolationKind::kNoBaseline, 0, 0, 0};
  std::copy_n(low.begin(), rules_.slots, envelope_low_.begin());
  std::copy_n(high.begin(), rules_.slots, envelope_high_.begin());
  proof_ = proof;
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
