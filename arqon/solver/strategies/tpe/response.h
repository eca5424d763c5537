// Local response surfaces: what the objective is, and where the settings that are allowed end,
// both as quadratics around a centre, both with an honest spread.
#pragma once

#include <span>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/linear.h"

namespace arqon::solver {

// Features of a point seen from a centre: 1, the moves along each coordinate in units of `scale`,
// their squares, and (up to kCrossMax coordinates) their products; a category is one indicator a
// foreign choice.
class Basis {
 public:
  static constexpr std::size_t kCrossMax = 8;

  Basis(const Encoding& encoding, Point center, double scale);

  std::size_t size() const { return size_; }
  std::vector<double> operator()(std::span<const double> at) const;
  // Largest prior size of weight i in units of the response's own scale: slopes wide, bends less.
  bool is_slope(std::size_t i) const { return i >= 1 && i <= slopes_; }
  // 1 at the centre, falling to 0 at `scale` from it (tricube, Cleveland 1979).
  double weight(std::span<const double> at) const;

 private:
  const Encoding* encoding_;
  Point center_;
  double scale_;
  std::vector<std::size_t> smooth_;  // coordinates that are not categories
  std::size_t slopes_ = 0;
  std::size_t size_ = 0;
};

struct Estimate {
  double mean = 0;
  double variance = 0;
};

// Weighted Bayesian linear regression on a basis; the noise is estimated from the residuals.
class LeastSquares {
 public:
  LeastSquares(const Basis& basis, std::span<const Point> points, std::span<const double> values);
  Estimate at(std::span<const double> features) const;
  double noise_sd() const { return noise_sd_; }

 private:
  Cholesky factor_;
  std::vector<double> mean_;
  double shift_ = 0;
  double noise_sd_ = 0;
};

// Probit regression P(allowed | x) = Phi(f(x)) with labels in [0, 1]; Laplace approximation about
// the mode (Rasmussen & Williams 2006, 3.4, in weight space).
class Probit {
 public:
  Probit(const Basis& basis, std::span<const Point> points, std::span<const double> labels);
  // f and its variance.
  Estimate at(std::span<const double> features) const;
  // The normal score of P(allowed) with the weights' own uncertainty integrated out.
  double score(std::span<const double> features) const;

 private:
  Cholesky factor_;
  std::vector<double> mode_;
};

double normal_cdf(double x);

}  // namespace arqon::solver
