// Covariance of the Gaussian processes: Matern 5/2 with a length scale a coordinate, and a
// polynomial trend (level, slopes, own bends, cross terms) whose strengths are learned too. The
// trend is what finds the bowl under ripples and what carries far with few points.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "arqon/solver/gp/features.h"

namespace arqon::solver {

// All in natural logarithms; variances in units of the standardised output.
//   [0, groups)  length scales     groups + 0  variance of the Matern part
//   groups + 1   slopes            groups + 2  bends      groups + 3  cross terms
//   groups + 4   noise
using Theta = std::vector<double>;
enum ThetaTail : std::size_t { kMatern, kSlopes, kBends, kCross, kNoise, kThetaTail };

// Derivatives of one output's moments at a point, feature by feature.
struct Slopes {
  std::vector<double> mean;
  std::vector<double> variance;
};

// Built from a theta; borrows the map for as long as it lives.
class Kernel {
 public:
  Kernel(const FeatureMap& map, const Theta& theta);

  double noise() const { return noise_; }
  // Variance of the function at a point.
  double prior(const FeatureRow& at) const;
  // Covariances of `at` with the first `n` points of the design.
  void covariances(const Design& design, std::size_t n, const FeatureRow& at, double* out) const;
  // sum_i weights[i] * d covariance(at, i) / d z_f, for each feature f, added to `out`.
  void add_slopes(const Design& design, std::size_t n, const FeatureRow& at, const double* weights,
                  double* out) const;
  // d prior / d z_f, added to `out`.
  void add_prior_slopes(const FeatureRow& at, double* out) const;
  // gradient[k] += sum_ij weights[i * n + j] * d covariance(i, j) / d theta_k, noise excluded;
  // `weights` symmetric.
  void add_gradient(const Design& design, std::size_t n, const double* weights,
                    std::span<double> gradient) const;

 private:
  void squares(const Design& design, std::size_t n, const FeatureRow& at, double* out) const;

  const FeatureMap* map_;
  std::vector<double> precision_;  // 1 / length^2, a feature
  double matern_, slopes_, bends_, cross_, noise_;
};

}  // namespace arqon::solver
