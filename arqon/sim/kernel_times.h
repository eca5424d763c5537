// Times that the parts of the kernel share.
#pragma once

#include "arqon/base/time.h"
#include "arqon/sim/step_time.h"

namespace arqon::sim {

constexpr Ps kSeatTick = 250 * kPsPerMs;  // how often seats that change are looked after
constexpr Ps kDrainSlice = kPsPerSecond;
constexpr Ps kDrainMost = 600 * kPsPerSecond;

constexpr Ps ps_of(Duration d) { return d.count() * 1000; }
constexpr double seconds_of(Ps t) {
  return static_cast<double>(t) / static_cast<double>(kPsPerSecond);
}

}  // namespace arqon::sim
