// What replicas did, run of steps by run of steps, for people who want to see it (simulate
// --gantt). Recording changes nothing in the run.
#pragma once

#include <cstdint>
#include <vector>

#include "arqon/sim/step_time.h"

namespace arqon::sim {

// One step, or several alike without an event between them.
struct StepRun {
  Ps begin = 0, end = 0;
  std::uint32_t steps = 1;
  std::uint32_t decodes = 0;       // sequences that decode in each
  std::uint32_t chunks = 0;        // prefill chunks; only where steps is 1
  std::uint32_t chunk_tokens = 0;  // tokens in them
  std::uint32_t waiting = 0;       // requests queued at its begin
  float kv_use = 0;                // at its begin, in [0, 1]
  std::uint16_t replica = 0;       // fleet-wide
};

// Keeps runs that overlap [from, to), at most `most` of them, the first ones.
struct StepLog {
  Ps from = 0, to = 0;
  std::size_t most = 0;
  std::vector<StepRun> runs;
  bool full = false;  // something was left out

  void add(const StepRun& run) {
    if (run.end <= from || run.begin >= to) return;
    if (runs.size() < most) {
      runs.push_back(run);
    } else {
      full = true;
    }
  }
};

}  // namespace arqon::sim
