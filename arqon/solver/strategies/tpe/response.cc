#include "arqon/solver/strategies/tpe/response.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"

namespace arqon::solver {
namespace {

constexpr double kInvSqrtTwoPi = 0.39894228040143267794;
// Prior standard deviations. Regression: in units of the values' own spread. Probit: in units of
// the noise that blurs the border, so 12 means that crossing the neighbourhood moves far through
// it.
struct Priors {
  double level, slope, bend, bump;
  double of(Basis::Kind kind) const {
    switch (kind) {
      case Basis::Kind::kLevel: return level;
      case Basis::Kind::kSlope: return slope;
      case Basis::Kind::kBend: return bend;
      case Basis::Kind::kBump: return bump;
    }
    return level;
  }
};
constexpr Priors kLossPriors{10, 10, 5, 0.5};
constexpr Priors kProbitPriors{20, 25, 10, 2.5};
constexpr double kBumpWidth = 0.4;
constexpr double kRelativeNoiseMin = 1e-3;
constexpr int kNoisePasses = 3;
constexpr int kNewtonSteps = 25;
constexpr double kGainMin = 1e-6;   // in log posterior: the mode is found
constexpr double kBendMin = 1e-9;
constexpr std::size_t kRowsMax = 256;

// phi(x) / Phi(x), stable far into the lower tail.
double mills(double x) {
  if (x < -25) return -x + 1 / x;  // asymptotic; next term is below 1e-4 of it
  return kInvSqrtTwoPi * std::exp(-0.5 * x * x) / normal_cdf(x);
}

double log_cdf(double x) {
  if (x < -25) return -0.5 * x * x - std::log(-x) - 0.91893853320467274178;
  return std::log(normal_cdf(x));
}

// The rows within reach, at most kRowsMax of the weightiest.
Rows local_rows(const Basis& basis, std::span<const Point> points, std::span<const double> values,
                std::span<const double> precision) {
  ARQON_ASSERT(points.size() == values.size() && points.size() == precision.size());
  std::vector<double> weights(points.size());
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < points.size(); ++i) {
    weights[i] = basis.weight(points[i]) * precision[i];
    if (weights[i] > 0) kept.push_back(i);
  }
  if (kept.size() > kRowsMax) {
    std::stable_sort(kept.begin(), kept.end(),
                     [&](std::size_t a, std::size_t b) { return weights[a] > weights[b]; });
    kept.resize(kRowsMax);
    std::sort(kept.begin(), kept.end());
  }
  Rows rows;
  for (const std::size_t i : kept) {
    rows.features.push_back(basis(points[i]));
    rows.weights.push_back(weights[i]);
    rows.values.push_back(values[i]);
  }
  return rows;
}

// matrix += weight * f f', lower triangle.
void add_outer(std::vector<double>& matrix, const std::vector<double>& f, double weight) {
  const std::size_t n = f.size();
  const double* const __restrict from = f.data();
  for (std::size_t i = 0; i < n; ++i) {
    double* const __restrict row = matrix.data() + i * n;
    const double scaled = weight * from[i];
    for (std::size_t j = 0; j <= i; ++j) row[j] += scaled * from[j];
  }
}

// Standard deviation, every value alike: how much the response moves, however often where.
double spread_of(const std::vector<double>& values) {
  double mean = 0;
  double squares = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double delta = values[i] - mean;
    mean += delta / static_cast<double>(i + 1);
    squares += delta * (values[i] - mean);
  }
  return values.empty() ? 0 : std::sqrt(squares / static_cast<double>(values.size()));
}

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

Basis::Basis(const Encoding& encoding, Point center, double scale, std::vector<Point> bumps)
    : encoding_(&encoding), center_(std::move(center)), scale_(scale), bumps_(std::move(bumps)) {
  ARQON_ASSERT(scale > 0 && center_.size() == encoding.dims());
  kinds_.push_back(Kind::kLevel);
  for (std::size_t i = 0; i < encoding.dims(); ++i) {
    const bool category = encoding[i].geometry == Geometry::kCategory;
    if (!category) smooth_.push_back(i);
    kinds_.insert(kinds_.end(), category ? encoding[i].choices - 1 : 1, Kind::kSlope);
  }
  const std::size_t m = smooth_.size();
  const std::size_t products = m > 0 && m <= kCrossMax ? m * (m - 1) / 2 : 0;
  kinds_.insert(kinds_.end(), m + products, Kind::kBend);
  if (bumps_.empty()) return;
  kinds_.insert(kinds_.end(), bumps_.size(), Kind::kBump);
  const std::size_t n = bumps_.size();
  std::vector<double> k(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) k[i * n + j] = similarity(bumps_[i], bumps_[j]);
    k[i * n + i] += 1e-6;
  }
  whitening_.emplace_back(std::move(k), n);
}

double Basis::similarity(std::span<const double> a, std::span<const double> b) const {
  double squares = 0;
  for (std::size_t i = 0; i < encoding_->dims(); ++i) {
    const double width = (*encoding_)[i].geometry == Geometry::kCategory ? 1 : kBumpWidth;
    const double d = encoding_->difference(i, a[i], b[i]) / width;
    squares += d * d;
  }
  // A box of more dimensions is wider from corner to corner.
  return std::exp(-squares / static_cast<double>(encoding_->dims()));
}

std::vector<double> Basis::operator()(std::span<const double> at) const {
  std::vector<double> f{1.0};
  f.reserve(size());
  std::vector<double> z;
  for (std::size_t i = 0; i < encoding_->dims(); ++i) {
    if ((*encoding_)[i].geometry != Geometry::kCategory) {
      z.push_back(encoding_->difference(i, center_[i], at[i]) / scale_);
      f.push_back(z.back());
      continue;
    }
    for (std::size_t choice = 0; choice < (*encoding_)[i].choices; ++choice) {
      const auto value = static_cast<double>(choice);
      if (value != center_[i]) f.push_back(at[i] == value ? 1 : 0);
    }
  }
  for (const double v : z) f.push_back(v * v);
  if (z.size() <= kCrossMax) {
    for (std::size_t i = 1; i < z.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) f.push_back(z[i] * z[j]);
    }
  }
  if (!bumps_.empty()) {
    std::vector<double> near;
    for (const Point& bump : bumps_) near.push_back(similarity(bump, at));
    const std::vector<double> white = whitening_[0].forward(near);
    f.insert(f.end(), white.begin(), white.end());
  }
  ARQON_DCHECK(f.size() == size());
  return f;
}

double Basis::uncovered(std::span<const double> features) const {
  if (bumps_.empty()) return 0;
  double covered = 0;
  for (const double f : features.last(bumps_.size())) covered += f * f;
  return std::max(0.0, 1 - covered);
}

std::vector<Point> spread_out(const Encoding& encoding, const Point& center,
                              std::span<const Point> points, std::size_t count, double apart) {
  std::vector<Point> out{center};
  std::vector<double> nearest;
  for (const Point& p : points) nearest.push_back(encoding.distance(center, p));
  while (out.size() < count && !points.empty()) {
    const auto far = std::max_element(nearest.begin(), nearest.end());
    if (*far < apart) break;
    out.push_back(points[static_cast<std::size_t>(far - nearest.begin())]);
    for (std::size_t i = 0; i < points.size(); ++i) {
      nearest[i] = std::min(nearest[i], encoding.distance(out.back(), points[i]));
    }
  }
  return out;
}

double Basis::weight(std::span<const double> at) const {
  double far = 0;
  for (const std::size_t i : smooth_) {
    far = std::max(far, std::abs(encoding_->difference(i, center_[i], at[i])));
  }
  const double r = far / (1.0001 * scale_);
  if (r >= 1) return 0;
  const double t = 1 - r * r * r;
  return t * t * t;
}

LeastSquares::LeastSquares(const Basis& basis, std::span<const Point> points,
                           std::span<const double> values, std::span<const double> weights)
    : factor_({1.0}, 1) {
  const Rows rows = local_rows(basis, points, values, weights);
  const std::size_t f = basis.size();
  double total = 1e-12;
  for (std::size_t i = 0; i < rows.values.size(); ++i) {
    total += rows.weights[i];
    shift_ += rows.weights[i] * rows.values[i];
  }
  shift_ /= total;
  const double spread = std::max(spread_of(rows.values), 1e-12);
  bump_sd_ = spread * kLossPriors.bump;
  std::vector<double> moments(f * f, 0.0);
  std::vector<double> products(f, 0.0);
  for (std::size_t i = 0; i < rows.values.size(); ++i) {
    add_outer(moments, rows.features[i], rows.weights[i]);
    for (std::size_t j = 0; j < f; ++j) {
      products[j] += rows.weights[i] * rows.features[i][j] * (rows.values[i] - shift_);
    }
  }
  // The first noise is a guess, the next ones come from the residuals.
  noise_sd_ = 0.1 * spread;
  for (int pass = 0; pass < kNoisePasses; ++pass) {
    const double precision = 1 / (noise_sd_ * noise_sd_);
    std::vector<double> a = moments;
    std::vector<double> b = products;
    for (std::size_t j = 0; j < f; ++j) {
      for (std::size_t k = 0; k <= j; ++k) a[j * f + k] *= precision;
      const double prior = spread * kLossPriors.of(basis.kind(j));
      a[j * f + j] += 1 / (prior * prior);
      b[j] *= precision;
    }
    factor_ = Cholesky(std::move(a), f);
    mean_ = factor_.solve(b);
    noise_sd_ = std::max(residual_sd(rows, total), kRelativeNoiseMin * spread);
  }
}

double LeastSquares::residual_sd(const Rows& rows, double total) const {
  const double precision = 1 / (noise_sd_ * noise_sd_);
  double residual = 0;
  double used = 0;
  for (std::size_t i = 0; i < rows.values.size(); ++i) {
    const double w = rows.weights[i];
    const double e = rows.values[i] - shift_ - dot(mean_, rows.features[i]);
    residual += w * e * e;
    used += w * w * precision * factor_.inverse_norm(rows.features[i]);
  }
  return std::sqrt(residual / std::max(total - used, 0.1 * total));
}

double LeastSquares::mean_at(std::span<const double> features) const {
  return shift_ + dot(mean_, features);
}

Estimate LeastSquares::at(const Basis& basis, std::span<const double> features) const {
  return {.mean = mean_at(features),
          .variance = factor_.inverse_norm(features) +
                      bump_sd_ * bump_sd_ * basis.uncovered(features)};
}

Probit::Probit(const Basis& basis, std::span<const Point> points, std::span<const double> labels,
               std::span<const double> counts)
    : factor_({1.0}, 1), mode_(basis.size(), 0.0) {
  const Rows rows = local_rows(basis, points, labels, counts);
  const std::size_t n = basis.size();
  std::vector<double> prior(n);
  for (std::size_t j = 0; j < n; ++j) {
    const double sd = kProbitPriors.of(basis.kind(j));
    prior[j] = 1 / (sd * sd);
  }
  const auto objective = [&](const std::vector<double>& w) {
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) sum -= 0.5 * prior[j] * w[j] * w[j];
    for (std::size_t i = 0; i < rows.values.size(); ++i) {
      const double f = dot(w, rows.features[i]);
      sum += rows.weights[i] *
             (rows.values[i] * log_cdf(f) + (1 - rows.values[i]) * log_cdf(-f));
    }
    return sum;
  };
  double here = objective(mode_);
  for (int step = 0; step < kNewtonSteps; ++step) {
    std::vector<double> hessian(n * n, 0.0);
    std::vector<double> gradient(n);
    for (std::size_t j = 0; j < n; ++j) {
      hessian[j * n + j] = prior[j];
      gradient[j] = -prior[j] * mode_[j];
    }
    for (std::size_t i = 0; i < rows.values.size(); ++i) {
      const double f = dot(mode_, rows.features[i]);
      const double up = mills(f);
      const double down = mills(-f);
      const double y = rows.values[i];
      const double slope = rows.weights[i] * (y * up - (1 - y) * down);
      const double bend = rows.weights[i] * (y * up * (f + up) + (1 - y) * down * (down - f));
      // Rows far from the border bend nothing.
      if (bend > kBendMin) add_outer(hessian, rows.features[i], bend);
      for (std::size_t j = 0; j < n; ++j) gradient[j] += slope * rows.features[i][j];
    }
    factor_ = Cholesky(std::move(hessian), n);
    const std::vector<double> move = factor_.solve(gradient);
    double length = 1;
    bool better = false;
    for (int halving = 0; halving < 20 && !better; ++halving, length /= 2) {
      std::vector<double> next = mode_;
      for (std::size_t j = 0; j < n; ++j) next[j] += length * move[j];
      const double there = objective(next);
      better = there > here;
      if (better) {
        const double gain = there - here;
        mode_ = std::move(next);
        here = there;
        if (gain < kGainMin) return;
      }
    }
    if (!better) return;
  }
}

double Probit::mean_at(std::span<const double> features) const { return dot(mode_, features); }

Estimate Probit::at(const Basis& basis, std::span<const double> features) const {
  return {.mean = mean_at(features),
          .variance = factor_.inverse_norm(features) +
                      kProbitPriors.bump * kProbitPriors.bump * basis.uncovered(features)};
}

}  // namespace arqon::solver
