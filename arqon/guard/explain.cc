#include "arqon/guard/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "arqon/base/assert.h"

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

// The largest step that also lands on the grid.
double largest_step(const Parameter& p, const Limits& limits) {
  const double step = p.grid_step();
  if (step <= 0) return limits.max_delta;
  return std::max(1.0, std::floor(limits.max_delta / step * (1 + 1e-9))) * step;
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
    lines.push_back(knob(space[i], guardrails.limits[i], guardrails.max_updates_per_second));
  }
  return lines;
}

}  // namespace arqon::guard
