#include "arqon/control/time_blocks.h"

namespace arqon::control {

TimeBlocks::TimeBlocks(Duration settle, Duration length, Rng rng, TimePoint now)
    : settle_(settle), length_(length), rng_(rng), began_(now) {}

Turn TimeBlocks::next() const {
  const std::uint64_t block = block_ + 1;
  // Pair 0 is (test, confirmed); of each later pair a coin says who begins.
  const bool test_first = block < 2 || (rng_.at(block / 2) & 1) != 0;
  const bool first = block % 2 == 0;
  return first == test_first ? Turn::kTest : Turn::kConfirmed;
}

void TimeBlocks::end_block(TimePoint now) {
  const Turn then = next();
  ++block_;
  switched_ = then != turn_;
  turn_ = then;
  began_ = now;
}

}  // namespace arqon::control
