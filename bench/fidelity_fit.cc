#include "bench/fidelity_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace arqon::bench {
namespace {

constexpr int kRounds = 3;
constexpr double kTpotSigma = 0.03, kTtftSigma = 0.3;  // of the logarithm
constexpr double kStarvedSigma = 0.1;                  // of the TTFT of rows that wait for memory
constexpr double kStarvedKvUse = 0.95;
constexpr double kStep = 0.05;      // of the logarithm, for slopes
constexpr double kResidualMax = 3;  // beyond it a row pulls no harder

struct Scalar {
  double sim::Calibration::*member;
  double prior_sigma;  // of the logarithm
};
constexpr std::size_t kScalars = 6;
constexpr std::array<Scalar, kScalars> kFitted = {{{&sim::Calibration::host_ms, 0.4},
                                                   {&sim::Calibration::host_ms_per_sequence, 0.7},
                                                   {&sim::Calibration::linear_memory, 0.05},
                                                   {&sim::Calibration::linear_compute, 0.1},
                                                   {&sim::Calibration::front_end_ms, 0.7},
                                                   {&sim::Calibration::other_memory_gb, 0.3}}};
using Vector = std::array<double, kScalars>;

sim::Calibration at(const sim::Calibration& prior, const Vector& logs) {
  sim::Calibration out = prior;
  for (std::size_t i = 0; i < kScalars; ++i) {
    out.*kFitted[i].member = prior.*kFitted[i].member * std::exp(logs[i]);
  }
  return out;
}

// Two residuals a row, in sigmas.
std::vector<double> residuals(const std::vector<Row>& rows, const sim::Calibration& calibration) {
  std::vector<double> out;
  for (const Row& row : rows) {
    const Predicted p = predict(row, calibration);
    out.push_back(std::log(p.tpot_ms / row.tpot_ms) / kTpotSigma);
    const double sigma = p.kv_use >= kStarvedKvUse ? kStarvedSigma : kTtftSigma;
    out.push_back(std::log(p.ttft_ms / row.ttft_ms) / sigma);
  }
  return out;
}

// Solves a x = b in place, a symmetric and positive definite.
Vector solve(std::array<Vector, kScalars> a, Vector b) {
  for (std::size_t i = 0; i < kScalars; ++i) {
    for (std::size_t j = i + 1; j < kScalars; ++j) {
      const double factor = a[j][i] / a[i][i];
      for (std::size_t k = i; k < kScalars; ++k) a[j][k] -= factor * a[i][k];
      b[j] -= factor * b[i];
    }
  }
  for (std::size_t i = kScalars; i-- > 0;) {
    for (std::size_t k = i + 1; k < kScalars; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

}  // namespace

sim::Calibration fit(const std::vector<Row>& rows, const sim::Calibration& prior) {
  Vector logs{};
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<double> here = residuals(rows, at(prior, logs));
    std::array<std::vector<double>, kScalars> slopes;
    for (std::size_t i = 0; i < kScalars; ++i) {
      Vector moved = logs;
      moved[i] += kStep;
      slopes[i] = residuals(rows, at(prior, moved));
      for (std::size_t r = 0; r < here.size(); ++r) slopes[i][r] -= here[r];
      for (double& slope : slopes[i]) slope /= kStep;
    }
    std::array<Vector, kScalars> normal{};
    Vector right{};
    for (std::size_t i = 0; i < kScalars; ++i) {
      const double precision = 1 / (kFitted[i].prior_sigma * kFitted[i].prior_sigma);
      normal[i][i] += precision;
      right[i] -= precision * logs[i];
      for (std::size_t r = 0; r < here.size(); ++r) {
        const double weight = std::min(1.0, kResidualMax / std::max(1e-9, std::abs(here[r])));
        right[i] -= weight * slopes[i][r] * here[r];
        for (std::size_t j = 0; j < kScalars; ++j) {
          normal[i][j] += weight * slopes[i][r] * slopes[j][r];
        }
      }
    }
    const Vector move = solve(normal, right);
    for (std::size_t i = 0; i < kScalars; ++i) logs[i] += std::clamp(move[i], -0.7, 0.7);
  }
  return at(prior, logs);
}

}  // namespace arqon::bench
