// What each knob has done lately: how far it has travelled, how often it turned round, when it
// moved last. Sliding windows, fixed memory, single writer.
#pragma once

#include <array>
#include <cstdint>

#include "arqon/base/time.h"
#include "arqon/guard/internal/rules.h"
#include "arqon/guard/internal/sweep.h"

namespace arqon::guard::internal {

// The window lies on a grid of buckets of a fifteenth of its length; the open bucket and the
// fifteen before it are summed, so that the last `window` is always inside the sum. Running sums
// per slot make the check of a move one addition and one comparison.
class History {
 public:
  History() = default;
  explicit History(std::int64_t window_ns)
      : bucket_ns_(std::max<std::int64_t>(1, window_ns / 15 + 1)) {}

  // Moves the window up to `now` (never back).
  void advance(TimePoint now) noexcept {
    const std::int64_t at = now.time_since_epoch().count();
    if (at < bucket_end_) return;
    roll(at);
  }

  // True when no knob with a limit would break it by going to `setting`; false means "look closely"
  bool sweep(const double* setting, const double* from, const Rules& rules) const noexcept;

  // A slot's sum (of a simplex: at its first slot) and turns in the window.
  double travelled(std::size_t slot) const noexcept { return travelled_[slot]; }
  std::int64_t flips(std::size_t slot) const noexcept { return flips_[slot]; }
  // Would going by `delta` (signed, the shorter way) turn it round? A category turns with every
  // change but the first.
  bool turns(std::size_t slot, double delta, bool category) const noexcept {
    if (delta == 0 || last_[slot] == 0) return false;
    return category || (delta < 0) != (last_[slot] < 0);
  }
  // Time since the slot moved; the longest there is when it never did.
  std::uint64_t rest(std::size_t slot, TimePoint now) const noexcept {
    if (last_[slot] == 0) return std::numeric_limits<std::uint64_t>::max();
    return static_cast<std::uint64_t>(now.time_since_epoch().count()) -
           static_cast<std::uint64_t>(moved_at_[slot]);
  }
  // No knob is within its dwell: nothing to look at.
  bool all_rested(TimePoint now) const noexcept { return now >= rested_at_; }

  // A permitted move from `from` (padded to whole pairs) to `to`.
  void record(const double* from, const double* to, const Rules& rules, TimePoint now) noexcept;

 private:
  static constexpr std::size_t kBuckets = 16;
  void roll(std::int64_t at) noexcept;

  std::int64_t bucket_ns_ = 1;
  std::int64_t bucket_end_ = std::numeric_limits<std::int64_t>::min();
  std::size_t open_ = 0;            // bucket
  alignas(16) Lane16 travelled_{};  // in the window
  alignas(16) Lane16 last_{};       // latest change that was not 0
  alignas(16) Mask16 flips_{};      // in the window
  alignas(16) Mask16 moved_at_{};   // ns
  alignas(16) std::array<Lane16, kBuckets> travel_in_{};
  alignas(16) std::array<Mask16, kBuckets> flips_in_{};
  TimePoint rested_at_ = TimePoint::min();
};

// The signed change of one slot the shorter way, and its length as travel counts it.
struct Change {
  double delta = 0;
  double length = 0;
};
inline Change change_of(const Columns& c, std::size_t slot, double from, double to) noexcept {
  const double plain = to - from;
  const double size = plain < 0 ? -plain : plain;
  const double round = c.period[slot] - size;
  const double way = round < size ? round : size;
  const double length = way < c.cap[slot] ? way : c.cap[slot];
  return {round < size ? -plain : plain, length};
}

}  // namespace arqon::guard::internal
