// A Parzen density over encoded points: the two halves of TPE (Bergstra et al. 2011; multivariate
// form and constants after Watanabe 2023, arXiv:2304.11127).
#pragma once

#include <span>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/solver/encoding.h"

namespace arqon::solver {

// Mixture of product kernels, one a point, and one kernel as wide as the domain. Normal truncated
// to [0, 1] on a line, wrapped on a circle, normal on a log-ratio, one-hot with a share for the
// other choices on a category. O(points * dims) to evaluate.
class Parzen {
 public:
  // weights[i] >= 0 belongs to points[i]; the domain-wide kernel has weight 1.
  Parzen(const Encoding& encoding, std::vector<Point> points, std::vector<double> weights);

  Point sample(Rng& rng) const;
  double log_density(std::span<const double> at) const;

 private:
  double kernel_log_density(std::size_t kernel, std::span<const double> at) const;

  const Encoding* encoding_;          // borrowed for the decision
  std::vector<Point> points_;
  std::vector<double> log_weights_;   // the domain-wide kernel is the last
  std::vector<double> weights_;
  std::vector<double> width_;         // a coordinate's bandwidth; a category's share of the others
  std::vector<double> log_norm_;      // kernel-major log of the truncation mass
};

}  // namespace arqon::solver
