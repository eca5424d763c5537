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
  return {};
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

Rule make_rule(const Parameter& p, const Limits& limits) {
  const Domain domain = domain_of(p);
  const double largest = std::max(std::abs(domain.min), std::abs(domain.max));
  Rule rule;
  rule.max_delta = limits.max_delta;
  rule.delta_limit =
      limits.max_delta * (1 + 1e-9) + 4 * std::numeric_limits<double>::epsilon() * largest;
  rule.step = p.grid_step();
  rule.inverse = rule.step > 0 ? 1 / rule.step : 0;
  // An integer without a step of its own counts from 0; Space does the same.
  rule.origin = p.type == ParamType::kInt && p.step <= 0 ? 0.0 : domain.min;
  rule.top = domain.max;
  rule.period = domain.max - domain.min;
  rule.slots = static_cast<std::uint16_t>(p.slots());
  rule.distance = distance_of(p);
  rule.forbidden = p.change_class == ChangeClass::kForbidden;
  return rule;
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
  Rules rules;
  rules.params = space.size();
  rules.slots = space.slots();
  for (std::size_t i = 0; i < space.size(); ++i) {
    const Limits& limits = guardrails.limits[i];
    Status status = check_limits(space[i], limits);
    if (status && space[i].type == ParamType::kSimplex) status = check_simplex(space[i], limits);
    if (!status) return tl::unexpected(status.error());
    rules.rules[i] = make_rule(space[i], limits);
    rules.rules[i].slot = static_cast<std::uint16_t>(space.offset(i));
    for (std::size_t slot = space.offset(i); slot < space.offset(i) + space[i].slots(); ++slot) {
      rules.min[slot] = limits.min;
      rules.max[slot] = limits.max;
      rules.param_of[slot] = static_cast<std::uint16_t>(i);
    }
  }
  return rules;
}

}  // namespace arqon::guard::internal
