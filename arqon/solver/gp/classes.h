// Yes and no as an output: a probit model whose Laplace approximation is a regression with pseudo
// values and pseudo noise (Rasmussen & Williams 2006, 3.4).
#pragma once

#include <span>

#include "arqon/solver/gp/process.h"

namespace arqon::solver {

struct ClassFit {
  Outputs outputs;    // for a Process with the same map, design and theta
  double energy = 0;  // -log marginal likelihood, Laplace's
};

// labels[i] in [0, 1] is the chance of yes at point i. O(steps n^3).
ClassFit fit_classes(const FeatureMap& map, const Design& design, const Theta& theta,
                     std::span<const double> labels);

}  // namespace arqon::solver
