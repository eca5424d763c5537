#include "arqon/solver/gp/kernel.h"

#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/solver/gp/exponential.h"
#include "arqon/solver/gp/factor.h"

namespace arqon::solver {
namespace {

constexpr double kSqrt5 = 2.23606797749978969641;
constexpr double kLevel = 1;        // variance of the constant
constexpr double kBendMean = 1.0 / 3;  // mean of a square over [-1, 1]

// The sums over features of which the trend's covariance consists.
struct Sums {
  std::vector<double> line;    // t t'
  std::vector<double> smooth;  // the same over smooth features
  std::vector<double> bend;    // (t^2 - 1/3) (t'^2 - 1/3)
  std::vector<double> square;  // t^2 t'^2
};

void trend_sums(const FeatureMap& map, const Design& design, std::size_t n, const FeatureRow& at,
                Sums& s) {
  s.line.assign(n, 0.0);
  s.smooth.assign(n, 0.0);
  s.bend.assign(n, 0.0);
  s.square.assign(n, 0.0);
  for (std::size_t f = 0; f < map.size(); ++f) {
    const double own = at.t[f];
    const double* const __restrict t = design.t(f);
    double* const __restrict line = s.line.data();
    if (!map[f].smooth) {
      for (std::size_t i = 0; i < n; ++i) line[i] += own * t[i];
      continue;
    }
    const double own_square = own * own;
    const double own_bend = own_square - kBendMean;
    double* const __restrict smooth = s.smooth.data();
    double* const __restrict bend = s.bend.data();
    double* const __restrict square = s.square.data();
    for (std::size_t i = 0; i < n; ++i) {
      const double product = own * t[i];
      line[i] += product;
      smooth[i] += product;
      bend[i] += own_bend * (t[i] * t[i] - kBendMean);
      square[i] += product * product;
    }
  }
}

}  // namespace

Kernel::Kernel(const FeatureMap& map, const Theta& theta) : map_(&map) {
  ARQON_ASSERT(theta.size() == map.groups() + kThetaTail);
  const auto features = static_cast<double>(map.size());
  for (std::size_t f = 0; f < map.size(); ++f) {
    precision_.push_back(std::exp(-2 * theta[map[f].group]));
  }
  const double* const tail = theta.data() + map.groups();
  matern_ = std::exp(tail[kMatern]);
  slopes_ = std::exp(tail[kSlopes]) / features;
  bends_ = std::exp(tail[kBends]) / features;
  cross_ = std::exp(tail[kCross]) / (features * features);
  noise_ = std::exp(tail[kNoise]);
}

double Kernel::prior(const FeatureRow& at) const {
  double line = 0;
  double smooth = 0;
  double bend = 0;
  double square = 0;
  for (std::size_t f = 0; f < map_->size(); ++f) {
    const double s = at.t[f] * at.t[f];
    line += s;
    if (!(*map_)[f].smooth) continue;
    smooth += s;
    bend += (s - kBendMean) * (s - kBendMean);
    square += s * s;
  }
  return kLevel + matern_ + slopes_ * line + bends_ * bend + cross_ * (smooth * smooth - square);
}

void Kernel::squares(const Design& design, std::size_t n, const FeatureRow& at,
                     double* out) const {
  double* const __restrict r2 = out;
  for (std::size_t i = 0; i < n; ++i) r2[i] = 0;
  for (std::size_t f = 0; f < map_->size(); ++f) {
    const double* const __restrict z = design.z(f);
    const double own = at.z[f];
    const double p = precision_[f];
    for (std::size_t i = 0; i < n; ++i) {
      const double d = z[i] - own;
      r2[i] += p * d * d;
    }
  }
}

void Kernel::covariances(const Design& design, std::size_t n, const FeatureRow& at,
                         double* out) const {
  squares(design, n, at, out);
  Sums s;
  trend_sums(*map_, design, n, at, s);
  double* const __restrict k = out;
  const double* const __restrict line = s.line.data();
  const double* const __restrict smooth = s.smooth.data();
  const double* const __restrict bend = s.bend.data();
  const double* const __restrict square = s.square.data();
  for (std::size_t i = 0; i < n; ++i) {
    const double a = kSqrt5 * std::sqrt(k[i]);
    const double shape = (1 + a + a * a / 3) * exp_of_negative(-a);
    k[i] = kLevel + matern_ * shape + slopes_ * line[i] + bends_ * bend[i] +
           cross_ * (smooth[i] * smooth[i] - square[i]);
  }
}

void Kernel::add_slopes(const Design& design, std::size_t n, const FeatureRow& at,
                        const double* weights, double* out) const {
  std::vector<double> r2(n);
  squares(design, n, at, r2.data());
  std::vector<double> pull(n);  // weight times d matern / d (r^2) * 2
  for (std::size_t i = 0; i < n; ++i) {
    const double a = kSqrt5 * std::sqrt(r2[i]);
    pull[i] = -weights[i] * matern_ * (5.0 / 3) * (1 + a) * exp_of_negative(-a);
  }
  Sums s;
  trend_sums(*map_, design, n, at, s);
  double pull_sum = 0;
  for (std::size_t i = 0; i < n; ++i) pull_sum += pull[i];
  std::vector<double> weighted(n);
  for (std::size_t i = 0; i < n; ++i) weighted[i] = weights[i] * s.smooth[i];
  for (std::size_t f = 0; f < map_->size(); ++f) {
    const Feature& feature = (*map_)[f];
    const double* const t = design.t(f);
    out[f] += precision_[f] * (at.z[f] * pull_sum - dot(pull.data(), design.z(f), n));
    double trend = slopes_ * dot(weights, t, n);
    if (feature.smooth) {
      double bend = 0;
      double square = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double s2 = t[i] * t[i];
        bend += weights[i] * (s2 - kBendMean);
        square += weights[i] * s2;
      }
      trend += 2 * bends_ * at.t[f] * bend +
               2 * cross_ * (dot(weighted.data(), t, n) - at.t[f] * square);
    }
    out[f] += feature.slope * trend;
  }
}

void Kernel::add_prior_slopes(const FeatureRow& at, double* out) const {
  double smooth = 0;
  for (std::size_t f = 0; f < map_->size(); ++f) {
    if ((*map_)[f].smooth) smooth += at.t[f] * at.t[f];
  }
  for (std::size_t f = 0; f < map_->size(); ++f) {
    const Feature& feature = (*map_)[f];
    const double t = at.t[f];
    double d = 2 * slopes_ * t;
    if (feature.smooth) {
      d += 4 * bends_ * t * (t * t - kBendMean) + 4 * cross_ * t * (smooth - t * t);
    }
    out[f] += feature.slope * d;
  }
}

void Kernel::add_gradient(const Design& design, std::size_t n, const double* weights,
                          std::span<double> gradient) const {
  const std::size_t groups = map_->groups();
  std::vector<double> r2(n);
  std::vector<double> pull(n);
  std::vector<double> own(n);
  Sums s;
  for (std::size_t i = 0; i < n; ++i) {
    // The lower triangle counts twice, the diagonal once.
    const std::size_t m = i + 1;
    const FeatureRow at = design.row(i);
    for (std::size_t j = 0; j < m; ++j) own[j] = (j < i ? 2 : 1) * weights[i * n + j];
    squares(design, m, at, r2.data());
    trend_sums(*map_, design, m, at, s);
    double matern = 0;
    for (std::size_t j = 0; j < m; ++j) {
      const double a = kSqrt5 * std::sqrt(r2[j]);
      const double e = exp_of_negative(-a);
      r2[j] = (1 + a + a * a / 3) * e;
      pull[j] = own[j] * matern_ * (5.0 / 3) * (1 + a) * e;
    }
    matern = matern_ * dot(own.data(), r2.data(), m);
    for (std::size_t f = 0; f < map_->size(); ++f) {
      const double* const z = design.z(f);
      for (std::size_t j = 0; j < m; ++j) r2[j] = (z[j] - at.z[f]) * (z[j] - at.z[f]);
      gradient[(*map_)[f].group] += precision_[f] * dot(pull.data(), r2.data(), m);
    }
    for (std::size_t j = 0; j < m; ++j) r2[j] = s.smooth[j] * s.smooth[j] - s.square[j];
    gradient[groups + kMatern] += matern;
    gradient[groups + kSlopes] += slopes_ * dot(own.data(), s.line.data(), m);
    gradient[groups + kBends] += bends_ * dot(own.data(), s.bend.data(), m);
    gradient[groups + kCross] += cross_ * dot(own.data(), r2.data(), m);
  }
}

}  // namespace arqon::solver
