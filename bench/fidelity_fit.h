// Fits the twin's scalars to measured rows, with priors at the shipped values.
#pragma once

#include <vector>

#include "arqon/sim/calibration.h"
#include "bench/fidelity_rows.h"

namespace arqon::bench {

// Maximum a posteriori by Gauss-Newton on the logarithms of six scalars: host work per step and per
// sequence, streaming of weights, matrix products, front end, memory that is neither weights nor
// KV. Seven runs of every row per round, three rounds.
sim::Calibration fit(const std::vector<Row>& rows, const sim::Calibration& prior);

}  // namespace arqon::bench
