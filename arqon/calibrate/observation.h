// What one window of a running engine looked like, by its own counters and gauges. Of one replica:
// readers divide what a fleet of them reports together. docs/howto/calibrate.md tells where each
// number comes from.
#pragma once

#include <vector>

namespace arqon::calibrate {

// 0 = not told, wherever that is no measurement.
struct Observation {
  double t_s = 0;                   // end of the window on any axis that rises
  double seconds = 0;               // its length, above 0
  double batch_size = 0;            // running cap in force; 0 = the pool's
  double prefill_token_budget = 0;  // tokens per step in force; 0 = the pool's
  double concurrency = 0;           // clients of a closed loop; 0 = arrivals are open
  double running = 0;               // requests in the batch, mean over the window
  double waiting = 0;               // requests in the engine's queue, mean
  double kv_use = -1;               // share of KV blocks in use, mean; below 0 = not told
  double finished = 0;              // requests that ended in the window
  double prompt_tokens = 0;         // of requests that began to be computed in it
  double output_tokens = 0;         // generated in it
  double steps = 0;                 // engine steps in it
  double gap_ms = 0;                // mean time between two tokens of a request
  double ttft_ms = 0;               // mean time to the first token, by the server's clock
  double e2e_ms = 0;                // mean duration, by the server's clock

  double prompt_length() const { return finished > 0 ? prompt_tokens / finished : 0; }
  double output_length() const { return finished > 0 ? output_tokens / finished : 0; }
};

using Observations = std::vector<Observation>;

}  // namespace arqon::calibrate
