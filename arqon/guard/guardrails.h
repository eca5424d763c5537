// What a change may be: the limits the safety executor enforces.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "arqon/base/time.h"

namespace arqon::guard {

// One entry per parameter, in the order of the Space. A simplex has one entry, measured in total
// variation (half the sum of absolute differences).
struct Limits {
  double min = 0;
  double max = 1;
  double max_delta = 0.1;  // native units, > 0; the largest step of one change
};

struct Guardrails {
  std::vector<Limits> limits;
  double max_updates_per_second = 1;     // experiment lane; > 0
  double reflex_updates_per_second = 1;  // reflex lane's own bucket; > 0
};

}  // namespace arqon::guard
