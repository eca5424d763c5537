// What one model has done since the server began, from its nv_* series, and what a latency limit
// can be judged by. Counters go on through reloads and begin again at a restart and at unload+load.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/wire/prometheus.h"

namespace arqon::adapters::triton {

struct Counters {
  double success = 0;
  // Timed out in the queue or failed in the backend. What a full queue refuses is in none of
  // Triton's counters, and an error that the model itself answers counts as success.
  double failure = 0;
  double backend = 0;     // of those: computed, and the backend failed
  double inferences = 0;  // rows
  double executions = 0;  // batches
  double request_us = 0;  // summed over requests
  double queue_us = 0;
  double pending = 0;  // gauge: requests that wait now

  // Something that only grows has shrunk: the counters began again.
  bool fell_since(const Counters& earlier) const;
};

// kRefused when the series of this model are not there or are no numbers.
Result<Counters> read_counters(const wire::Exposition& exposition, std::string_view model);

// One quantile of nv_inference_request_summary_us; ms is NaN when nothing was served of late.
struct Quantile {
  double q = 0;
  double ms = 0;
};
// In rising order; empty when summaries are not switched on.
std::vector<Quantile> read_summary(const wire::Exposition& exposition, std::string_view model);

// Which share of requests took longer than `limit_ms`, as far as quantiles tell.
struct ShareBounds {
  double least = 0;
  double most = 1;
};
// Nothing when the quantiles are not there or hold no numbers.
std::optional<ShareBounds> share_above(const std::vector<Quantile>& summary, double limit_ms);

}  // namespace arqon::adapters::triton
