// Who stays on the incumbent, and what the change has brought: the lift that may be claimed.
#pragma once

#include <cstdint>
#include <span>

#include "arqon/base/rng.h"
#include "arqon/base/time.h"

namespace arqon::stats {

// Randomised time blocks: of every `one_in` blocks in a row exactly one is held back, its place
// drawn from the stream. A pure function of the block's number, so that it survives a restart.
class HoldbackPlan {
 public:
  // one_in >= 2; length > 0.
  HoldbackPlan(Rng rng, std::uint64_t one_in, Duration length);

  std::uint64_t block_of(Duration since_start) const noexcept;
  bool held_back(std::uint64_t block) const;
  std::uint64_t one_in() const { return one_in_; }

 private:
  Rng rng_;
  std::uint64_t one_in_;
  Duration length_;
};

// One group of neighbouring blocks (or one span of time of a replica held back and the others):
// what a request cost on average under either setting, in any unit.
struct LiftGroup {
  double held_back = 0;  // > 0
  double changed = 0;    // > 0
  std::uint64_t requests_held_back = 0, requests_changed = 0;
};

struct Lift {
  double ratio = 1;          // changed over held back: below 1 is a gain where less is better
  double low = 0, high = 0;  // 95 % interval of the ratio; 0 and infinity below two groups
  std::uint64_t groups = 0;
  std::uint64_t groups_left_out = 0;  // a side was empty, zero or not a number
  std::uint64_t requests_held_back = 0, requests_changed = 0;
};

// Student's interval of the mean log ratio over groups, each group one observation: what varies
// from hour to hour is in the interval, and clusters inside a group cannot narrow it.
Lift lift(std::span<const LiftGroup> groups);

}  // namespace arqon::stats
