#include "arqon/solver/sampling.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::solver {
namespace {

constexpr double kFiniteMax = 4294967296.0;

// How many values a parameter has; 0 when it is continuous.
double value_count(const Parameter& p) {
  const double step = p.grid_step();
  if (step <= 0) return 0;
  const double origin = p.type == ParamType::kInt && p.step <= 0 ? std::ceil(p.min) : p.min;
  const double whole = std::floor((p.max - origin) / step + 1e-9) + 1;
  // Space::snap also reaches the top of the range when it is not a whole step from the bottom.
  return origin + (whole - 1) * step < p.max - 1e-9 * step ? whole + 1 : whole;
}

double nth_value(const Parameter& p, double n) {
  const double origin = p.type == ParamType::kInt && p.step <= 0 ? std::ceil(p.min) : p.min;
  return std::min(origin + n * p.grid_step(), p.max);
}

double scalar_from_unit(const Parameter& p, double u) {
  const double count = value_count(p);
  if (count > 0 && p.scale != Scale::kLog) {
    return nth_value(p, std::min(std::floor(u * count), count - 1));
  }
  if (p.scale == Scale::kLog) {
    // Half a step beyond both ends gives the end values of a grid their full share.
    const double half = p.grid_step() / 2;
    const double low = std::log(half > 0 ? std::max(p.min - half, p.min / 2) : p.min);
    const double high = std::log(p.max + half);
    return std::exp(low + u * (high - low));
  }
  return p.min + u * (p.max - p.min);
}

}  // namespace

Config point_from_unit(const Space& space, std::span<const double> unit) {
  ARQON_ASSERT(unit.size() == space.slots());
  Config out(unit.begin(), unit.end());
  for (std::size_t i = 0; i < space.size(); ++i) {
    const Parameter& p = space[i];
    const std::size_t first = space.offset(i);
    if (p.type == ParamType::kSimplex) {
      // Exponentials in proportion are uniform on the simplex.
      for (std::size_t s = first; s < first + p.slots(); ++s) out[s] = -std::log1p(-unit[s]);
    } else {
      out[first] = scalar_from_unit(p, unit[first]);
    }
  }
  return space.snap(out);
}

Config random_point(const Space& space, Rng& rng) {
  std::vector<double> unit(space.slots());
  for (double& u : unit) u = rng.uniform();
  return point_from_unit(space, unit);
}

bool is_among(const Config& config, std::span<const Config> others) {
  return std::find(others.begin(), others.end(), config) != others.end();
}

std::size_t finite_size(const Space& space) {
  double size = 1;
  for (const Parameter& p : space.parameters()) {
    const double count = p.type == ParamType::kSimplex ? 0 : value_count(p);
    if (count <= 0) return 0;
    size *= count;
    if (size > kFiniteMax) return 0;
  }
  return static_cast<std::size_t>(size);
}

Config first_free_point(const Space& space, std::span<const Config> taken,
                        std::span<const Config> also_taken) {
  const std::size_t size = finite_size(space);
  for (std::size_t n = 0; n < size; ++n) {
    Config out(space.slots());
    std::size_t rest = n;
    for (std::size_t i = space.size(); i-- > 0;) {
      const auto count = static_cast<std::size_t>(value_count(space[i]));
      out[space.offset(i)] = nth_value(space[i], static_cast<double>(rest % count));
      rest /= count;
    }
    if (!is_among(out, taken) && !is_among(out, also_taken)) return out;
  }
  return {};
}

}  // namespace arqon::solver
