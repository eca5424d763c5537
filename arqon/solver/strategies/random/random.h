// Uniform random points: the baseline every other strategy has to beat.
#pragma once

#include <optional>
#include <vector>

#include "arqon/solver/strategy.h"

namespace arqon::solver {

class RandomStrategy {
 public:
  std::vector<Config> propose(const View& view, Rng& rng, std::size_t count);
  void observe(const View&, const Trial&) {}
  // Knows nothing of a model: the mean and spread of what was measured.
  Prediction predict(const View& view, const Config& config) const;
  // Best measured feasible point.
  std::optional<Config> best(const View& view) const;
};

}  // namespace arqon::solver
