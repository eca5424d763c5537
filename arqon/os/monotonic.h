// The clock of deadlines inside this room.
#pragma once

#include <time.h>

#include <algorithm>
#include <climits>

#include "arqon/base/time.h"

namespace arqon::os::internal {

inline TimePoint now_on(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return TimePoint(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

inline TimePoint monotonic_now() { return now_on(CLOCK_MONOTONIC); }

// What is left until `deadline` as poll() wants it: rounded up, 0 when it has passed.
inline int poll_ms(TimePoint deadline) {
  const Duration left = deadline - monotonic_now();
  if (left <= Duration::zero()) return 0;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::min<decltype(ms)>(ms, INT_MAX));
}

}  // namespace arqon::os::internal
