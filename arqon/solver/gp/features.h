// What a kernel sees of a point: numbers whose straight distance is the geometry's own.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "arqon/solver/encoding.h"

namespace arqon::solver {

// A line and a log-ratio are one feature, a circle two (cosine, sine), a category one a choice, so
// that different choices are 1 apart. The features of one coordinate share a length scale.
struct Feature {
  std::size_t coordinate = 0;
  std::size_t group = 0;   // index of the length scale
  std::size_t part = 0;    // circle: 0 cosine, 1 sine; category: the choice
  bool smooth = true;      // takes part in the quadratic trend
  double slope = 1;        // trend variable = slope * z + shift, about [-1, 1]
  double shift = 0;
};

// One point: z for distances, t for the trend.
struct FeatureRow {
  std::vector<double> z;
  std::vector<double> t;
};

// Immutable; a plain value.
class FeatureMap {
 public:
  explicit FeatureMap(const Encoding& encoding);

  std::size_t size() const { return features_.size(); }
  std::size_t groups() const { return groups_; }
  const Feature& operator[](std::size_t i) const { return features_[i]; }
  FeatureRow operator()(std::span<const double> point) const;
  // d feature / d coordinate at a point; 0 for a category.
  double slope(std::size_t feature, std::span<const double> point) const;

 private:
  double z_of(const Feature& feature, std::span<const double> point) const;

  std::vector<Feature> features_;
  std::vector<Geometry> geometry_;  // of the coordinates
  std::size_t groups_ = 0;
};

// Many points, feature after feature: one point against all runs along memory.
class Design {
 public:
  explicit Design(const FeatureMap& map);

  void append(const FeatureRow& row);
  std::size_t size() const { return size_; }
  std::size_t features() const { return z_.size(); }
  FeatureRow row(std::size_t i) const;
  const double* z(std::size_t f) const { return z_[f].data(); }
  const double* t(std::size_t f) const { return t_[f].data(); }

 private:
  std::size_t size_ = 0;
  std::vector<std::vector<double>> z_;
  std::vector<std::vector<double>> t_;
};

}  // namespace arqon::solver
