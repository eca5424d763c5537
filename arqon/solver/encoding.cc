#include "arqon/solver/encoding.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::solver {
namespace {

// Smallest share of a simplex part inside the logarithm; keeps 0 finite.
constexpr double kShareFloor = 0.01;
// Log-ratios of shares in [0.01, 0.98] reach about +-4: brought to the scale of a unit cube.
constexpr double kLogRatioScale = 0.2;

double to_line(const Parameter& p, double value) {
  const double v = std::clamp(value, p.min, p.max);
  if (p.max <= p.min) return 0;
  if (p.scale == Scale::kLog) return std::log(v / p.min) / std::log(p.max / p.min);
  return (v - p.min) / (p.max - p.min);
}

double from_line(const Parameter& p, double u) {
  if (p.scale == Scale::kLog) {
    return std::clamp(p.min * std::exp(u * std::log(p.max / p.min)), p.min, p.max);
  }
  return p.min + u * (p.max - p.min);
}

double widest_step(const Parameter& p) {
  const double step = p.grid_step();
  if (step <= 0 || p.max <= p.min) return 0;
  if (p.scale != Scale::kLog) return std::min(1.0, step / (p.max - p.min));
  return to_line(p, p.min + step);
}

// Balance j of `shares`: parts 0..j against part j+1.
double balance(std::span<const double> shares, std::size_t j) {
  double mean_log = 0;
  for (std::size_t i = 0; i <= j; ++i) mean_log += std::log(std::max(shares[i], kShareFloor));
  const auto parts = static_cast<double>(j + 1);
  mean_log /= parts;
  return kLogRatioScale * std::sqrt(parts / (parts + 1)) *
         (mean_log - std::log(std::max(shares[j + 1], kShareFloor)));
}

// Inverse of all balances at once.
void shares_from_balances(std::span<const double> balances, std::span<double> shares) {
  std::vector<double> logs(shares.size(), 0.0);
  for (std::size_t j = 0; j < balances.size(); ++j) {
    const auto parts = static_cast<double>(j + 1);
    const double b = balances[j] / kLogRatioScale;
    for (std::size_t i = 0; i <= j; ++i) logs[i] += b / std::sqrt(parts * (parts + 1));
    logs[j + 1] -= b * std::sqrt(parts / (parts + 1));
  }
  const double top = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) sum += shares[i] = std::exp(logs[i] - top);
  for (double& share : shares) share /= sum;
}

}  // namespace

Encoding::Encoding(const Space& space) {
  for (std::size_t i = 0; i < space.size(); ++i) {
    const Parameter& p = space[i];
    Coordinate c{.parameter = i};
    if (p.type == ParamType::kSimplex) {
      c.geometry = Geometry::kLogRatio;
      for (c.part = 0; c.part + 1 < p.slots(); ++c.part) coordinates_.push_back(c);
      continue;
    }
    if (p.type == ParamType::kCategorical || p.type == ParamType::kBool) {
      c.geometry = Geometry::kCategory;
      c.choices = p.type == ParamType::kBool ? 2 : p.choices.size();
    } else {
      c.geometry = p.scale == Scale::kPeriodic ? Geometry::kCircle : Geometry::kLine;
      c.step = widest_step(p);
    }
    coordinates_.push_back(c);
  }
}

Point Encoding::encode(const Space& space, std::span<const double> config) const {
  ARQON_ASSERT(config.size() == space.slots());
  Point out;
  out.reserve(dims());
  for (const Coordinate& c : coordinates_) {
    const Parameter& p = space[c.parameter];
    const std::size_t first = space.offset(c.parameter);
    switch (c.geometry) {
      case Geometry::kLine:
      case Geometry::kCircle: out.push_back(to_line(p, config[first])); break;
      case Geometry::kCategory:
        out.push_back(std::clamp(std::round(config[first]), 0.0,
                                 static_cast<double>(c.choices - 1)));
        break;
      case Geometry::kLogRatio:
        out.push_back(balance(config.subspan(first, p.slots()), c.part));
        break;
    }
  }
  return out;
}

Config Encoding::decode(const Space& space, std::span<const double> point) const {
  ARQON_ASSERT(point.size() == dims());
  Config out(space.slots(), 1.0);  // a simplex of one part has no coordinate
  for (std::size_t i = 0; i < dims(); ++i) {
    const Coordinate& c = coordinates_[i];
    const Parameter& p = space[c.parameter];
    const std::size_t first = space.offset(c.parameter);
    switch (c.geometry) {
      case Geometry::kLine:
        out[first] = from_line(p, std::clamp(point[i], 0.0, 1.0));
        break;
      case Geometry::kCircle: out[first] = from_line(p, point[i] - std::floor(point[i])); break;
      case Geometry::kCategory: out[first] = std::round(point[i]); break;
      case Geometry::kLogRatio:
        if (c.part == 0) {
          shares_from_balances(point.subspan(i, p.slots() - 1),
                               std::span(out).subspan(first, p.slots()));
        }
        break;
    }
  }
  return space.snap(out);
}

double Encoding::difference(std::size_t i, double from, double to) const {
  const double d = to - from;
  switch (coordinates_[i].geometry) {
    case Geometry::kLine:
    case Geometry::kLogRatio: return d;
    case Geometry::kCircle: return d - std::round(d);
    case Geometry::kCategory: return d == 0 ? 0 : 1;
  }
  return d;
}

double Encoding::distance(std::span<const double> a, std::span<const double> b) const {
  double out = 0;
  for (std::size_t i = 0; i < dims(); ++i) out = std::max(out, std::abs(difference(i, a[i], b[i])));
  return out;
}

}  // namespace arqon::solver
