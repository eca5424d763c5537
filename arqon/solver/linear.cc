#include "arqon/solver/linear.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"

namespace arqon::solver {

Cholesky::Cholesky(std::vector<double> matrix, std::size_t n, double floor)
    : l_(std::move(matrix)), n_(n) {
  ARQON_ASSERT(l_.size() == n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double sum = l_[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= l_[i * n + k] * l_[j * n + k];
      l_[i * n + j] = i == j ? std::sqrt(std::max(sum, floor)) : sum / l_[j * n + j];
    }
  }
  columns_.resize(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) columns_[j * n + i] = l_[i * n + j];
  }
}

std::vector<double> Cholesky::forward(std::span<const double> b) const {
  ARQON_ASSERT(b.size() == n_);
  std::vector<double> y(b.begin(), b.end());
  double* const __restrict out = y.data();
  for (std::size_t k = 0; k < n_; ++k) {
    const double* const __restrict column = columns_.data() + k * n_;
    const double pivot = out[k] /= column[k];
    for (std::size_t i = k + 1; i < n_; ++i) out[i] -= column[i] * pivot;
  }
  return y;
}

std::vector<double> Cholesky::solve(std::span<const double> b) const {
  std::vector<double> x = forward(b);
  for (std::size_t i = n_; i-- > 0;) {
    for (std::size_t k = i + 1; k < n_; ++k) x[i] -= l_[k * n_ + i] * x[k];
    x[i] /= l_[i * n_ + i];
  }
  return x;
}

double Cholesky::inverse_norm(std::span<const double> b) const {
  double sum = 0;
  for (const double v : forward(b)) sum += v * v;
  return sum;
}

}  // namespace arqon::solver
