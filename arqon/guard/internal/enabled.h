// Whether a check is made: always. The mutation tests put testing/spoiled in front of this header,
// take one check out at a time, and demand that the property test then fails.
#pragma once

#include "arqon/guard/internal/check.h"

namespace arqon::guard::internal {

constexpr bool enabled(Check) { return true; }

// The sweep stands for all checks of values and steps at once: only while none is missing.
constexpr bool sweeping() { return true; }

}  // namespace arqon::guard::internal
