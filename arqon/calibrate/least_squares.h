// Small dense nonlinear least squares: Levenberg-Marquardt with a robust loss, deterministic.
//
//   minimise  sum_i rho(r_i(x))  +  sum_j (x_j / prior_sd_j)^2,   Huber's rho
//
// x_j is the distance of a parameter from its prior mean in the unit its prior is stated in (here:
// logarithms). Levenberg (1944), Marquardt (1963); Huber weights by iteratively reweighted least
// squares. Same inputs, same bytes: fixed order of sums, forward differences with a fixed step.
#pragma once

#include <functional>
#include <span>
#include <vector>

namespace arqon::calibrate {

struct LeastSquaresOptions {
  double huber = 1.5;  // residuals beyond so many standard deviations count linearly
  int iterations_max = 60;
  double step_max = 1;  // of one parameter in one iteration
};

struct Minimum {
  std::vector<double> x;
  std::vector<double> sd;  // of each parameter: from the curvature at the minimum, and from how
                           // badly the model fits where that is worse than the noise stated
  double cost = 0;
  int iterations = 0;
  bool converged = false;
};

// `residuals(x, out)` fills `out` with residuals in units of their standard deviation: always the
// same number of them; a NaN counts as 0. Begins at x = 0. prior_sd: one per parameter, each > 0.
using Residuals = std::function<void(std::span<const double> x, std::vector<double>& out)>;
Minimum minimise(const Residuals& residuals, std::span<const double> prior_sd,
                 const LeastSquaresOptions& options = {});

}  // namespace arqon::calibrate
