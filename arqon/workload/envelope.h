// How the rate of a workload moves through the day, whatever its source: segments, the daily
// wave and flash crowds as one list of factors.
#pragma once

#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/rng.h"
#include "arqon/workload/arrivals.h"
#include "arqon/workload/spec.h"

namespace arqon::workload {

// Factor of the daily wave at `t_s`; its mean over a week without weekends is 1.
double diurnal_factor(const Diurnal& diurnal, double t_s);

// Factors over [0, duration_s): the segments' times the wave's (in steps of a 1440th of its period)
// times the spikes', which are drawn from `rng`. kInvalidConfig names a value out of its range, or
// more than a million points.
Result<std::vector<RatePoint>> rate_envelope(const Spec& spec, double duration_s, const Rng& rng);

}  // namespace arqon::workload
