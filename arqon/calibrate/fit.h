// Calibration: the few scalars of the twin, from what a deployment was seen to do. Equation numbers
// of the model: docs/reference/simulator.md.
//
// Without a window the result is the defaults ("config"). Windows of one request at a time ("idle")
// and of traffic ("running") go through the same regression: each tells its mean gap; its
// throughput where a queue stood (then the engine was never idle); the time to the first token, or
// the round trip of a closed loop, where none did. Log-normal priors at the defaults, Huber's loss,
// old windows forgotten by half-life. Below six windows the priors are twice as narrow: free
// scalars on few points made predictions worse (docs/reference/simulator.md).
#pragma once

#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/calibrate/observation.h"
#include "arqon/sim/calibration.h"
#include "arqon/sim/fleet.h"

namespace arqon::calibrate {

struct FitOptions {
  double half_life_s = 1200;  // of the weight of a window; 0 = never forgotten
  // Factor on the width of every prior: 1 for hardware that the twin knows, more for a description
  // of one's own, whose efficiencies nobody has fitted.
  double prior_width = 1;
};

// One scalar as it came out.
struct Scalar {
  std::string name;  // as in the calibration document
  double value = 0;
  double prior = 0;          // where it began
  double low = 0, high = 0;  // 95 %; the prior's own where the windows say nothing
};

struct Fit {
  sim::Calibration calibration;
  std::vector<Scalar> scalars;
  std::string source;        // "config" | "idle" | "running"
  std::size_t windows = 0;   // that told anything
  std::size_t left_out = 0;  // too short, empty or broken
  // Mean of |log(model / seen)| over what was fitted, in the sample, as shares (0.05 = 5 %).
  double gap_error = 0, throughput_error = 0;
  double gap_error_before = 0, throughput_error_before = 0;  // with the scalars it began with
  // Tokens that the KV cache holds, as running, lengths and KV use tell together; 0 = not told.
  double kv_tokens = 0;
};

// `pool` begins with its own calibration. kInvalidConfig for an unknown model or GPU; kInconclusive
// never: too little data gives the priors back, with their width.
Result<Fit> fit(const sim::PoolSpec& pool, const Observations& windows,
                const FitOptions& options = {});

}  // namespace arqon::calibrate
