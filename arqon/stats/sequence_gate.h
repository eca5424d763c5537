// Lets each sample of a source through once, whatever order it comes in.
#pragma once

#include <cstdint>

namespace arqon::stats {

// Sequence numbers of one source within one generation (a new generation starts at any number).
// Remembers the last 64: a number further behind the newest than that is taken for a duplicate.
class SequenceGate {
 public:
  // True for the first sight of (generation, sequence). False for a duplicate, for one too late to
  // tell, and for every sample of an older generation.
  bool admit(std::uint64_t generation, std::uint64_t sequence) noexcept {
    if (!begun_ || generation > generation_) {
      begun_ = true;
      generation_ = generation;
      newest_ = sequence;
      seen_ = 1;
      return true;
    }
    if (generation < generation_) return false;
    if (sequence > newest_) {
      const std::uint64_t ahead = sequence - newest_;
      seen_ = ahead < 64 ? (seen_ << ahead) | 1 : 1;
      newest_ = sequence;
      return true;
    }
    const std::uint64_t behind = newest_ - sequence;
    if (behind >= 64 || (seen_ >> behind & 1) != 0) return false;
    seen_ |= std::uint64_t{1} << behind;
    return true;
  }

 private:
  bool begun_ = false;
  std::uint64_t generation_ = 0, newest_ = 0;
  std::uint64_t seen_ = 0;  // bit i: newest - i was seen
};

}  // namespace arqon::stats
