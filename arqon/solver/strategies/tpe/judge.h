// What a trial says, before any model: a loss to learn from, and whether the setting is allowed.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/study.h"

namespace arqon::solver {

// A trial as the models see it. `loss` is smaller-is-better and absent when the trial failed.
struct Observation {
  Point at;
  std::optional<double> loss;
  double feasible = 1;       // P(every constraint holds), given this one measurement
  std::uint64_t order = 0;   // position in the history
};

// Where the setting in force lay, what it brought, and how surely it was allowed.
Observation observe_trial(const StudyConfig& config, const Encoding& encoding, const Trial& trial,
                          std::uint64_t order);

// P(constraint holds) given one measured metric. A count (n, over) is a binomial under Jeffreys'
// prior; an interval (lo, hi) is a normal with 95 % inside; a bare number is yes or no.
double constraint_probability(const Constraint& constraint, const Metric& metric);

// Which losses are no measurements but penalties for forbidden settings (e.g. reward -1000).
struct Penalty {
  std::optional<double> value;   // exactly this loss
  double threshold;              // this loss and worse; +infinity when there is no such group

  bool covers(double loss) const { return loss >= threshold || (value && loss == *value); }
};

// Two signs count: the loss that repeats most does so to the last bit at different settings
// and is not the best, while the others hardly repeat, or a group of the worst lies further off
// than all others spread.
Penalty find_penalty(std::span<const Observation> observations);

// Regularised incomplete beta function I_x(a, b), a, b > 0, x in [0, 1]; Lentz's continued
// fraction (DLMF 8.17.22), relative error below 1e-10.
double incomplete_beta(double a, double b, double x);

}  // namespace arqon::solver
