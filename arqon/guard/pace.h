// For who plans changes: how far the next one may go, and whether a refusal is worth waiting out.
#pragma once

#include <algorithm>

#include "arqon/guard/guardrails.h"
#include "arqon/guard/safety_executor.h"

namespace arqon::guard {

// Largest change of one knob from `from`, up or down: max_delta or max_rise, less where max_ratio
// says so, at least one step of the grid (`grid`; 0 = continuous).
inline double largest_change(const Limits& limits, double grid, double from, bool up) {
  double reach = up && limits.max_rise > 0 ? limits.max_rise : limits.max_delta;
  if (limits.max_ratio > 0) {
    reach = std::min(reach, up ? from * (limits.max_ratio - 1) : from - from / limits.max_ratio);
  }
  return std::max(reach, grid);
}

// True when time alone lifts the refusal: propose again later, the setting itself is no worse.
constexpr bool passes_with_time(ViolationKind kind) {
  switch (kind) {
    case ViolationKind::kRate:
    case ViolationKind::kCoolDown:
    case ViolationKind::kDwell:
    case ViolationKind::kFlips:
    case ViolationKind::kTravel:
      return true;
    default:
      return false;
  }
}

}  // namespace arqon::guard
