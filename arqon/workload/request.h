// One request as it will arrive, before anything serves it.
#pragma once

#include <cstdint>
#include <vector>

#include "arqon/base/time.h"

namespace arqon::workload {

struct Request {
  Duration arrival{};  // intended arrival since the start of the run
  std::uint32_t prompt_tokens = 1;
  std::uint32_t output_tokens = 1;
  std::uint16_t request_class = 0;  // index into the scenario's classes
  bool backfill = false;
  std::uint8_t retries = 0;  // how often its client tries again when it is turned away
  float acceptance = 0;  // conditional acceptance of this request's draft tokens
};

// Sorted by arrival; shared by all strategies of a comparison so that they meet the same traffic.
using Trace = std::vector<Request>;

}  // namespace arqon::workload
