// The guard's checks, one function each, in the order of ViolationKind. They define what is
// permitted; sweep() answers the common case in one go and never says yes where they say no.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "arqon/guard/internal/enabled.h"
#include "arqon/guard/internal/sweep.h"
#include "arqon/guard/safety_executor.h"

namespace arqon::guard {
namespace {

using internal::Change;
using internal::Check;
using internal::Distance;
using internal::enabled;
using internal::PairMask;
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

double seconds_of(std::uint64_t ns) noexcept { return static_cast<double>(ns) * 1e-9; }

}  // namespace

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
    violation = check_range(setting, rules_.columns.min.data(), rules_.columns.max.data());
    if (violation.kind != ViolationKind::kNone) return violation;
  }
  violation = check_grid(setting);
  if (violation.kind != ViolationKind::kNone) return violation;
  violation = check_simplex(setting);
  if (violation.kind != ViolationKind::kNone) return violation;
  return check_constraints(setting);
}

Violation SafetyExecutor::check_constraints(std::span<const double> setting) const noexcept {
  if (!enabled(Check::kConstraint)) return {};
  for (std::size_t i = 0; i < rules_.constraint_count; ++i) {
    const internal::CompiledConstraint& c = rules_.constraints[i];
    double sum = 0;
    for (std::size_t t = 0; t < c.size; ++t) {
      const Constraint::Term& term = c.terms[t];
      const double factor = term.times == Constraint::kOne ? 1 : setting[term.times];
      sum += term.weight * setting[term.slot] * factor;
    }
    if (!(sum <= c.limit + c.room)) {
      return {ViolationKind::kConstraint, static_cast<std::uint16_t>(i), sum, c.limit};
    }
  }
  return {};
}

bool SafetyExecutor::moves(const Rule& rule, std::span<const double> setting) const noexcept {
  for (std::size_t s = rule.slot; s < rule.slot + std::size_t{rule.slots}; ++s) {
    if (setting[s] != in_force_[s]) return true;
  }
  return false;
}

// Protection may come at once, where experiments have shown the whole way to be sound.
bool SafetyExecutor::jumps(const Rule& rule, std::span<const double> setting,
                           Lane lane) const noexcept {
  if (lane != Lane::kReflex || rule.protective == 0 || rule.distance != Distance::kLine) {
    return false;
  }
  if (enabled(Check::kJump) && proof_ != EnvelopeProof::kEndsAndMiddle) return false;
  const double delta = setting[rule.slot] - in_force_[rule.slot];
  return rule.protective > 0 ? delta > 0 : delta < 0;
}

Violation SafetyExecutor::check_delta(std::span<const double> setting, Lane lane) const noexcept {
  if (!enabled(Check::kMaxDelta) || !has_baseline_) return {};
  for (std::size_t p = 0; p < rules_.params; ++p) {
    const Rule& rule = rules_.rules[p];
    const double from = in_force_[rule.slot];
    const double step = internal::distance(rule, &in_force_[rule.slot], &setting[rule.slot]);
    const bool up = rule.distance == Distance::kLine && setting[rule.slot] > from;
    double limit = up ? rule.rise_limit : rule.delta_limit;
    // The ratio has room for rounding as max_delta has, and as much of it.
    const double room = rule.delta_limit - rule.max_delta;
    if (rule.ratio > 0) limit = std::min(limit, internal::reach_of(rule, from, up) + room);
    if (step <= limit || jumps(rule, setting, lane)) continue;
    const double value = rule.distance == Distance::kSimplex ? step : setting[rule.slot];
    const double allowed = rule.distance == Distance::kLine ? internal::reach_of(rule, from, up)
                                                            : rule.max_delta;
    return violation_at(ViolationKind::kMaxDelta, rule.slot, value, allowed);
  }
  return {};
}

Violation SafetyExecutor::check_state(const Proposal& proposal) const noexcept {
  const bool reflex = proposal.lane == Lane::kReflex;
  const TokenBucket& bucket = reflex ? reflex_bucket_ : experiment_bucket_;
  if (enabled(Check::kRate) && !bucket.ready(proposal.now)) {
    return {ViolationKind::kRate, 0, to_seconds(bucket.wait(proposal.now)),
            to_seconds(bucket.period())};
  }
  if (enabled(Check::kBaseline) && !has_baseline_) return {ViolationKind::kNoBaseline, 0, 0, 0};
  if (enabled(Check::kUnproven) && unproven_ && !reflex && !proposal.continues_glide) {
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

Violation SafetyExecutor::check_owner(const Proposal& proposal) const noexcept {
  const bool reflex = proposal.lane == Lane::kReflex;
  const Owner by = proposal.by != Owner::kAnyone ? proposal.by
                   : reflex                      ? Owner::kReflex
                                                 : Owner::kSolver;
  for (std::size_t p = 0; p < rules_.params; ++p) {
    const Rule& rule = rules_.rules[p];
    const bool not_ours = rule.owner != Owner::kAnyone && rule.owner != by && by != Owner::kHuman;
    if (enabled(Check::kOwner) && not_ours && moves(rule, proposal.setting)) {
      return violation_at(ViolationKind::kOwner, rule.slot, static_cast<double>(by),
                          static_cast<double>(rule.owner));
    }
    if (enabled(Check::kLane) && reflex && rule.slow_lane && moves(rule, proposal.setting)) {
      return violation_at(ViolationKind::kLane, rule.slot, proposal.setting[rule.slot],
                          in_force_[rule.slot]);
    }
  }
  return {};
}

Violation SafetyExecutor::check_knob_history(const Rule& rule,
                                             const Proposal& proposal) const noexcept {
  const bool still = proposal.continues_glide || jumps(rule, proposal.setting, proposal.lane);
  const std::size_t end = rule.slot + std::size_t{rule.slots};
  std::uint64_t rest = std::numeric_limits<std::uint64_t>::max();
  for (std::size_t s = rule.slot; s < end; ++s) {
    rest = std::min(rest, history_.rest(s, proposal.now));
  }
  if (enabled(Check::kDwell) && !still && rest < rule.dwell_ns) {
    return violation_at(ViolationKind::kDwell, rule.slot, seconds_of(rule.dwell_ns - rest),
                        seconds_of(rule.dwell_ns));
  }
  double travelled = history_.travelled(rule.slot);
  if (rule.distance == Distance::kSimplex) {
    travelled += internal::distance(rule, &in_force_[rule.slot], &proposal.setting[rule.slot]);
  }
  for (std::size_t s = rule.slot; s < end; ++s) {
    const Change change =
        internal::change_of(rules_.columns, s, in_force_[s], proposal.setting[s]);
    if (change.delta == 0) continue;
    const bool turns = history_.turns(s, change.delta, rule.distance == Distance::kCategory);
    const auto flips = static_cast<double>(history_.flips(s) + (turns ? 1 : 0));
    if (enabled(Check::kFlips) && turns && rule.flips > 0 && flips > rule.flips) {
      return violation_at(ViolationKind::kFlips, s, flips, rule.flips);
    }
    travelled += change.length;
  }
  if (enabled(Check::kTravel) && rule.travel > 0 && travelled > rule.travel_limit) {
    return violation_at(ViolationKind::kTravel, rule.slot, travelled, rule.travel);
  }
  return {};
}

Violation SafetyExecutor::check_history(const Proposal& proposal) const noexcept {
  const bool experiment = proposal.lane == Lane::kExperiment;
  if (enabled(Check::kCoolDown) && experiment && proposal.now < closed_until_) {
    return {ViolationKind::kCoolDown, 0, to_seconds(closed_until_ - proposal.now),
            to_seconds(closed_for_)};
  }
  if (!rules_.history) return {};
  const bool rested = proposal.continues_glide || history_.all_rested(proposal.now);
  if (rested && !rules_.simplexes &&
      history_.sweep(proposal.setting.data(), in_force_.data(), rules_)) {
    return {};
  }
  for (std::size_t p = 0; p < rules_.params; ++p) {
    if (!moves(rules_.rules[p], proposal.setting)) continue;
    const Violation violation = check_knob_history(rules_.rules[p], proposal);
    if (violation.kind != ViolationKind::kNone) return violation;
  }
  return {};
}

// The experiment lane's values and steps in one go.
bool SafetyExecutor::sweep(std::span<const double> setting) const noexcept {
  if (!internal::sweeping() || setting.size() != rules_.slots || !has_baseline_) return false;
  PairMask tiny{0, 0};
  if (!internal::sweep_values(setting.data(), rules_.columns, window_low_.data(),
                              window_high_.data(), rules_.slots, tiny)) {
    return false;
  }
  if ((tiny[0] | tiny[1]) != 0 && check_finite(setting).kind != ViolationKind::kNone) return false;
  if (rules_.simplexes) {
    if (check_simplex(setting).kind != ViolationKind::kNone) return false;
    if (check_delta(setting, Lane::kExperiment).kind != ViolationKind::kNone) return false;
  }
  return rules_.constraint_count == 0 ||
         check_constraints(setting).kind == ViolationKind::kNone;
}

Violation SafetyExecutor::check_closely(const Proposal& proposal) const noexcept {
  Violation violation = check_values(proposal.setting);
  if (violation.kind != ViolationKind::kNone) return violation;
  // Values are sound from here on. The envelope is a bound too, known once there is a baseline.
  if (enabled(Check::kEnvelope) && proposal.lane == Lane::kReflex && has_baseline_) {
    violation = check_range(proposal.setting, envelope_low_.data(), envelope_high_.data());
    if (violation.kind != ViolationKind::kNone) return violation;
  }
  violation = check_delta(proposal.setting, proposal.lane);
  if (violation.kind != ViolationKind::kNone) return violation;
  violation = check_state(proposal);
  if (violation.kind != ViolationKind::kNone) return violation;
  return check_forbidden(proposal.setting);
}

Violation SafetyExecutor::check(const Proposal& proposal) const noexcept {
  Proposal p = proposal;
  p.now = enabled(Check::kClock) ? std::max(time_, proposal.now) : proposal.now;
  Violation violation = p.lane != Lane::kReflex && sweep(p.setting) ? check_state(p)
                                                                    : check_closely(p);
  if (violation.kind != ViolationKind::kNone) return violation;
  if (rules_.owners || p.lane == Lane::kReflex) {
    violation = check_owner(p);
    if (violation.kind != ViolationKind::kNone) return violation;
  }
  return check_history(p);
}

Violation SafetyExecutor::check_reach(const Reach& reach) const noexcept {
  if (!enabled(Check::kReach)) return {};
  const BlastRadius& blast = rules_.blast;
  const double share = std::floor(blast.share * static_cast<double>(reach.cohort));
  const double replicas = std::max(1.0, share);
  if (blast.share > 0 && static_cast<double>(reach.replicas) > replicas) {
    return {ViolationKind::kReach, 0, static_cast<double>(reach.replicas), replicas};
  }
  if (blast.domains > 0 && reach.domains > blast.domains) {
    return {ViolationKind::kReach, 0, static_cast<double>(reach.domains),
            static_cast<double>(blast.domains)};
  }
  const std::uint64_t wanted = std::uint64_t{reach.needed} + blast.spare;
  if (reach.needed > 0 && std::uint64_t{reach.cohort} < wanted + reach.replicas) {
    const std::uint64_t left =
        reach.cohort > reach.replicas ? reach.cohort - reach.replicas : 0;
    return {ViolationKind::kReach, 0, static_cast<double>(left), static_cast<double>(wanted)};
  }
  return {};
}

}  // namespace arqon::guard
