// A fleet of one has no second replica to compare with: the setting under test and the confirmed
// one take turns in short blocks, in pairs of random order, so that traffic which drifts falls on
// both alike (a switchback experiment: Bojinov, Simchi-Levi, Zhao 2023).
#pragma once

#include <array>
#include <cstdint>

#include "arqon/base/rng.h"
#include "arqon/base/time.h"

namespace arqon::control {

enum class Turn : std::uint8_t { kTest, kConfirmed };

// Says whose turn it is; the loop makes the switch. One thread, deterministic in `rng`.
class TimeBlocks {
 public:
  // The first `settle` of a block that began with a switch is not counted; blocks are `length`
  // long, settling included. The first block is the test's, which is in force already.
  TimeBlocks(Duration settle, Duration length, Rng rng, TimePoint now);

  Turn turn() const { return turn_; }
  // The block has run its time: end_block() may be called (later, when the guard's rate says so).
  bool over(TimePoint now) const { return now >= began_ + length_; }
  // Whose turn is next.
  Turn next() const;
  void end_block(TimePoint now);
  // What is decided now belongs to this block's setting.
  bool counted(TimePoint now) const { return !switched_ || now >= began_ + settle_; }

 private:
  Duration settle_, length_;
  Rng rng_;
  TimePoint began_;
  std::uint64_t block_ = 0;
  Turn turn_ = Turn::kTest;
  bool switched_ = false;
};

}  // namespace arqon::control
