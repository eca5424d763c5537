// What a model of the stack expects of the near future under one setting. A plain value: control
// may ask for one before a risky change without knowing who makes it. The twin makes it from the
// present state and the recent traffic (calibrate/look_ahead.h); whether it deserves belief is for
// its trust score to say (calibrate/trust.h).
#pragma once

#include <vector>

namespace arqon::serving {

struct Forecast {
  double horizon_s = 0;            // it speaks of (now, now + horizon_s]
  double output_tokens_per_s = 0;  // of requests that end in it
  double tpot_ms_p50 = 0;          // of requests that end in it; 0 when none does
  double ttft_ms_p50 = 0, ttft_ms_p90 = 0;
  double running = 0, waiting = 0;  // means over the horizon, all replicas
  double kv_use = 0;                // mean over the horizon, in [0, 1]
  std::vector<double> good_share;  // per class: good / (good + bad) of fates known in it; 1 if none
};

}  // namespace arqon::serving
