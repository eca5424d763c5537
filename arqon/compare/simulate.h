// A scenario with one fixed setting, from the first request to the last answer: what `arqonhpo
// simulate` and Python's `arqonhpo.simulate` run.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"
#include "arqon/sim/step_log.h"
#include "arqon/sim/twin.h"

namespace arqon::compare {

struct SimulateOptions {
  // Values by slot of the scenario's setting that replace the boot values from the first moment on.
  std::vector<std::pair<std::size_t, double>> setting;
  bool record_requests = false;
  std::shared_ptr<sim::StepLog> step_log;  // null = not recorded
  // Called about 250 times with the share of the scenario's duration that is done; false stops the
  // run there, and the result is partial. May be empty.
  std::function<bool(double done)> keep_going;
};

struct Simulation {
  sim::Totals totals;
  std::vector<documents::PoolTotals> pools;
  std::vector<sim::RequestRow> requests;  // when recorded
  double simulated_s = 0;
  bool partial = false;  // stopped: totals speak of the time until then
};

// kInvalidConfig, kUnavailable from the workload and the twin.
Result<Simulation> simulate(const documents::Scenario& scenario, const SimulateOptions& options);

// The rows of `--requests`: arrival_s, class, prompt_tokens, output_tokens, ttft_ms, tpot_ms,
// max_gap_ms, e2e_ms, broke, replica; a header row first.
std::string requests_csv(const documents::Scenario& scenario,
                         const std::vector<sim::RequestRow>& rows);

}  // namespace arqon::compare
