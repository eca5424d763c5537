// Stands in front of the real header in the mutation tests: one check is left out, chosen at run
// time.
#pragma once

#include "arqon/guard/internal/check.h"

namespace arqon::guard::internal {

// -1: none is left out.
inline int left_out = -1;

inline bool enabled(Check check) { return static_cast<int>(check) != left_out; }

// With a check of values missing the sweep, which makes them all, must not answer in its place.
inline bool sweeping() { return left_out < 0; }

}  // namespace arqon::guard::internal
