// One static setting on one stretch of traffic: the unit of work of every search.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/control/loop_options.h"
#include "arqon/documents/scenario.h"
#include "arqon/sim/twin.h"
#include "arqon/workload/request.h"

namespace arqon::compare {

using SharedTrace = std::shared_ptr<const workload::Trace>;

// The requests of the whole run under `seed`.
Result<SharedTrace> make_trace(const documents::Scenario& scenario, std::uint64_t seed);
// Requests that arrive in [from_s, to_s), moved to start at 0.
SharedTrace slice(const workload::Trace& trace, double from_s, double to_s);
// Start times of the segments of all workloads, and the end of the run: n + 1 numbers for n parts.
std::vector<double> segment_bounds(const documents::Scenario& scenario);

// Everything of a twin that the scenario says.
sim::TwinOptions twin_options_of(const documents::Scenario& scenario, const SharedTrace& trace,
                                 std::uint64_t seed);
// A twin of the scenario's fleet over `trace`, at its boot setting.
Result<std::unique_ptr<sim::Twin>> make_twin(const documents::Scenario& scenario,
                                             const SharedTrace& trace, std::uint64_t seed);
// Totals of a static setting; in force from the first moment, drained at the end.
Result<sim::Totals> evaluate(const documents::Scenario& scenario, const SharedTrace& trace,
                             double duration_s, std::uint64_t seed, const Config& setting);

// The loop's options as the scenario states them.
control::LoopOptions loop_options(const documents::Scenario& scenario, std::uint64_t seed);

// The scenario's measure, lower is better: bad_share, dollars per million good tokens, minus good
// tokens, or p90 of TTFT in ms.
double measure_of(std::string_view measure, const sim::Totals& totals);

}  // namespace arqon::compare
