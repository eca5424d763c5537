#include "arqon/solver/gp/process.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::solver {
namespace {
constexpr double kLogTwoPi = 1.83787706640934548356;
constexpr double kVarianceMin = 1e-16;
}  // namespace

Process::Process(const FeatureMap& map, const Design& design, const Theta& theta,
                 const Outputs& outputs)
    : map_(&map), design_(&design), kernel_(map, theta), outputs_(outputs) {
  ARQON_ASSERT(outputs_.values.size() == outputs_.extra.size());
  ARQON_ASSERT(outputs_.values.size() <= design.size());
  for (const double extra : outputs_.extra) add_row(extra);
  solve();
}

void Process::add_row(double extra) {
  const std::size_t n = factor_.size();
  const FeatureRow at = design_->row(n);
  std::vector<double> row(n);
  kernel_.covariances(*design_, n, at, row.data());
  factor_.append(row, kernel_.prior(at) + kernel_.noise() + extra);
}

void Process::solve() {
  alpha_ = outputs_.values;
  factor_.forward(alpha_);
  factor_.backward(alpha_);
}

void Process::append(double value) {
  outputs_.values.push_back(value);
  outputs_.extra.push_back(0);
  add_row(0);
  solve();
}

double Process::mean(const FeatureRow& at) const {
  std::vector<double> k(size());
  kernel_.covariances(*design_, size(), at, k.data());
  return dot(k.data(), alpha_.data(), size());
}

Moments Process::at(const FeatureRow& at) const {
  std::vector<double> k(size());
  kernel_.covariances(*design_, size(), at, k.data());
  Moments out{.mean = dot(k.data(), alpha_.data(), size())};
  factor_.forward(k);
  out.variance = std::max(kernel_.prior(at) - dot(k.data(), k.data(), size()), kVarianceMin);
  return out;
}

Moments Process::at(const FeatureRow& at, Slopes& slopes) const {
  std::vector<double> k(size());
  kernel_.covariances(*design_, size(), at, k.data());
  Moments out{.mean = dot(k.data(), alpha_.data(), size())};
  factor_.forward(k);
  out.variance = std::max(kernel_.prior(at) - dot(k.data(), k.data(), size()), kVarianceMin);
  factor_.backward(k);
  slopes.mean.assign(map_->size(), 0.0);
  slopes.variance.assign(map_->size(), 0.0);
  kernel_.add_slopes(*design_, size(), at, alpha_.data(), slopes.mean.data());
  for (double& v : k) v *= -2;
  kernel_.add_slopes(*design_, size(), at, k.data(), slopes.variance.data());
  kernel_.add_prior_slopes(at, slopes.variance.data());
  return out;
}

std::vector<double> Process::fitted() const {
  // K alpha = values - noise * alpha.
  std::vector<double> out(size());
  for (std::size_t i = 0; i < size(); ++i) {
    out[i] = outputs_.values[i] - (kernel_.noise() + outputs_.extra[i]) * alpha_[i];
  }
  return out;
}

std::vector<double> Process::left_out_means() const {
  const std::vector<double> inverse = factor_.inverse();
  std::vector<double> out(size());
  for (std::size_t i = 0; i < size(); ++i) {
    out[i] = outputs_.values[i] - alpha_[i] / std::max(inverse[i * size() + i], 1e-300);
  }
  return out;
}

double Process::energy(std::span<double> gradient) const {
  const std::size_t n = size();
  const double value = 0.5 * dot(outputs_.values.data(), alpha_.data(), n) +
                       0.5 * factor_.log_determinant() + 0.5 * static_cast<double>(n) * kLogTwoPi;
  if (gradient.empty()) return value;
  std::vector<double> w = factor_.inverse();
  double noise = 0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      w[i * n + j] = 0.5 * (w[i * n + j] - alpha_[i] * alpha_[j]);
    }
    noise += w[i * n + i];
  }
  kernel_.add_gradient(*design_, n, w.data(), gradient);
  gradient[map_->groups() + kNoise] += kernel_.noise() * noise;
  return value;
}

}  // namespace arqon::solver
