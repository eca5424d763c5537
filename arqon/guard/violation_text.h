// Violations in words, for records and terminals. Not for the hot path: allocates.
#pragma once

#include <string>

#include "arqon/guard/safety_executor.h"
#include "arqon/space/space.h"

namespace arqon::guard {

// One sentence without a full stop that names the knob, what was proposed and the limit, e.g.
// "main.batch_size: 512 is further than 64 from the value in force". Empty for kNone.
std::string describe(const Violation& violation, const Space& space);

}  // namespace arqon::guard
