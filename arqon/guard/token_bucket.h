// Rate limit of one lane: a bucket that holds one token and refills it once per period.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "arqon/base/time.h"

namespace arqon::guard {

// Any two tokens are at least one period apart: no sliding window can hold more than its share plus
// one. Whole nanoseconds, so nothing drifts. The caller passes times that never go back.
class TokenBucket {
 public:
  TokenBucket() = default;
  // rate > 0, finite; tokens per second. Periods are rounded up and end at 146 years.
  explicit TokenBucket(double rate)
      : period_ns_(static_cast<std::uint64_t>(std::clamp(std::ceil(1e9 / rate), 1.0, 0x1p62))) {}

  bool ready(TimePoint now) const noexcept { return !used_ || elapsed_ns(now) >= period_ns_; }
  void take(TimePoint now) noexcept {
    used_ = true;
    last_ = now;
  }
  // Time until the next token; zero when ready.
  Duration wait(TimePoint now) const noexcept {
    if (ready(now)) return Duration(0);
    return Duration(static_cast<std::int64_t>(period_ns_ - elapsed_ns(now)));
  }
  Duration period() const noexcept { return Duration(static_cast<std::int64_t>(period_ns_)); }

 private:
  // Unsigned: exact for any pair of points with now >= last_, also across the whole axis.
  std::uint64_t elapsed_ns(TimePoint now) const noexcept {
    return static_cast<std::uint64_t>(now.time_since_epoch().count()) -
           static_cast<std::uint64_t>(last_.time_since_epoch().count());
  }

  std::uint64_t period_ns_ = 1'000'000'000;
  TimePoint last_;
  bool used_ = false;
};

}  // namespace arqon::guard
