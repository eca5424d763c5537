// What the step-time model says of one observed window, without simulating it: the regression that
// calibration fits. Given the batch that was seen, it tells the pace; whether the model also finds
// the batch by itself only a replay in the twin can tell (trust.h).
//
// With n sequences in the batch and answers of o tokens, n / o requests join in each step. Their
// chunks meet a step with probability q = 1 - exp(-joins), m = joins / q of them on average:
//   T0 = step of n decodes      T1 = step of n - m decodes and m chunks
//   step = (1 - q) T0 + q T1    gap = the same, weighted by the sequences that wait for it
#pragma once

#include "arqon/base/result.h"
#include "arqon/calibrate/observation.h"
#include "arqon/sim/calibration.h"
#include "arqon/sim/fleet.h"
#include "arqon/sim/step_time.h"

namespace arqon::calibrate {

// All in ms, 0 where the window does not say enough.
struct Pace {
  double step_ms = 0;
  double gap_ms = 0;
  double output_tokens_per_s = 0;  // if the engine is never idle
  // First token of a request that need not queue, front end included; and its whole duration.
  double ttft_ms = 0;
  double e2e_ms = 0;
};

// One replica of a pool; immutable.
class Predictor {
 public:
  // kInvalidConfig for an unknown model or GPU.
  static Result<Predictor> create(const sim::PoolSpec& pool);
  Pace predict(const Observation& window) const;

 private:
  Predictor(sim::StepTime step_time, double budget, double front_end_ms)
      : step_time_(std::move(step_time)), budget_(budget), front_end_ms_(front_end_ms) {}
  double step_ms(double decodes, double context, double chunks, double chunk_tokens,
                 double completed) const;

  sim::StepTime step_time_;
  double budget_;
  double front_end_ms_;
};

}  // namespace arqon::calibrate
