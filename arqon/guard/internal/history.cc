#include "arqon/guard/internal/history.h"

#include <algorithm>

namespace arqon::guard::internal {

bool History::sweep(const double* setting, const double* from, const Rules& rules) const noexcept {
  const Columns& c = rules.columns;
  PairMask good{-1, -1};
  PairMask turn{0, 0};
  for (std::size_t i = 0; i < rules.slots; i += 2) {
    const Pair delta = pair_at(setting, i, rules.slots) - load(from + i);
    const Pair size = magnitude(delta);
    const Pair round = load(&c.period[i]) - size;
    const Pair length = lesser(lesser(round, size), load(&c.cap[i]));
    good &= load(&travelled_[i]) + length <= load(&c.travel[i]);
    // Another sign than last time, read off the bits; knobs that turn otherwise are looked at.
    const Pair last = load(&last_[i]);
    const PairMask other = bits_of(delta) ^ bits_of(last);
    const PairMask shape = (round < size) | (load(&c.cap[i]) <= both(1));
    turn |= (delta != both(0)) & (last != both(0)) & ((other < PairMask{0, 0}) | shape) &
            load(&c.flips[i]);
  }
  return all(good) && (turn[0] | turn[1]) == 0;
}

void History::roll(std::int64_t at) noexcept {
  const bool first = bucket_end_ == std::numeric_limits<std::int64_t>::min();
  const std::uint64_t past =
      static_cast<std::uint64_t>(at) - static_cast<std::uint64_t>(bucket_end_);
  const std::uint64_t steps = first ? kBuckets : 1 + past / static_cast<std::uint64_t>(bucket_ns_);
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>(steps, kBuckets); ++i) {
    open_ = (open_ + 1) % kBuckets;
    travel_in_[open_] = {};
    flips_in_[open_] = {};
  }
  constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
  // Buckets begin where the first one did; the end of the axis closes the last one.
  const std::int64_t start =
      first ? at
            : at - static_cast<std::int64_t>(past % static_cast<std::uint64_t>(bucket_ns_));
  bucket_end_ = start > kEnd - bucket_ns_ ? kEnd : start + bucket_ns_;
  // Summed anew, so that nothing ever drifts.
  travelled_ = {};
  flips_ = {};
  for (std::size_t b = 0; b < kBuckets; ++b) {
    for (std::size_t s = 0; s < kSlotsMax; ++s) {
      travelled_[s] += travel_in_[b][s];
      flips_[s] += flips_in_[b][s];
    }
  }
}

void History::record(const double* from, const double* to, const Rules& rules,
                     TimePoint now) noexcept {
  const Columns& c = rules.columns;
  const std::int64_t at = now.time_since_epoch().count();
  PairMask any{0, 0};
  for (std::size_t i = 0; i < rules.slots; i += 2) {
    const Pair plain = pair_at(to, i, rules.slots) - load(from + i);
    const Pair size = magnitude(plain);
    const Pair cap = load(&c.cap[i]);
    const Pair round = load(&c.period[i]) - size;
    const Pair delta = round < size ? -plain : plain;
    const Pair length = lesser(lesser(round, size), cap);
    const Pair last = load(&last_[i]);
    const PairMask moved = plain != both(0);
    const PairMask turn = moved & (last != both(0)) &
                          (((bits_of(delta) ^ bits_of(last)) < PairMask{0, 0}) | (cap == both(1)));
    any |= moved;
    store(&travelled_[i], load(&travelled_[i]) + length);
    store(&travel_in_[open_][i], load(&travel_in_[open_][i]) + length);
    store(&flips_[i], load(&flips_[i]) - turn);
    store(&flips_in_[open_][i], load(&flips_in_[open_][i]) - turn);
    store(&last_[i], moved ? delta : last);
    store(&moved_at_[i], moved ? PairMask{at, at} : load(&moved_at_[i]));
  }
  for (std::size_t p = 0; rules.simplexes && p < rules.params; ++p) {
    const Rule& rule = rules.rules[p];
    if (rule.distance != Distance::kSimplex) continue;
    const double length = distance(rule, from + rule.slot, to + rule.slot);
    travelled_[rule.slot] += length;
    travel_in_[open_][rule.slot] += length;
  }
  if (rules.dwell_max_ns == 0 || (any[0] | any[1]) == 0) return;
  const auto dwell = Duration(rules.dwell_max_ns);
  const bool end = now > TimePoint::max() - dwell;
  rested_at_ = std::max(rested_at_, end ? TimePoint::max() : now + dwell);
}

}  // namespace arqon::guard::internal
