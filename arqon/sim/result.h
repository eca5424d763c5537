// What a simulated run came to: the totals of `simulate --json`, the same as a measured run's.
#pragma once

#include "arqon/serving/totals.h"

namespace arqon::sim {

using serving::ClassResult;
using serving::Quantiles;
using serving::Totals;

}  // namespace arqon::sim
