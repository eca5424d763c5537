#include "arqon/solver/gp/fit.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/solver/gp/minimize.h"

namespace arqon::solver {
namespace {

// Normal priors of the logarithms, and how far they may go.
struct Prior {
  double mean, sd, low, high;
};
constexpr Prior kMaternPrior{0, 1.5, -9, 4};
constexpr Prior kSlopesPrior{-2, 2, -12, 5};
constexpr Prior kBendsPrior{-2, 2, -12, 6};
constexpr Prior kCrossPrior{-3, 2, -12, 6};
constexpr Prior kNoisePrior{-7, 3.5, -18, 1};
constexpr double kLengthMean = 0.2;   // plus half the ln of the dimension
constexpr double kLengthSd = 1.3;
constexpr double kLengthLow = -4.0;
constexpr double kLengthHigh = 5.0;
constexpr double kSpreadMin = 1e-300;
constexpr double kInfinity = 1e300;

std::vector<Prior> priors(const FeatureMap& map) {
  const auto groups = static_cast<double>(std::max<std::size_t>(map.groups(), 1));
  const double half_log = 0.5 * std::log(groups);
  std::vector<Prior> out(map.groups(),
                         Prior{kLengthMean + half_log, kLengthSd, kLengthLow, kLengthHigh});
  out.insert(out.end(), {kMaternPrior, kSlopesPrior, kBendsPrior, kCrossPrior, kNoisePrior});
  return out;
}

double yeo_johnson(double y, double p) {
  if (y >= 0) return p == 0 ? std::log1p(y) : std::expm1(p * std::log1p(y)) / p;
  const double q = 2 - p;
  return q == 0 ? -std::log1p(-y) : -std::expm1(q * std::log1p(-y)) / q;
}

double yeo_johnson_inverse(double w, double p) {
  constexpr double kReach = 600;  // in ln; keeps what lies beyond the image finite
  if (w >= 0) {
    return p == 0 ? std::expm1(std::min(w, kReach))
                  : std::expm1(std::min(std::log(std::max(1 + p * w, 1e-30)) / p, kReach));
  }
  const double q = 2 - p;
  return q == 0 ? -std::expm1(std::min(-w, kReach))
                : -std::expm1(std::min(std::log(std::max(1 - q * w, 1e-30)) / q, kReach));
}

double yeo_johnson_log_slope(double y, double p) {
  return y >= 0 ? (p - 1) * std::log1p(y) : (1 - p) * std::log1p(-y);
}

// Mean and standard deviation, the latter never 0; safe for values up to 1e308.
void moments(std::span<const double> values, double& mean, double& sd) {
  double top = 0;
  for (const double v : values) top = std::max(top, std::abs(v));
  const double unit = top > 1e100 ? top : 1;
  double m = 0;
  double squares = 0;
  double n = 0;
  for (const double v : values) {
    n += 1;
    const double delta = v / unit - m;
    m += delta / n;
    squares += delta * (v / unit - m);
  }
  mean = m * unit;
  sd = std::sqrt(squares / std::max(n, 1.0)) * unit;
  if (!(sd > kSpreadMin) || sd <= 1e-13 * std::abs(mean)) {
    sd = std::max(1e-13 * std::abs(mean), 1e-12);
  }
}

}  // namespace

Theta prior_theta(const FeatureMap& map) {
  Theta out;
  for (const Prior& p : priors(map)) out.push_back(p.mean);
  return out;
}

Fit fit_theta(const FeatureMap& map, const Design& design, const Outputs& outputs,
              const Theta& start, int calls_max) {
  const std::vector<Prior> prior = priors(map);
  Box box;
  for (const Prior& p : prior) {
    box.low.push_back(p.low);
    box.high.push_back(p.high);
  }
  const Smooth posterior = [&](std::span<const double> x, std::span<double> gradient) {
    const Process process(map, design, Theta(x.begin(), x.end()), outputs);
    double value = process.energy(gradient);
    for (std::size_t k = 0; k < x.size(); ++k) {
      const double off = (x[k] - prior[k].mean) / prior[k].sd;
      value += 0.5 * off * off;
      gradient[k] += off / prior[k].sd;
    }
    return std::isfinite(value) ? value : kInfinity;
  };
  Minimum found = minimize(posterior, start, box, calls_max, 1e-3);
  return {.theta = std::move(found.at), .energy = found.value};
}

bool all_positive(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return v > 0; });
}

Warp::Warp(std::span<const double> values, Bend bend)
    : power_(bend.power), log_(bend.log && all_positive(values)) {
  ARQON_ASSERT(!values.empty());
  if (log_) floor_ = 1e-3 * *std::min_element(values.begin(), values.end());
  std::vector<double> warped;
  for (const double v : values) warped.push_back(raw(v));
  moments(warped, center_, scale_);
  if (power_ == 1) return;
  for (double& v : warped) v = yeo_johnson((v - center_) / scale_, power_);
  moments(warped, inner_center_, inner_scale_);
}

double Warp::raw(double value) const { return log_ ? std::log(std::max(value, floor_)) : value; }

double Warp::operator()(double value) const {
  const double y = raw(value) / scale_ - center_ / scale_;
  return power_ == 1 ? y : (yeo_johnson(y, power_) - inner_center_) / inner_scale_;
}

double Warp::inverse(double warped) const {
  const double y =
      power_ == 1 ? warped : yeo_johnson_inverse(warped * inner_scale_ + inner_center_, power_);
  const double out = center_ + scale_ * y;
  return log_ ? std::exp(std::min(out, 700.0)) : out;
}

double Warp::slope(double value) const {
  const double by_log = log_ ? 1 / std::max(value, floor_) : 1;
  if (power_ == 1) return by_log / scale_;
  const double y = raw(value) / scale_ - center_ / scale_;
  return by_log * std::exp(yeo_johnson_log_slope(y, power_)) / (inner_scale_ * scale_);
}

double Warp::log_jacobian(std::span<const double> values) const {
  double sum = 0;
  for (const double v : values) sum += std::log(std::max(slope(v), 1e-300));
  return sum;
}

double gaussian_power(std::span<const double> values) {
  double best = 1;
  double best_value = -kInfinity;
  for (int step = -8; step <= 8; ++step) {
    const double power = 0.25 * step;
    const Warp warp(values, {.power = power});
    const double value = warp.log_jacobian(values);
    // Standardised again, the Gaussian term is the same for every power.
    if (value > best_value) {
      best_value = value;
      best = power;
    }
  }
  return best;
}

}  // namespace arqon::solver
