#include "arqon/calibrate/least_squares.h"

#include <algorithm>
#include <cmath>

namespace arqon::calibrate {
namespace {

constexpr double kDifference = 1e-4;
constexpr double kConverged = 1e-9;
constexpr double kDampingMin = 1e-9, kDampingMax = 1e9;

using Matrix = std::vector<double>;  // n x n, row by row

// Lower Cholesky factor in place; false when the matrix is not positive definite.
bool factorise(Matrix& a, std::size_t n) {
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      if (i == j) {
        if (!(sum > 0)) return false;
        a[j * n + j] = std::sqrt(sum);
      } else {
        a[i * n + j] = sum / a[j * n + j];
      }
    }
  }
  return true;
}

void solve(const Matrix& l, std::size_t n, std::vector<double>& b) {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= l[i * n + k] * b[k];
    b[i] /= l[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= l[k * n + i] * b[k];
    b[i] /= l[i * n + i];
  }
}

double huber_weight(double r, double k) { return std::abs(r) <= k ? 1 : k / std::abs(r); }

// The normal equations at one point.
class Problem {
 public:
  Problem(const Residuals& residuals, std::span<const double> prior_sd,
          const LeastSquaresOptions& options)
      : residuals_(residuals), prior_sd_(prior_sd), options_(options), n_(prior_sd.size()) {}

  double cost_at(std::span<const double> x, std::vector<double>& r) const {
    r.clear();
    residuals_(x, r);
    double sum = 0;
    for (double& v : r) {
      if (std::isnan(v)) v = 0;
      const double a = std::abs(v), k = options_.huber;
      sum += a <= k ? v * v : k * (2 * a - k);
    }
    for (std::size_t j = 0; j < n_; ++j) sum += x[j] * x[j] / (prior_sd_[j] * prior_sd_[j]);
    return sum;
  }

  // Gauss-Newton matrix and half the gradient.
  void linearise(std::span<const double> x, const std::vector<double>& r, Matrix& a,
                 std::vector<double>& g) const {
    std::vector<std::vector<double>> columns(n_);
    std::vector<double> moved(x.begin(), x.end());
    for (std::size_t j = 0; j < n_; ++j) {
      moved[j] = x[j] + kDifference;
      std::vector<double>& column = columns[j];
      residuals_(moved, column);
      for (std::size_t i = 0; i < column.size(); ++i) {
        column[i] = std::isnan(column[i]) ? 0 : (column[i] - r[i]) / kDifference;
      }
      moved[j] = x[j];
    }
    a.assign(n_ * n_, 0);
    g.assign(n_, 0);
    for (std::size_t i = 0; i < r.size(); ++i) {
      const double w = huber_weight(r[i], options_.huber);
      for (std::size_t j = 0; j < n_; ++j) {
        g[j] += w * columns[j][i] * r[i];
        for (std::size_t k = 0; k < n_; ++k) a[j * n_ + k] += w * columns[j][i] * columns[k][i];
      }
    }
    for (std::size_t j = 0; j < n_; ++j) {
      const double precision = 1 / (prior_sd_[j] * prior_sd_[j]);
      a[j * n_ + j] += precision;
      g[j] += precision * x[j];
    }
  }

 private:
  const Residuals& residuals_;
  std::span<const double> prior_sd_;
  const LeastSquaresOptions& options_;
  std::size_t n_;
};

std::vector<double> standard_deviations(Matrix a, std::size_t n, double scale) {
  std::vector<double> out(n, 0);
  if (!factorise(a, n)) return out;
  for (std::size_t j = 0; j < n; ++j) {
    std::vector<double> unit(n, 0);
    unit[j] = 1;
    solve(a, n, unit);
    out[j] = std::sqrt(std::max(0.0, unit[j]) * scale);
  }
  return out;
}

}  // namespace

Minimum minimise(const Residuals& residuals, std::span<const double> prior_sd,
                 const LeastSquaresOptions& options) {
  const std::size_t n = prior_sd.size();
  const Problem problem(residuals, prior_sd, options);
  Minimum out;
  out.x.assign(n, 0);
  std::vector<double> r, trial_r, g;
  Matrix a;
  out.cost = problem.cost_at(out.x, r);
  double damping = 1e-3;
  for (; out.iterations < options.iterations_max && !out.converged; ++out.iterations) {
    problem.linearise(out.x, r, a, g);
    bool stepped = false;
    while (!stepped && damping < kDampingMax) {
      Matrix damped = a;
      for (std::size_t j = 0; j < n; ++j) damped[j * n + j] *= 1 + damping;
      std::vector<double> step(g);
      if (factorise(damped, n)) {
        solve(damped, n, step);
        std::vector<double> trial(out.x);
        for (std::size_t j = 0; j < n; ++j) {
          trial[j] -= std::clamp(step[j], -options.step_max, options.step_max);
        }
        const double cost = problem.cost_at(trial, trial_r);
        if (cost < out.cost) {
          out.converged = out.cost - cost <= kConverged * (1 + out.cost);
          out.x = std::move(trial);
          out.cost = cost;
          r = trial_r;
          damping = std::max(kDampingMin, damping / 5);
          stepped = true;
          continue;
        }
      }
      damping *= 4;
    }
    // No direction goes down any more: this is the bottom as far as the differences can see.
    if (!stepped) out.converged = true;
  }
  problem.linearise(out.x, r, a, g);
  double squares = 0;
  for (const double v : r) squares += huber_weight(v, options.huber) * v * v;
  const double degrees = std::max(1.0, static_cast<double>(r.size()) - static_cast<double>(n));
  out.sd = standard_deviations(std::move(a), n, std::max(1.0, squares / degrees));
  for (std::size_t j = 0; j < n; ++j) out.sd[j] = std::min(out.sd[j], prior_sd[j]);
  return out;
}

}  // namespace arqon::calibrate
