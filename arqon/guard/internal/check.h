// Names of the guard's checks.
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
  kConstraint,
  kOwner,
  kLane,
  kCoolDown,
  kDwell,
  kFlips,
  kTravel,
  kReach,
  kJump,  // a jump needs a proven envelope
};

}  // namespace arqon::guard::internal
