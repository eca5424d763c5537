// arqonhpo tune on a live engine.
#pragma once

#include <atomic>

#include "apps/arqonhpo/command_line.h"
#include "apps/arqonhpo/console.h"
#include "apps/arqonhpo/tune_results.h"
#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/documents/scenario.h"
#include "arqon/os/process.h"
#include "arqon/serving/engine.h"

namespace arqon::app {

// Unknown engine names are kInvalidConfig with the nearest known one. Nothing is attached to.
Status check_engine(const documents::Scenario& scenario);

// An engine, and the scenario with what only the engine knew filled in.
struct Attached {
  std::unique_ptr<serving::Engine> engine;
  documents::Scenario scenario;
};
// Attaches as the document asks; every problem with it goes to stderr. `clock` outlives the engine.
// `actuator_only`: for an agent; see adapters::AttachRequest.
Result<Attached> attach(const documents::Scenario& scenario, Clock& clock, const Console& console,
                        bool actuator_only = false);

// Exit code, or why nothing was done.
Result<int> tune_live(const TuneArgs& args, const documents::Scenario& scenario,
                      const Places& places, const std::atomic<bool>& stop, Console& console);

// The same with --compare: this program sends the scenario's traffic itself, and every strategy
// gets it in turn, repeat by repeat.
Result<int> compare_on_live(const TuneArgs& args, const documents::Scenario& scenario,
                            const Places& places, const std::atomic<bool>& stop, Console& console);

}  // namespace arqon::app
