#include "arqon/solver/gp/classes.h"

#include <algorithm>
#include <cmath>

#include "arqon/solver/gp/improvement.h"

namespace arqon::solver {
namespace {

constexpr int kSteps = 12;
constexpr double kEnough = 1e-3;
constexpr double kCurvatureMin = 1e-6;

// First and (negated) second derivative of the log likelihood.
struct Local {
  double value, slope, curvature;
};

Local local(double f, double label) {
  const double up = normal_hazard(f);
  const double down = normal_hazard(-f);
  return {.value = label * normal_log_cdf(f) + (1 - label) * normal_log_cdf(-f),
          .slope = label * up - (1 - label) * down,
          .curvature = std::max(label * up * (f + up) + (1 - label) * down * (down - f),
                                kCurvatureMin)};
}

}  // namespace

ClassFit fit_classes(const FeatureMap& map, const Design& design, const Theta& theta,
                     std::span<const double> labels) {
  const std::size_t n = labels.size();
  const double noise = Kernel(map, theta).noise();
  std::vector<double> f(n, 0.0);
  ClassFit out;
  double last = 1e300;
  for (int step = 0; step < kSteps; ++step) {
    out.outputs = {.values = std::vector<double>(n), .extra = std::vector<double>(n)};
    for (std::size_t i = 0; i < n; ++i) {
      const Local l = local(f[i], labels[i]);
      out.outputs.values[i] = f[i] + l.slope / l.curvature;
      // The learned noise comes on top in Process: what is meant is 1 / curvature alone.
      out.outputs.extra[i] = std::max(1 / l.curvature - noise, 0.0);
    }
    const Process process(map, design, theta, out.outputs);
    const std::vector<double> next = process.fitted();
    double move = 0;
    for (std::size_t i = 0; i < n; ++i) {
      // Damped: a full Newton step of a probit can overshoot far.
      const double d = std::clamp(next[i] - f[i], -2.0, 2.0);
      move = std::max(move, std::abs(d));
      f[i] += d;
    }
    out.energy = process.energy();
    if (move < kEnough || std::abs(out.energy - last) < 1e-6) break;
    last = out.energy;
  }
  // Laplace's evidence: the regression's, with each pseudo likelihood replaced by the true one.
  for (std::size_t i = 0; i < n; ++i) {
    const Local l = local(f[i], labels[i]);
    const double variance = out.outputs.extra[i] + noise;
    const double off = out.outputs.values[i] - f[i];
    out.energy -= l.value + 0.5 * off * off / variance +
                  0.5 * std::log(6.28318530717958647693 * variance);
  }
  return out;
}

}  // namespace arqon::solver
