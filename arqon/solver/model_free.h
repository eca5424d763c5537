// What strategies without a model of their own answer, and the search for a point nobody holds.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "arqon/solver/strategy.h"

namespace arqon::solver {

// Loss of a trial: smaller is better whatever the study's direction; nothing when it failed.
std::optional<double> loss_of(const StudyConfig& config, const Trial& trial);
// The number a user sees for a loss: the reverse of loss_of's sign.
double user_value(const StudyConfig& config, double loss);
// True when the trial did not fail and every constraint holds at its measured value.
bool meets_constraints(const StudyConfig& config, const Trial& trial);

// Mean and spread of all measured objectives, and the share that met the constraints.
Prediction sample_prediction(const View& view);
// Params of the feasible trial with the smallest loss, the earliest of equals.
std::optional<Config> best_measured(const View& view);

// Draws until a point is neither pending nor in `taken`; after enough misses the first free point
// of a finite space. Empty when there is none.
Config free_point(const View& view, std::span<const Config> taken,
                  const std::function<Config()>& draw);

}  // namespace arqon::solver
