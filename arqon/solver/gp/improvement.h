// Logarithms of expected improvement and of normal tails, exact far out where the plain ones are 0.
#pragma once

namespace arqon::solver {

double normal_cdf(double x);
double normal_log_cdf(double x);
// phi(x) / Phi(x): the derivative of normal_log_cdf.
double normal_hazard(double x);

// ln E[max(0, best - f)] for f ~ N(mean, variance), and its derivatives (Ament et al. 2023).
struct LogImprovement {
  double value = 0;
  double by_mean = 0;
  double by_variance = 0;
};
LogImprovement log_improvement(double mean, double variance, double best);

}  // namespace arqon::solver
