#include "arqon/guard/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "arqon/base/assert.h"
#include "arqon/guard/internal/rules.h"

namespace arqon::guard {
namespace {

std::string seconds(double s) {
  if (s < 120) return fmt::format("{:.3g} s", s);
  if (s < 7200) return fmt::format("{:.3g} min", s / 60);
  return fmt::format("{:.3g} h", s / 3600);
}

std::string number_of_changes(std::uint64_t n) {
  return n == 1 ? "1 change" : fmt::format("{} changes", n);
}

std::string lane(std::string_view name, double rate) {
  return fmt::format("{}: at most one change every {}, {:.4g} a minute, {:.4g} an hour", name,
                     seconds(1 / rate), 60 * rate, 3600 * rate);
}

// The largest step that also lands on the grid; upwards, where that is the smaller one.
double largest_step(const Parameter& p, const Limits& limits) {
  const double step = p.grid_step();
  if (step <= 0) return limits.max_delta;
  return std::max(1.0, std::floor(limits.max_delta / step * (1 + 1e-9))) * step;
}

// What else a knob may and may not, as clauses.
std::string more(const Parameter& p, const Limits& limits, double window_s) {
  std::string out;
  const std::string unit = p.unit.empty() ? "" : " " + p.unit;
  const auto say = [&](std::string clause) { out += "; " + std::move(clause); };
  if (limits.max_rise > 0) say(fmt::format("up at most {}{} per change", limits.max_rise, unit));
  if (limits.max_ratio > 0) say(fmt::format("by a factor of {} at most", limits.max_ratio));
  if (limits.travel > 0) {
    say(fmt::format("travels at most {:.6g}{} in any {}", limits.travel, unit, seconds(window_s)));
  }
  if (limits.flips > 0) {
    say(fmt::format("turns round at most {} times in any {}", limits.flips, seconds(window_s)));
  }
  if (limits.dwell_s > 0) say(fmt::format("rests {} between changes", seconds(limits.dwell_s)));
  if (limits.protective != 0) {
    say(fmt::format("the reflex may jump {} inside a proven envelope",
                    limits.protective > 0 ? "up" : "down"));
  }
  if (limits.owner != Owner::kAnyone) {
    say(fmt::format("moved by the {} alone", to_string(limits.owner)));
  }
  return out;
}

std::string knob(const Parameter& p, const Limits& limits, double rate) {
  if (p.change_class == ChangeClass::kForbidden) return fmt::format("{}: never changed", p.name);
  const std::uint64_t changes = changes_across(p, limits);
  const std::string unit = p.unit.empty() ? "" : " " + p.unit;
  // The first change needs no wait.
  const std::string way = fmt::format("{}, {} at the least", number_of_changes(changes),
                                      seconds(static_cast<double>(changes - 1) / rate));
  switch (p.type) {
    case ParamType::kCategorical:
    case ParamType::kBool:
      return fmt::format("{}: any of its choices in one change", p.name);
    case ParamType::kSimplex:
      return fmt::format(
          "{}: each weight {} to {}; at most {} of the total weight per change; all of it in {}",
          p.name, limits.min, limits.max, limits.max_delta, way);
    case ParamType::kFloat:
    case ParamType::kInt:
      break;
  }
  const std::string grid =
      p.grid_step() > 0 ? fmt::format(" in steps of {}", p.grid_step()) : std::string();
  return fmt::format("{}: {} to {}{}{}; at most {}{} per change; across in {}", p.name, limits.min,
                     limits.max, unit, grid, largest_step(p, limits), unit, way);
}

std::vector<std::string> about_failures(const Guardrails& g) {
  std::vector<std::string> out;
  if (g.cool_down_s > 0) {
    out.push_back(fmt::format("after an experiment that failed: none for {}, twice as long with "
                              "every further one within an hour",
                              seconds(g.cool_down_s)));
  }
  if (g.failures_per_hour > 0) {
    out.push_back(fmt::format("frozen by the {}. failure within an hour, until a person ends it",
                              g.failures_per_hour));
  }
  std::string reach;
  if (g.blast.share > 0) {
    reach += fmt::format("; one replica or {:.3g} % of them", 100 * g.blast.share);
  }
  if (g.blast.domains > 0) reach += fmt::format("; {} failure domain(s)", g.blast.domains);
  if (g.blast.spare > 0) {
    reach += fmt::format("; {} replica(s) to spare without them", g.blast.spare);
  }
  if (!reach.empty()) out.push_back("unproven settings reach at most: " + reach.substr(2));
  return out;
}

}  // namespace

std::uint64_t changes_across(const Parameter& p, const Limits& limits) {
  if (p.type == ParamType::kCategorical || p.type == ParamType::kBool) return 1;
  double range = limits.max - limits.min;
  if (p.scale == Scale::kPeriodic) range = std::min(range, 0.5 * (p.max - p.min));
  const double changes = std::ceil(range / largest_step(p, limits) * (1 - 1e-9));
  return static_cast<std::uint64_t>(std::clamp(changes, 1.0, 1e15));
}

std::vector<std::string> explain(const Space& space, const Guardrails& guardrails) {
  ARQON_ASSERT(guardrails.limits.size() == space.size());
  std::vector<std::string> lines = {
      lane("experiments", guardrails.max_updates_per_second),
      lane("reflex moves", guardrails.reflex_updates_per_second),
  };
  for (std::size_t i = 0; i < space.size(); ++i) {
    const Limits& limits = guardrails.limits[i];
    std::string line = knob(space[i], limits, guardrails.max_updates_per_second);
    if (space[i].change_class != ChangeClass::kForbidden) {
      line += more(space[i], limits, guardrails.window_s);
    }
    lines.push_back(std::move(line));
  }
  for (std::string& line : about_failures(guardrails)) lines.push_back(std::move(line));
  for (const Constraint& c : guardrails.constraints) {
    lines.push_back(fmt::format("always: {}", c.text));
  }
  return lines;
}

namespace {

// How a knob gets from one value to another by itself.
struct Way {
  std::uint64_t changes = 0;
  double length = 0;   // as travel counts it
  bool stuck = false;  // a change of class forbidden
};

Way way_of(const Space& space, std::size_t i, const internal::Rules& rules,
           std::span<const double> from, std::span<const double> to) {
  const internal::Rule& rule = rules.rules[i];
  const double* a = &from[rule.slot];
  const double* b = &to[rule.slot];
  Way out{.changes = 0, .length = internal::distance(rule, a, b)};
  if (out.length == 0) return out;
  out.stuck = rule.forbidden;
  if (rule.distance != internal::Distance::kLine) {
    const double step = rule.distance == internal::Distance::kCategory ? 1 : rule.max_delta;
    out.changes = static_cast<std::uint64_t>(
        std::clamp(std::ceil(out.length / step * (1 - 1e-9)), 1.0, 1e9));
    return out;
  }
  const double grid = space[i].grid_step();
  constexpr std::uint64_t kChangesMax = 1'000'000;
  for (double at = *a; out.changes < kChangesMax; ++out.changes) {
    const bool up = *b > at;
    const double left = up ? *b - at : at - *b;
    if (left <= 1e-9 * std::max(1.0, std::abs(*b))) break;
    double step = internal::reach_of(rule, at, up) * (1 + 1e-9);
    if (grid > 0 && step < left) step = std::max(1.0, std::floor(step / grid)) * grid;
    at += up ? std::min(step, left) : -std::min(step, left);
  }
  return out;
}

// Least time of a way that travels `length` when any window holds at most `travel`.
double travel_seconds(double length, double travel, double window_s) {
  if (travel <= 0 || length <= travel) return 0;
  return std::ceil(length / travel * (1 - 1e-9) - 1) * window_s;
}

}  // namespace

Result<Journey> journey(const Space& space, const Guardrails& guardrails,
                        std::span<const double> from, std::span<const double> to) {
  const auto rules = internal::make_rules(space, guardrails);
  if (!rules) return tl::unexpected(rules.error());
  for (const auto& setting : {from, to}) {
    if (const auto bad = space.first_violation(setting)) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("\"{}\": no value of its domain", space[*bad].name));
    }
  }
  Journey out;
  for (std::size_t i = 0; i < space.size(); ++i) {
    const Way way = way_of(space, i, *rules, from, to);
    if (way.stuck) return Journey{false, 0, 0, space[i].name + ": never changed"};
    const Limits& limits = guardrails.limits[i];
    const double changes_s = way.changes == 0 ? 0
                                              : static_cast<double>(way.changes - 1) /
                                                    guardrails.max_updates_per_second;
    const double travel_s = travel_seconds(way.length, limits.travel, guardrails.window_s);
    out.changes = std::max(out.changes, way.changes);
    if (std::max(changes_s, travel_s) <= out.seconds) continue;
    out.seconds = std::max(changes_s, travel_s);
    out.held_up_by = fmt::format("{} of {}", travel_s > changes_s ? "travel" : "max_delta and rate",
                                 space[i].name);
  }
  return out;
}

std::string describe(const Journey& journey) {
  if (!journey.possible) return fmt::format("impossible: {}", journey.held_up_by);
  if (journey.changes == 0) return "no change";
  std::string out = fmt::format("{}, {} at the least", number_of_changes(journey.changes),
                                seconds(journey.seconds));
  if (!journey.held_up_by.empty()) out += ", held up by " + journey.held_up_by;
  return out;
}

}  // namespace arqon::guard
