// Longest step after a given one, without touching the sequences that lived through it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "arqon/sim/step_time.h"

namespace arqon::sim {

// Suffix maxima over step durations: a stack in which steps rise and durations fall. push is O(1)
// amortised, max_after O(log n). One thread.
class GapStack {
 public:
  void reserve(std::size_t entries) { entries_.reserve(entries); }
  // Steps must rise. A run of steps with rising durations may be pushed as its last step alone, as
  // long as nobody asks from inside the run.
  void push(std::int64_t step, Ps duration) {
    while (!entries_.empty() && entries_.back().duration <= duration) entries_.pop_back();
    entries_.push_back({step, duration});
  }
  // Longest duration of a step later than `step`; 0 when there was none.
  Ps max_after(std::int64_t step) const {
    const auto found =
        std::upper_bound(entries_.begin(), entries_.end(), step,
                         [](std::int64_t s, const Entry& entry) { return s < entry.step; });
    return found == entries_.end() ? 0 : found->duration;
  }
  // Longest of all that was pushed since the last clear.
  Ps max() const { return entries_.empty() ? 0 : entries_.front().duration; }
  // Forgets everything: nobody will ask about the past.
  void clear() { entries_.clear(); }

 private:
  struct Entry {
    std::int64_t step;
    Ps duration;
  };
  std::vector<Entry> entries_;
};

}  // namespace arqon::sim
