// Strategies side by side on a real engine: the same requests for each, in random order, repeated.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/compare/compare.h"
#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"
#include "arqon/load/load.h"
#include "arqon/serving/engine.h"

namespace arqon::compare {

struct LiveComparisonOptions {
  // Of "default" (what was found at attach), "rules", "random", "arqonhpo".
  std::vector<std::string> strategies{"default", "rules", "arqonhpo"};
  std::uint64_t repeats = 3;  // each strategy once a repeat, in an order drawn from the seed
  std::uint64_t seed = 0;     // of traffic (one per repeat), orders and the solver
  load::Options load;         // url, model, prompts; trace, classes and times are filled in here
  double rest_s = 2;          // between two runs, after the last answer
  const std::atomic<bool>* stop = nullptr;
  std::function<bool()> frozen;
  std::function<void(const Progress&)> progress;
};

// One run of a strategy is the whole scenario, sent by a load client in a thread of its own; what
// became of the requests is what that client saw. ArqonHPO keeps what it confirmed from repeat to
// repeat, as in service; its first repeat is cold. Every other run begins at the setting found at
// attach, which is also put back at the end. Phases of the result are the traffic's segments.
// The engine's confirmed set is moved along, so that no lease of one run lapses into another's.
Result<documents::TuneResult> compare_live(const documents::Scenario& scenario,
                                           serving::Engine& engine, Clock& clock,
                                           const LiveComparisonOptions& options);

}  // namespace arqon::compare
