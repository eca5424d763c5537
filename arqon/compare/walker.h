// Drives a simple policy over a twin under the same guardrails and windows as the loop: at each
// window it may name a target, to which the walker glides.
#pragma once

#include <atomic>
#include <functional>
#include <optional>

#include "arqon/base/result.h"
#include "arqon/compare/evaluate.h"
#include "arqon/control/run_record.h"
#include "arqon/documents/scenario.h"
#include "arqon/serving/engine.h"

namespace arqon::compare {

// Asked once a second with the setting in force and, when a window has just closed, that window.
// Returns a new target, or nothing to keep the old one.
using Policy = std::function<std::optional<Config>(TimePoint now, const Config& in_force,
                                                   const control::WindowRecord* window)>;

// From now until `end` on the clock; the engine's knobs are the scenario's. kInterrupted when
// `stop` was set before the end.
Result<control::RunRecord> walk(const documents::Scenario& scenario, serving::Engine& engine,
                                Clock& clock, TimePoint end, const Policy& policy,
                                const std::atomic<bool>* stop = nullptr);

}  // namespace arqon::compare
