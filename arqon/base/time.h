// Time is passed in. Points are nanoseconds on a monotonic axis that starts where its owner says;
// only loops hold a Clock, pure code takes a TimePoint.
#pragma once

#include <chrono>
#include <cstdint>

namespace arqon {

using Duration = std::chrono::nanoseconds;

struct MonotonicAxis {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicAxis, Duration>;
  static constexpr bool is_steady = true;
};
using TimePoint = MonotonicAxis::time_point;

constexpr Duration from_seconds(double seconds) {
  return Duration(static_cast<std::int64_t>(seconds * 1e9));
}
constexpr double to_seconds(Duration d) { return static_cast<double>(d.count()) * 1e-9; }
constexpr double to_seconds(TimePoint t) { return to_seconds(t.time_since_epoch()); }
constexpr double to_ms(Duration d) { return static_cast<double>(d.count()) * 1e-6; }
constexpr TimePoint time_at(double seconds) { return TimePoint(from_seconds(seconds)); }

// The loop's only view of time. wait_until on the twin's clock runs the simulation up to then, on a
// real clock it sleeps. One caller thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  // Returns at `t` or later; at once when `t` has passed.
  virtual void wait_until(TimePoint t) = 0;
};

}  // namespace arqon
