// Local response surfaces: what the objective is, and where the settings that are allowed end,
// both as quadratics around a centre, both with an honest spread.
#pragma once

#include <span>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/gp/improvement.h"
#include "arqon/solver/linear.h"

namespace arqon::solver {

// Features of a point seen from a centre: 1, the moves along each coordinate in units of `scale`,
// their squares, (up to kCrossMax coordinates) their products, one indicator a foreign choice of a
// category, and smooth bumps at `bumps` for what a quadratic misses (a Gaussian process with
// inducing points, in weight space: Quinonero-Candela & Rasmussen 2005).
class Basis {
 public:
  static constexpr std::size_t kCrossMax = 6;
  // What a weight stands for; each kind has its own prior.
  enum class Kind { kLevel, kSlope, kBend, kBump };

  Basis(const Encoding& encoding, Point center, double scale, std::vector<Point> bumps = {});

  std::size_t size() const { return kinds_.size(); }
  Kind kind(std::size_t i) const { return kinds_[i]; }
  std::vector<double> operator()(std::span<const double> at) const;
  // Share in [0, 1] of the bumps' freedom that no bump covers at this point.
  double uncovered(std::span<const double> features) const;
  // 1 at the centre, falling to 0 at `scale` from it (tricube, Cleveland 1979).
  double weight(std::span<const double> at) const;

 private:
  double similarity(std::span<const double> a, std::span<const double> b) const;

  const Encoding* encoding_;
  Point center_;
  double scale_;
  std::vector<Point> bumps_;
  std::vector<Cholesky> whitening_;  // of the bumps' similarities; empty without bumps
  std::vector<std::size_t> smooth_;  // coordinates that are not categories
  std::vector<Kind> kinds_;
};

// Up to `count` of `points` that lie far from one another, `center` first.
std::vector<Point> spread_out(const Encoding& encoding, const Point& center,
                              std::span<const Point> points, std::size_t count, double apart);

struct Estimate {
  double mean = 0;
  double variance = 0;
};

// The observations within a basis's reach, as its features.
struct Rows {
  std::vector<std::vector<double>> features;
  std::vector<double> weights;
  std::vector<double> values;
};

// Weighted Bayesian linear regression on a basis; the noise is estimated from the residuals.
class LeastSquares {
 public:
  // `weights` scale the precision of each value.
  LeastSquares(const Basis& basis, std::span<const Point> points, std::span<const double> values,
               std::span<const double> weights);
  Estimate at(const Basis& basis, std::span<const double> features) const;
  double mean_at(std::span<const double> features) const;
  double noise_sd() const { return noise_sd_; }

 private:
  double residual_sd(const Rows& rows, double total) const;

  Cholesky factor_;
  std::vector<double> mean_;
  double shift_ = 0;
  double noise_sd_ = 0;
  double bump_sd_ = 0;
};

// Probit regression P(allowed | x) = Phi(f(x)) with labels in [0, 1], each standing for `counts`
// observations; Laplace approximation about
// the mode (Rasmussen & Williams 2006, 3.4, in weight space).
class Probit {
 public:
  Probit(const Basis& basis, std::span<const Point> points, std::span<const double> labels,
         std::span<const double> counts);
  // f and its variance.
  Estimate at(const Basis& basis, std::span<const double> features) const;
  double mean_at(std::span<const double> features) const;

 private:
  Cholesky factor_;
  std::vector<double> mode_;
};

}  // namespace arqon::solver
