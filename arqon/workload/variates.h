// Random variates that several generators draw.
#pragma once

#include "arqon/base/rng.h"

namespace arqon::workload {

// Gamma with shape > 0 and scale 1 (Marsaglia and Tsang 2000; shapes under 1 by the usual power of
// a uniform).
double gamma_variate(double shape, Rng& rng);
// A gap with mean 1: Gamma with the coefficient of variation `cv` > 0.
double gamma_gap(double cv, Rng& rng);

}  // namespace arqon::workload
