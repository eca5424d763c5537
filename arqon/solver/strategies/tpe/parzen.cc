#include "arqon/solver/strategies/tpe/parzen.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::solver {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752440;
constexpr double kLogSqrtTwoPi = 0.91893853320467274178;
// Bandwidths never leave [narrowest, widest]; in between they follow the spread of the points.
constexpr double kWidest = 0.35;
constexpr double kNarrowest = 0.15;  // for one point; falls as points join
constexpr double kBandwidthFactor = 0.9;

double normal_cdf(double x) { return 0.5 * std::erfc(-x * kSqrtHalf); }

double inside_unit(double mean, double width) {
  return std::max(normal_cdf((1 - mean) / width) - normal_cdf(-mean / width), 1e-12);
}

// Weighted standard deviation of coordinate i about its weighted mean.
double spread(const Encoding& encoding, const std::vector<Point>& points,
              const std::vector<double>& weights, std::size_t i) {
  if (points.empty()) return 1;
  double total = 0;
  double mean = 0;
  for (std::size_t k = 0; k < points.size(); ++k) {
    total += weights[k];
    mean += weights[k] * encoding.difference(i, points[0][i], points[k][i]);
  }
  mean /= std::max(total, 1e-12);
  double squares = 0;
  for (std::size_t k = 0; k < points.size(); ++k) {
    const double d = encoding.difference(i, points[0][i], points[k][i]) - mean;
    squares += weights[k] * d * d;
  }
  return std::sqrt(squares / std::max(total, 1e-12));
}

double bandwidth(const Encoding& encoding, const std::vector<Point>& points,
                 const std::vector<double>& weights, std::size_t i) {
  const auto n = static_cast<double>(points.size());
  if (encoding[i].geometry == Geometry::kCategory) {
    return 1 / (n + 1);  // prior share of a one-hot kernel
  }
  const auto d = static_cast<double>(encoding.dims());
  const double shrink = std::pow(n + 1, -1 / (d + 4));
  const double narrowest = std::max(kNarrowest * shrink, 0.5 * encoding[i].step);
  const double rule = kBandwidthFactor * spread(encoding, points, weights, i) * shrink;
  return std::clamp(rule, std::min(narrowest, kWidest), kWidest);
}

}  // namespace

Parzen::Parzen(const Encoding& encoding, std::vector<Point> points, std::vector<double> weights)
    : encoding_(&encoding), points_(std::move(points)), weights_(std::move(weights)) {
  ARQON_ASSERT(points_.size() == weights_.size());
  for (std::size_t i = 0; i < encoding.dims(); ++i) {
    width_.push_back(bandwidth(encoding, points_, weights_, i));
  }
  weights_.push_back(1.0);
  double total = 0;
  for (const double w : weights_) total += w;
  for (const double w : weights_) log_weights_.push_back(std::log(std::max(w, 1e-300) / total));
  for (const Point& p : points_) {
    double norm = 0;
    for (std::size_t i = 0; i < encoding.dims(); ++i) {
      if (encoding[i].geometry == Geometry::kCategory) continue;
      norm += std::log(width_[i]) + kLogSqrtTwoPi;
      if (encoding[i].geometry == Geometry::kLine) norm += std::log(inside_unit(p[i], width_[i]));
    }
    log_norm_.push_back(norm);
  }
}

Point Parzen::sample(Rng& rng) const {
  const std::size_t kernel = rng.weighted(weights_);
  Point out(encoding_->dims());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Coordinate& c = (*encoding_)[i];
    const double u = rng.uniform();
    const bool wide = kernel == points_.size();
    if (c.geometry == Geometry::kCategory) {
      const auto any = std::floor(u * static_cast<double>(c.choices));
      out[i] = wide ? any : rng.uniform() < width_[i] ? any : points_[kernel][i];
      continue;
    }
    if (wide) {
      out[i] = c.geometry == Geometry::kLogRatio ? 2 * u - 1 : u;
      continue;
    }
    double low = 0;
    double high = 1;
    if (c.geometry == Geometry::kLine) {
      low = normal_cdf(-points_[kernel][i] / width_[i]);
      high = normal_cdf((1 - points_[kernel][i]) / width_[i]);
    }
    const double p = std::clamp(low + u * (high - low), 1e-12, 1 - 1e-12);
    out[i] = points_[kernel][i] + width_[i] * normal_quantile(p);
    if (c.geometry == Geometry::kLine) out[i] = std::clamp(out[i], 0.0, 1.0);
    if (c.geometry == Geometry::kCircle) out[i] -= std::floor(out[i]);
  }
  return out;
}

double Parzen::kernel_log_density(std::size_t kernel, std::span<const double> at) const {
  double squares = 0;
  double log_share = 0;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const Coordinate& c = (*encoding_)[i];
    const double d = encoding_->difference(i, points_[kernel][i], at[i]);
    if (c.geometry == Geometry::kCategory) {
      const double other = width_[i] / static_cast<double>(c.choices);
      log_share += std::log(d == 0 ? 1 - width_[i] + other : other);
    } else {
      squares += d * d / (width_[i] * width_[i]);
    }
  }
  return log_share - 0.5 * squares - log_norm_[kernel];
}

double Parzen::log_density(std::span<const double> at) const {
  double wide = 0;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const Coordinate& c = (*encoding_)[i];
    if (c.geometry == Geometry::kCategory) wide -= std::log(static_cast<double>(c.choices));
    if (c.geometry == Geometry::kLogRatio) wide -= 0.69314718055994530942;
  }
  double top = wide + log_weights_.back();
  std::vector<double> terms{top};
  for (std::size_t k = 0; k < points_.size(); ++k) {
    terms.push_back(kernel_log_density(k, at) + log_weights_[k]);
    top = std::max(top, terms.back());
  }
  double sum = 0;
  for (const double t : terms) sum += t > top - 40 ? std::exp(t - top) : 0;
  return top + std::log(sum);
}

}  // namespace arqon::solver
