// When requests arrive: fitted processes in operational time, so that a rate factor stretches or
// compresses gaps without smoothing bursts away.
#pragma once

#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/rng.h"
#include "arqon/base/time.h"
#include "arqon/workload/spec.h"

namespace arqon::workload {

// From at_s on the source's own rate is multiplied by `factor` >= 0.
struct RatePoint {
  double at_s = 0;
  double factor = 1;
};
// Rates of `segments` (sorted); the first point is at 0.
std::vector<RatePoint> rate_points(const std::vector<Segment>& segments);

// Arrivals in [0, duration_s), rising. The state path of a Markov-modulated process depends on
// `rng` alone, not on rates. kInvalidConfig: unknown generator, rate or cv out of range, or more
// than 50 million requests expected.
Result<std::vector<Duration>> generate_arrivals(const GeneratorSource& source,
                                                const std::vector<RatePoint>& rates,
                                                double duration_s, const Rng& rng);

}  // namespace arqon::workload
