// Hyper-parameters by maximum a posteriori, and the warp that makes an output Gaussian.
#pragma once

#include <span>
#include <vector>

#include "arqon/solver/gp/process.h"

namespace arqon::solver {

// What theta is before data: length scales grow with the dimension (Hvarfner et al. 2024), the
// noise may be nothing at all.
Theta prior_theta(const FeatureMap& map);
// Minimises energy - log prior from `start` in at most `calls_max` evaluations. O(calls n^3).
struct Fit {
  Theta theta;
  double energy = 0;   // with the prior
};
Fit fit_theta(const FeatureMap& map, const Design& design, const Outputs& outputs,
              const Theta& start, int calls_max);

// How an output is bent before it is modelled.
struct Bend {
  double power = 1;   // of Yeo and Johnson (2000); 1 leaves shapes alone
  bool log = false;   // take ln first; for outputs that are all positive
  bool operator==(const Bend&) const = default;
};

// A monotone map of an output: perhaps ln, standardise, Yeo-Johnson, standardise again. Without ln,
// shift and scale of the input change nothing; with it, scale.
class Warp {
 public:
  Warp() = default;
  // `values` finite, at least one; when some are not positive, ln is left out.
  Warp(std::span<const double> values, Bend bend);

  double operator()(double value) const;
  double inverse(double warped) const;
  // d warped / d value at a value.
  double slope(double value) const;
  // Sum of ln slope over `values`: what comparing likelihoods of two warps needs.
  double log_jacobian(std::span<const double> values) const;

 private:
  double raw(double value) const;   // ln where it is taken

  double power_ = 1;
  bool log_ = false;
  double floor_ = 0;   // of ln: what is less is as good
  double center_ = 0, scale_ = 1;
  double inner_center_ = 0, inner_scale_ = 1;
};

// The power in [-2, 2] under which the values look most Gaussian.
double gaussian_power(std::span<const double> values);
// True when every value is positive, so that ln may be taken.
bool all_positive(std::span<const double> values);

}  // namespace arqon::solver
