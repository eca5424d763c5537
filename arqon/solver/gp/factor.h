// Cholesky factor that grows by rows, and the few vector operations of Gaussian processes, all with
// one fixed order of operations: the same bits at every optimisation level.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace arqon::solver {

// Sum of products in four lanes joined at the end.
double dot(const double* a, const double* b, std::size_t n);

// A = L L', rows of the lower triangle one after the other. A copyable value.
class Factor {
 public:
  std::size_t size() const { return diagonal_.size(); }
  void clear();
  // Adds the next row of A: its covariances with the rows before and its own variance. O(n^2). A
  // pivot below 1e-10 of the variance is lifted to it, so a repeated point still factors.
  void append(std::span<const double> row, double variance);

  // In place: x := L^-1 x and x := L^-T x; x has size() numbers.
  void forward(std::span<double> x) const;
  void backward(std::span<double> x) const;
  // A^-1, row major, both triangles. O(n^3).
  std::vector<double> inverse() const;
  double log_determinant() const;

 private:
  const double* row(std::size_t i) const { return rows_.data() + i * (i + 1) / 2; }
  double* row(std::size_t i) { return rows_.data() + i * (i + 1) / 2; }

  std::vector<double> rows_;
  std::vector<double> diagonal_;
};

}  // namespace arqon::solver
