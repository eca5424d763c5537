#include "arqon/solver/gp/improvement.h"

#include <algorithm>
#include <cmath>

namespace arqon::solver {
namespace {

constexpr double kSqrtHalf = 0.70710678118654752440;
constexpr double kInvSqrtTwoPi = 0.39894228040143267794;
constexpr double kLogSqrtTwoPi = 0.91893853320467274178;
constexpr double kFar = -25;   // beyond, the asymptotic series is better than the difference

double density(double z) { return kInvSqrtTwoPi * std::exp(-0.5 * z * z); }

// Phi(z) / phi(z) for z <= 0.
double mills(double z) {
  if (z < kFar) return -1 / z * (1 - 1 / (z * z));
  return normal_cdf(z) / density(z);
}

// ln (phi(z) + z Phi(z)).
double log_h(double z) {
  if (z > -1) return std::log(density(z) + z * normal_cdf(z));
  const double base = -0.5 * z * z - kLogSqrtTwoPi;
  if (z < kFar) return base - 2 * std::log(-z) + std::log1p(-3 / (z * z));
  return base + std::log(std::max(1 + z * mills(z), 1e-300));
}

}  // namespace

double normal_cdf(double x) { return 0.5 * std::erfc(-x * kSqrtHalf); }

double normal_log_cdf(double x) {
  if (x < kFar) return -0.5 * x * x - std::log(-x) - kLogSqrtTwoPi + std::log1p(-1 / (x * x));
  return std::log(normal_cdf(x));
}

double normal_hazard(double x) {
  if (x <= 0) return 1 / mills(x);
  return density(x) / normal_cdf(x);
}

LogImprovement log_improvement(double mean, double variance, double best) {
  const double sd = std::sqrt(variance);
  const double z = (best - mean) / sd;
  const double log_value = log_h(z);
  // d ln(sd h(z)): Phi / (sd h) by mean, phi / (2 sd^2 h) by variance.
  const double log_density = -0.5 * z * z - kLogSqrtTwoPi;
  const double cdf_share = std::exp(normal_log_cdf(z) - log_value);
  const double density_share = std::exp(log_density - log_value);
  return {.value = std::log(sd) + log_value,
          .by_mean = -cdf_share / sd,
          .by_variance = 0.5 * density_share / variance};
}

}  // namespace arqon::solver
