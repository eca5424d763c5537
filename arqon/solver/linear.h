// Dense symmetric solves with one fixed order of operations: the same bits on every machine.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace arqon::solver {

// Cholesky factor of a symmetric positive definite matrix, row major, n x n, lower triangle read.
class Cholesky {
 public:
  // A pivot below `floor` is lifted to it, so a nearly singular matrix still factors.
  Cholesky(std::vector<double> matrix, std::size_t n, double floor = 1e-12);

  std::size_t size() const { return n_; }
  // x with A x = b.
  std::vector<double> solve(std::span<const double> b) const;
  // b' A^-1 b.
  double inverse_norm(std::span<const double> b) const;

  // L^-1 b, with A = L L'.
  std::vector<double> forward(std::span<const double> b) const;

 private:
  std::vector<double> l_;        // lower factor, row major
  std::vector<double> columns_;  // its columns one after the other: substitution runs along them
  std::size_t n_;
};

}  // namespace arqon::solver
