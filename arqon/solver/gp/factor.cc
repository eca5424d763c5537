#include "arqon/solver/gp/factor.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::solver {
namespace {

constexpr double kPivotShareMin = 1e-10;

// y -= scale * x
void subtract(double* __restrict y, const double* __restrict x, double scale, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) y[i] -= scale * x[i];
}

}  // namespace

double dot(const double* a, const double* b, std::size_t n) {
  double s0 = 0;
  double s1 = 0;
  double s2 = 0;
  double s3 = 0;
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    s0 += a[i] * b[i];
    s1 += a[i + 1] * b[i + 1];
    s2 += a[i + 2] * b[i + 2];
    s3 += a[i + 3] * b[i + 3];
  }
  for (; i < n; ++i) s0 += a[i] * b[i];
  return (s0 + s2) + (s1 + s3);
}

void Factor::clear() {
  rows_.clear();
  diagonal_.clear();
}

void Factor::append(std::span<const double> covariances, double variance) {
  const std::size_t n = size();
  ARQON_ASSERT(covariances.size() == n);
  rows_.insert(rows_.end(), covariances.begin(), covariances.end());
  rows_.push_back(0);
  double* const own = row(n);
  for (std::size_t j = 0; j < n; ++j) {
    own[j] = (own[j] - dot(own, row(j), j)) / diagonal_[j];
  }
  const double pivot = std::max(variance - dot(own, own, n), kPivotShareMin * variance);
  own[n] = std::sqrt(pivot);
  diagonal_.push_back(own[n]);
}

void Factor::forward(std::span<double> x) const {
  for (std::size_t i = 0; i < size(); ++i) {
    x[i] = (x[i] - dot(row(i), x.data(), i)) / diagonal_[i];
  }
}

void Factor::backward(std::span<double> x) const {
  for (std::size_t i = size(); i-- > 0;) {
    x[i] /= diagonal_[i];
    subtract(x.data(), row(i), x[i], i);
  }
}

std::vector<double> Factor::inverse() const {
  const std::size_t n = size();
  std::vector<double> m(n * n, 0.0);  // L^-1
  for (std::size_t i = 0; i < n; ++i) {
    double* const own = m.data() + i * n;
    own[i] = 1;
    for (std::size_t k = 0; k < i; ++k) subtract(own, m.data() + k * n, row(i)[k], k + 1);
    for (std::size_t k = 0; k <= i; ++k) own[k] /= diagonal_[i];
  }
  std::vector<double> out(n * n, 0.0);
  for (std::size_t k = 0; k < n; ++k) {
    const double* const own = m.data() + k * n;
    for (std::size_t i = 0; i <= k; ++i) subtract(out.data() + i * n, own, -own[i], i + 1);
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < i; ++j) out[j * n + i] = out[i * n + j];
  }
  return out;
}

double Factor::log_determinant() const {
  double sum = 0;
  for (const double d : diagonal_) sum += std::log(d);
  return 2 * sum;
}

}  // namespace arqon::solver
