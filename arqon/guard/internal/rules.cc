#include "arqon/guard/internal/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace arqon::guard::internal {
namespace {

// A grid finer than this could not be told apart by the tolerance of its own check.
constexpr double kGridPointsMax = 1e9;
constexpr double kSecondsMax = 1e6;  // of a dwell, a window, a cool-down: eleven days
constexpr std::uint32_t kFlipsMax = 1000;
constexpr std::uint32_t kFailuresMax = 64;

template <typename... Args>
Status refuse(const Parameter& p, fmt::format_string<Args...> text, Args&&... args) {
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("guardrails of \"{}\": {}", p.name,
                          fmt::format(text, std::forward<Args>(args)...)));
}

// The domain as Space reads it: choices and weights have theirs by type.
struct Domain {
  double min, max;
};
Domain domain_of(const Parameter& p) {
  switch (p.type) {
    case ParamType::kFloat:
    case ParamType::kInt:
      return {p.min, p.max};
    case ParamType::kCategorical:
      return {0, static_cast<double>(p.choices.size()) - 1};
    case ParamType::kBool:
    case ParamType::kSimplex:
      return {0, 1};
  }
  return {p.min, p.max};
}

bool none_or_above(double value, double least) {
  return value == 0 || (std::isfinite(value) && value > least);
}

// The limits that may be left out.
Status check_pace(const Parameter& p, const Limits& limits) {
  const bool line = (p.type == ParamType::kFloat || p.type == ParamType::kInt) &&
                    p.scale != Scale::kPeriodic;
  if (!none_or_above(limits.max_ratio, 1)) {
    return refuse(p, "max_ratio {} must be above 1", limits.max_ratio);
  }
  if (limits.max_ratio != 0 && (!line || limits.min <= 0)) {
    return refuse(p, "max_ratio needs a number whose min is above 0");
  }
  if (!none_or_above(limits.max_rise, 0) || limits.max_rise > limits.max_delta) {
    return refuse(p, "max_rise {} must be above 0 and at most max_delta {}", limits.max_rise,
                  limits.max_delta);
  }
  if (limits.max_rise != 0 && !line) return refuse(p, "max_rise needs a number");
  const double step = p.grid_step();
  if (limits.max_rise != 0 && limits.max_rise < step * (1 - 1e-9)) {
    return refuse(p, "max_rise {} is below one step of {}", limits.max_rise, step);
  }
  if (!none_or_above(limits.travel, 0)) {
    return refuse(p, "travel {} must be above 0", limits.travel);
  }
  if (limits.travel != 0 && limits.travel < step * (1 - 1e-9)) {
    return refuse(p, "travel {} is below one step of {}: the knob could never move", limits.travel,
                  step);
  }
  if (!std::isfinite(limits.dwell_s) || limits.dwell_s < 0 || limits.dwell_s > kSecondsMax) {
    return refuse(p, "dwell_s {} must be between 0 and {}", limits.dwell_s, kSecondsMax);
  }
  if (limits.flips > kFlipsMax) return refuse(p, "flips {} must be at most {}", limits.flips,
                                              kFlipsMax);
  if (limits.protective < -1 || limits.protective > 1) {
    return refuse(p, "protective {} must be -1, 0 or 1", limits.protective);
  }
  return {};
}

Status check_limits(const Parameter& p, const Limits& limits) {
  const Domain domain = domain_of(p);
  if (!std::isfinite(limits.min) || !std::isfinite(limits.max)) {
    return refuse(p, "bounds {} and {} must be finite", limits.min, limits.max);
  }
  if (!(limits.min < limits.max)) {
    return refuse(p, "min {} must be below max {}", limits.min, limits.max);
  }
  if (limits.min < domain.min || limits.max > domain.max) {
    return refuse(p, "bounds [{}, {}] reach outside the domain [{}, {}]", limits.min, limits.max,
                  domain.min, domain.max);
  }
  if (!std::isfinite(limits.max_delta) || limits.max_delta <= 0) {
    return refuse(p, "max_delta {} must be finite and above 0", limits.max_delta);
  }
  const double step = p.grid_step();
  if (step > 0 && limits.max_delta < step * (1 - 1e-9)) {
    return refuse(p, "max_delta {} is below one step of {}: the knob could never move",
                  limits.max_delta, step);
  }
  if (step > 0 && (domain.max - domain.min) / step > kGridPointsMax) {
    return refuse(p, "more than {} grid points; use a larger step or none", kGridPointsMax);
  }
  return check_pace(p, limits);
}

Status check_simplex(const Parameter& p, const Limits& limits) {
  if (p.choices.empty()) return refuse(p, "a simplex needs at least one part");
  const auto parts = static_cast<double>(p.choices.size());
  if (limits.min * parts > 1 || limits.max * parts < 1) {
    return refuse(p, "no {} weights in [{}, {}] sum to 1", parts, limits.min, limits.max);
  }
  return {};
}

Distance distance_of(const Parameter& p) {
  if (p.type == ParamType::kSimplex) return Distance::kSimplex;
  if (p.type == ParamType::kCategorical) return Distance::kCategory;
  return p.scale == Scale::kPeriodic ? Distance::kCircle : Distance::kLine;
}

double with_room(double limit, double largest) {
  return limit * (1 + 1e-9) + 4 * std::numeric_limits<double>::epsilon() * largest;
}

Rule make_rule(const Parameter& p, const Limits& limits) {
  const Domain domain = domain_of(p);
  const double largest = std::max(std::abs(domain.min), std::abs(domain.max));
  Rule rule;
  rule.max_delta = limits.max_delta;
  rule.max_rise = limits.max_rise > 0 ? limits.max_rise : limits.max_delta;
  rule.delta_limit = with_room(rule.max_delta, largest);
  rule.rise_limit = with_room(rule.max_rise, largest);
  rule.ratio = limits.max_ratio;
  rule.step = p.grid_step();
  rule.inverse = rule.step > 0 ? 1 / rule.step : 0;
  // An integer without a step of its own counts from 0; Space does the same.
  rule.origin = p.type == ParamType::kInt && p.step <= 0 ? 0.0 : domain.min;
  rule.top = domain.max;
  rule.period = domain.max - domain.min;
  rule.travel = limits.travel;
  rule.travel_limit = with_room(limits.travel, largest);
  rule.dwell_ns = static_cast<std::uint64_t>(limits.dwell_s * 1e9);
  rule.flips = limits.flips;
  rule.slots = static_cast<std::uint16_t>(p.slots());
  rule.distance = distance_of(p);
  rule.owner = limits.owner;
  rule.protective = limits.protective;
  rule.forbidden = p.change_class == ChangeClass::kForbidden;
  rule.slow_lane =
      p.change_class == ChangeClass::kReload || p.change_class == ChangeClass::kRestart;
  return rule;
}

// Reach of the sweep: half the room that the rule leaves for rounding, so that what the sweep lets
// through the rule lets through as well.
double sweep_reach(double limit) { return limit * (1 + 5e-10); }

void fill_columns(Columns& c, std::size_t slot, const Rule& rule, const Limits& limits) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  c.min[slot] = limits.min;
  c.max[slot] = limits.max;
  const bool bound = rule.distance == Distance::kLine || rule.distance == Distance::kCircle;
  c.fall[slot] = rule.forbidden ? 0 : bound ? sweep_reach(rule.max_delta) : kInfinite;
  c.rise[slot] = rule.forbidden ? 0 : bound ? sweep_reach(rule.max_rise) : kInfinite;
  c.origin[slot] = rule.origin;
  c.step[slot] = rule.step;
  c.inverse[slot] = rule.inverse;
  c.free[slot] = rule.step > 0 ? 0 : -1;
  c.period[slot] = rule.distance == Distance::kCircle ? rule.period : kInfinite;
  c.cap[slot] = rule.distance == Distance::kCategory  ? 1
                : rule.distance == Distance::kSimplex ? 0
                                                      : kInfinite;
  const bool scalar_travel = rule.travel > 0 && rule.distance != Distance::kSimplex;
  c.travel[slot] = scalar_travel ? rule.travel_limit : kInfinite;
  c.flips[slot] = rule.flips > 0 ? -1 : 0;
}

// What stands behind an odd number of slots passes every sweep as 0.
void fill_padding(Columns& c, std::size_t slot) {
  if (slot >= kSlotsMax) return;
  c.free[slot] = -1;
  c.period[slot] = c.travel[slot] = std::numeric_limits<double>::infinity();
}

Status check_rates(const Guardrails& guardrails) {
  const auto ok = [](double rate) { return std::isfinite(rate) && rate > 0; };
  if (!ok(guardrails.max_updates_per_second)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("guardrails: max_updates_per_second {} must be finite and above 0",
                            guardrails.max_updates_per_second));
  }
  if (!ok(guardrails.reflex_updates_per_second)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("guardrails: reflex_updates_per_second {} must be finite and above 0",
                            guardrails.reflex_updates_per_second));
  }
  return {};
}

Status check_times(const Guardrails& guardrails) {
  const auto refuse_time = [](const char* name, double value, double least) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("guardrails: {} {} must be between {} and {}", name, value, least,
                            kSecondsMax));
  };
  const auto within = [](double s, double least) {
    return std::isfinite(s) && s >= least && s <= kSecondsMax;
  };
  if (!within(guardrails.window_s, 1e-6)) {
    return refuse_time("window_s", guardrails.window_s, 1e-6);
  }
  if (!within(guardrails.cool_down_s, 0)) {
    return refuse_time("cool_down_s", guardrails.cool_down_s, 0);
  }
  if (guardrails.failures_per_hour > kFailuresMax) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("guardrails: failures_per_hour {} must be at most {}",
                            guardrails.failures_per_hour, kFailuresMax));
  }
  if (!std::isfinite(guardrails.blast.share) || guardrails.blast.share < 0 ||
      guardrails.blast.share > 1) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("guardrails: the share of replicas {} that "
                                                       "may be unproven must be between 0 and 1",
                                                       guardrails.blast.share));
  }
  return {};
}

// The greatest a term can be within bounds, in absolute value.
double largest_term(const Constraint::Term& term, const Columns& c) {
  const auto largest = [&](std::uint16_t slot) {
    return std::max(std::abs(c.min[slot]), std::abs(c.max[slot]));
  };
  const double size = std::abs(term.weight) * largest(term.slot);
  return term.times == Constraint::kOne ? size : size * largest(term.times);
}

Status compile_constraint(const Constraint& from, Rules& rules) {
  const auto refuse_it = [&](std::string why) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("guardrails: constraint \"{}\": {}", from.text, why));
  };
  if (rules.constraint_count == kConstraintsMax) {
    return refuse_it(fmt::format("at most {} constraints", kConstraintsMax));
  }
  if (from.terms.empty() || from.terms.size() > kTermsMax) {
    return refuse_it(fmt::format("needs 1 to {} terms", kTermsMax));
  }
  CompiledConstraint out;
  out.size = static_cast<std::uint32_t>(from.terms.size());
  out.limit = from.limit;
  double largest = std::abs(from.limit);
  for (std::size_t i = 0; i < from.terms.size(); ++i) {
    const Constraint::Term& term = from.terms[i];
    const bool known = term.slot < rules.slots &&
                       (term.times == Constraint::kOne || term.times < rules.slots);
    if (!known) return refuse_it("names a slot that is not there");
    out.terms[i] = term;
    largest += largest_term(term, rules.columns);
  }
  if (!std::isfinite(largest)) return refuse_it("every number must be finite");
  out.room = 1e-9 * largest;
  rules.constraints[rules.constraint_count++] = out;
  return {};
}

}  // namespace

Result<Rules> make_rules(const Space& space, const Guardrails& guardrails) {
  if (guardrails.limits.size() != space.size()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("guardrails: {} limits for {} knobs; one each, in the knobs' order",
                            guardrails.limits.size(), space.size()));
  }
  if (space.size() == 0 || space.slots() > kSlotsMax) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("guardrails: the knobs take {} slots; 1 to {} can be guarded",
                            space.slots(), kSlotsMax));
  }
  if (const Status rates = check_rates(guardrails); !rates) return tl::unexpected(rates.error());
  if (const Status times = check_times(guardrails); !times) return tl::unexpected(times.error());
  Rules rules;
  rules.params = space.size();
  rules.slots = space.slots();
  for (std::size_t i = 0; i < space.size(); ++i) {
    const Limits& limits = guardrails.limits[i];
    Status status = check_limits(space[i], limits);
    if (status && space[i].type == ParamType::kSimplex) status = check_simplex(space[i], limits);
    if (!status) return tl::unexpected(status.error());
    Rule& rule = rules.rules[i] = make_rule(space[i], limits);
    rule.slot = static_cast<std::uint16_t>(space.offset(i));
    for (std::size_t slot = rule.slot; slot < rule.slot + std::size_t{rule.slots}; ++slot) {
      fill_columns(rules.columns, slot, rule, limits);
      rules.param_of[slot] = static_cast<std::uint16_t>(i);
    }
    rules.simplexes = rules.simplexes || rule.distance == Distance::kSimplex;
    rules.ratios = rules.ratios || rule.ratio > 0;
    rules.owners = rules.owners || rule.owner != Owner::kAnyone;
    rules.dwell_max_ns = std::max(rules.dwell_max_ns, static_cast<std::int64_t>(rule.dwell_ns));
    rules.history = rules.history || rule.travel > 0 || rule.flips > 0 || rule.dwell_ns > 0;
  }
  fill_padding(rules.columns, rules.slots);
  for (const Constraint& constraint : guardrails.constraints) {
    if (const Status ok = compile_constraint(constraint, rules); !ok) {
      return tl::unexpected(ok.error());
    }
  }
  rules.window_ns = static_cast<std::int64_t>(guardrails.window_s * 1e9);
  rules.cool_down_ns = static_cast<std::int64_t>(guardrails.cool_down_s * 1e9);
  rules.failures_per_hour = guardrails.failures_per_hour;
  rules.blast = guardrails.blast;
  return rules;
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

double reach_of(const Rule& rule, double from, bool up) {
  double reach = up ? rule.max_rise : rule.max_delta;
  if (rule.ratio > 0) {
    reach = std::min(reach, up ? from * (rule.ratio - 1) : from - from / rule.ratio);
  }
  return std::max(reach, rule.step);
}

}  // namespace arqon::guard::internal
