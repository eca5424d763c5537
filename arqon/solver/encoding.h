// The space as models see it: independent coordinates with their own geometry.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "arqon/space/space.h"

namespace arqon::solver {

// kLine      [0, 1], linear or in ln; grid values are exact images of grid values
// kCircle    [0, 1), wraps
// kCategory  an index 0..choices-1; distance is 0 or 1
// kLogRatio  one isometric log-ratio of a simplex (Egozcue et al. 2003), about [-1, 1]
enum class Geometry { kLine, kCircle, kCategory, kLogRatio };

struct Coordinate {
  Geometry geometry = Geometry::kLine;
  std::size_t parameter = 0;
  std::size_t part = 0;      // kLogRatio: which of the parts - 1 balances
  std::size_t choices = 0;   // kCategory
  double step = 0;           // kLine, kCircle: widest grid step in coordinate units, 0 = continuous
};

using Point = std::vector<double>;  // one number a coordinate

// Immutable; a plain value.
class Encoding {
 public:
  explicit Encoding(const Space& space);

  std::size_t dims() const { return coordinates_.size(); }
  const Coordinate& operator[](std::size_t i) const { return coordinates_[i]; }

  // Values outside the domain (an `applied` off the grid) are taken to its edge, not to its grid.
  Point encode(const Space& space, std::span<const double> config) const;
  // Nearest setting of the space; a point off the edge is clamped or wrapped.
  Config decode(const Space& space, std::span<const double> point) const;

  // Signed move from `from` to `to` along coordinate i: wrapped on a circle, 0 or 1 for a category.
  double difference(std::size_t i, double from, double to) const;
  // Largest |difference| over the coordinates.
  double distance(std::span<const double> a, std::span<const double> b) const;

 private:
  std::vector<Coordinate> coordinates_;
};

}  // namespace arqon::solver
