// The end of a study whose measurements are noisy: the leaders are measured again, in turns, and
// the study ends at the one that keeps its lead. The best of many noisy measurements is a lucky
// one; a setting that is measured again is only as good as it is.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "arqon/solver/solver.h"

namespace arqon::solver {

// One thread. Deterministic; draws nothing.
class Finals {
 public:
  // The finalists: what the solver would end at, measured or not, and the settings measured best
  // among those that met the constraints; `count` >= 1 in all, fewer when there are fewer.
  Finals(const Solver& solver, std::size_t count);

  // Whom to measure next: each finalist once, then of the two that lead the one measured less.
  // Nothing when nobody was allowed.
  std::optional<Config> next() const;
  // A measurement of a finalist; anything else is left out. As Solver::tell for its contract.
  void tell(const Trial& trial);
  // The finalist with the best posterior mean among those likely to meet the constraints; of
  // finalists that were never measured again the first. Nothing when nobody was allowed.
  std::optional<Config> best() const;

 private:
  struct Finalist {
    Config params;
    std::vector<double> losses;  // smaller is better; the failed ones are not among them
    double allowed = 0;          // summed P(constraints hold) of its measurements
    std::size_t told = 0;
    std::size_t again = 0;  // of them since the finals began
    // With one pseudo-measurement at even odds.
    double chance() const { return (allowed + 0.5) / (static_cast<double>(told) + 1); }
  };
  void add(const Trial& trial, Finalist& to) const;
  // Posterior mean losses: each finalist's mean, drawn to the mean of all as its noise demands.
  std::vector<double> posterior() const;
  // Finalists worth ending at, best first.
  std::vector<std::size_t> ranking() const;

  StudyConfig config_;
  std::vector<Finalist> finalists_;
};

}  // namespace arqon::solver
