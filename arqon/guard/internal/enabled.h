// Names of the guard's checks. The mutation tests put a header of their own in front of this one,
// in which enabled() is false for one check, and demand that the property test then fails.
#pragma once

#include <cstdint>

namespace arqon::guard::internal {

enum class Check : std::uint8_t {
  kLength,
  kFinite,
  kBounds,
  kEnvelope,
  kGrid,
  kSimplex,
  kMaxDelta,
  kRate,
  kBaseline,
  kUnproven,
  kSafeMode,
  kFrozen,
  kForbidden,
  kClock,
};

constexpr bool enabled(Check) { return true; }

}  // namespace arqon::guard::internal
