#include "arqon/solver/gp/features.h"

#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::solver {
namespace {
constexpr double kTwoPi = 6.28318530717958647693;
constexpr double kSqrtHalf = 0.70710678118654752440;
}  // namespace

FeatureMap::FeatureMap(const Encoding& encoding) : groups_(encoding.dims()) {
  for (std::size_t i = 0; i < encoding.dims(); ++i) {
    const Coordinate& c = encoding[i];
    geometry_.push_back(c.geometry);
    Feature f{.coordinate = i, .group = i};
    switch (c.geometry) {
      case Geometry::kLine:
        f.slope = 2;
        f.shift = -1;
        features_.push_back(f);
        break;
      case Geometry::kLogRatio: features_.push_back(f); break;
      case Geometry::kCircle:
        f.slope = 2;
        for (f.part = 0; f.part < 2; ++f.part) features_.push_back(f);
        break;
      case Geometry::kCategory:
        f.smooth = false;
        f.slope = 1 / kSqrtHalf;
        for (f.part = 0; f.part < c.choices; ++f.part) features_.push_back(f);
        break;
    }
  }
}

double FeatureMap::z_of(const Feature& feature, std::span<const double> point) const {
  const double u = point[feature.coordinate];
  switch (geometry_[feature.coordinate]) {
    case Geometry::kLine:
    case Geometry::kLogRatio: return u;
    case Geometry::kCircle:
      return 0.5 * (feature.part == 0 ? std::cos(kTwoPi * u) : std::sin(kTwoPi * u));
    case Geometry::kCategory: return u == static_cast<double>(feature.part) ? kSqrtHalf : 0;
  }
  return u;
}

double FeatureMap::slope(std::size_t feature, std::span<const double> point) const {
  const Feature& f = features_[feature];
  const double u = point[f.coordinate];
  switch (geometry_[f.coordinate]) {
    case Geometry::kLine:
    case Geometry::kLogRatio: return 1;
    case Geometry::kCircle:
      return 0.5 * kTwoPi * (f.part == 0 ? -std::sin(kTwoPi * u) : std::cos(kTwoPi * u));
    case Geometry::kCategory: return 0;
  }
  return 0;
}

FeatureRow FeatureMap::operator()(std::span<const double> point) const {
  FeatureRow row;
  row.z.reserve(size());
  row.t.reserve(size());
  for (const Feature& f : features_) {
    row.z.push_back(z_of(f, point));
    row.t.push_back(f.slope * row.z.back() + f.shift);
  }
  return row;
}

Design::Design(const FeatureMap& map) : z_(map.size()), t_(map.size()) {}

void Design::append(const FeatureRow& row) {
  ARQON_ASSERT(row.z.size() == z_.size());
  for (std::size_t f = 0; f < z_.size(); ++f) {
    z_[f].push_back(row.z[f]);
    t_[f].push_back(row.t[f]);
  }
  ++size_;
}

FeatureRow Design::row(std::size_t i) const {
  FeatureRow out;
  for (std::size_t f = 0; f < z_.size(); ++f) {
    out.z.push_back(z_[f][i]);
    out.t.push_back(t_[f][i]);
  }
  return out;
}

}  // namespace arqon::solver
