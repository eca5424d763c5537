// Gaussian process regression with its own noise a point.
#pragma once

#include <span>
#include <vector>

#include "arqon/solver/gp/factor.h"
#include "arqon/solver/gp/features.h"
#include "arqon/solver/gp/kernel.h"

namespace arqon::solver {

struct Moments {
  double mean = 0;
  double variance = 0;   // of the function, without noise
};

// Values of one output at the first points of a design. `extra` is noise variance known beforehand,
// added to the learned one.
struct Outputs {
  std::vector<double> values;
  std::vector<double> extra;
};

// Borrows map and design; the design may grow meanwhile. A copyable value.
class Process {
 public:
  Process(const FeatureMap& map, const Design& design, const Theta& theta, const Outputs& outputs);

  std::size_t size() const { return factor_.size(); }
  // The mean alone costs O(n features), the variance O(n^2) more.
  double mean(const FeatureRow& at) const;
  Moments at(const FeatureRow& at) const;
  // Moments and their derivatives by feature.
  Moments at(const FeatureRow& at, Slopes& slopes) const;
  // Adds one believed value at the design's next point (its row size()) with the learned noise.
  void append(double value);
  // Mean at each of its own points, from the weights alone.
  std::vector<double> fitted() const;
  // Mean at each own point given all the others (Rasmussen & Williams 2006, 5.12). O(n^3).
  std::vector<double> left_out_means() const;
  // -log marginal likelihood; with `gradient` its derivatives by theta, added.
  double energy(std::span<double> gradient = {}) const;
  double noise() const { return kernel_.noise(); }

 private:
  void add_row(double extra);
  void solve();

  const FeatureMap* map_;
  const Design* design_;
  Kernel kernel_;
  Factor factor_;
  Outputs outputs_;
  std::vector<double> alpha_;   // (K + noise)^-1 values
};

}  // namespace arqon::solver
