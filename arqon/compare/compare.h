// Runs strategies over the same traffic and lays them side by side.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::compare {

// All strategies of the comparison, in the order of its table.
const std::vector<std::string>& strategy_names();

// Where a comparison stands. `fraction` in [0, 1] over everything to be run; `what` is a short
// phrase such as "seed 2: hindsight, 120 of 300 settings".
struct Progress {
  double fraction = 0;
  std::string what;
};

struct CompareOptions {
  std::vector<std::string> strategies;  // empty = all
  std::vector<std::uint64_t> seeds;     // empty = the scenario's own
  unsigned threads = 1;
  std::filesystem::path baselines;      // stored yesterday/hindsight/oracle rows; "" = none
  bool recompute_baselines = false;     // search again even where the file has them
  std::uint64_t screen_settings = 300;  // settings hindsight screens
  std::function<void(const Progress&)> progress;  // called from one thread at a time
  const std::atomic<bool>* stop = nullptr;        // set it to end early and keep what is finished
  std::function<bool()> frozen;                   // asked before every write of the live strategy
};

// kInterrupted never: an early stop returns the runs that were finished and says so in `remarks`.
Result<documents::TuneResult> compare(const documents::Scenario& scenario,
                                      const CompareOptions& options);

}  // namespace arqon::compare
