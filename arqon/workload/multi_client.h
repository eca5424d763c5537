// Many clients of unequal weight behind one service, as ServeGen measured them over 422 clients
// (simulator.md 4.2, 4.4): a few send most of the traffic; a client is active in some windows of
// ten minutes only, at a rate that varies around its level, with gaps that are Gamma or Weibull and
// more bursty than chance.
#pragma once

#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/rng.h"
#include "arqon/base/time.h"
#include "arqon/workload/arrivals.h"
#include "arqon/workload/spec.h"

namespace arqon::workload {

// Arrivals of all clients together in [0, duration_s), rising. `rates` are factors for everybody.
// kInvalidConfig: clients or skew out of range.
Result<std::vector<Duration>> multi_client_arrivals(const GeneratorSource& source,
                                                    const std::vector<RatePoint>& rates,
                                                    double duration_s, const Rng& rng);

}  // namespace arqon::workload
