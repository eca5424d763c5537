#include "arqon/control/glide.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/guard/pace.h"

namespace arqon::control {
namespace {

double scalar_step(const Parameter& p, const guard::Limits& limits, double from, double target) {
  const double grid = p.grid_step();
  const double max_delta = guard::largest_change(limits, grid, from, target > from);
  if (std::abs(target - from) <= max_delta) return target;
  // The small allowance keeps a max_delta that is a whole number of steps from losing one to
  // rounding.
  const double reach = grid > 0 ? std::floor(max_delta / grid + 1e-9) * grid : max_delta;
  return target > from ? from + reach : from - reach;
}

void simplex_step(double max_delta, std::span<const double> from, std::span<const double> target,
                  std::span<double> out) {
  double distance = 0;
  for (std::size_t i = 0; i < from.size(); ++i) distance += 0.5 * std::abs(target[i] - from[i]);
  const double share = distance <= max_delta ? 1.0 : 0.999 * max_delta / distance;
  for (std::size_t i = 0; i < from.size(); ++i) out[i] = from[i] + share * (target[i] - from[i]);
}

}  // namespace

Config glide_step(const Space& space, std::span<const guard::Limits> limits, const Config& from,
                  const Config& target) {
  ARQON_ASSERT(limits.size() == space.size());
  Config next = target;
  for (std::size_t i = 0; i < space.size(); ++i) {
    const Parameter& p = space[i];
    const std::size_t at = space.offset(i);
    if (p.type == ParamType::kSimplex) {
      simplex_step(limits[i].max_delta, std::span(from).subspan(at, p.slots()),
                   std::span(target).subspan(at, p.slots()),
                   std::span(next).subspan(at, p.slots()));
    } else {
      next[at] = scalar_step(p, limits[i], from[at], target[at]);
    }
  }
  const Config snapped = space.snap(next);
  return snapped == from ? target : snapped;
}

int glide_length(const Space& space, std::span<const guard::Limits> limits, const Config& from,
                 const Config& target) {
  constexpr int kStepsMax = 10000;
  int steps = 0;
  for (Config at = from; at != target && steps < kStepsMax; ++steps) {
    at = glide_step(space, limits, at, target);
  }
  return steps;
}

}  // namespace arqon::control
