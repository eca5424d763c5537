// Is the canary slower? Paired, on the scale of the logarithm, with single outliers cut off.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "arqon/stats/overdispersion.h"

namespace arqon::stats {

// A piecewise linear logarithm to base 2 in steps of 1/64, read off the bits of a double: the
// exponent and the first six bits behind the point. Monotone, exact at powers of two, elsewhere
// low by at most 0.087. x > 0 and finite.
constexpr std::int32_t log2_steps(double x) noexcept {
  return static_cast<std::int32_t>(std::bit_cast<std::uint64_t>(x) >> 46);
}

// Each canary request is paired with a control request of the same time and class. Under H0 the two
// are exchangeable, so the difference d of their logarithms, cut at +-4 octaves and scaled into
// [-1, 1], is symmetric about 0 whatever the distribution, and the product of 1 + b d is a
// martingale for every bet b in (0, 1): betting (Waudby-Smith and Ramdas 2024). The log e-value is
// that of a mixture of bets, divided by the dispersion; alarm at >= ln(1/alpha). One request,
// however slow, can move it by ln 1.9 at most. Deterministic; one thread; no allocation.
class LatencyTest {
 public:
  // Latencies as log2_steps.
  void add(std::int32_t control, std::int32_t canary) noexcept {
    std::int32_t d = canary - control;
    d = d > kCut ? kCut : d < -kCut ? -kCut : d;
    d /= kStep;  // towards 0 from both sides: symmetric
    ++counts_[static_cast<std::size_t>(d + kBuckets)];
    sum_ += d;
    squares_ += d * d;
    products_ += d * last_;
    last_ = d;
  }
  // Against "the canary is no slower" and "no faster". About 70 ns.
  double log_e_slower() const noexcept;
  double log_e_faster() const noexcept;
  // How many times as slow the canary is: 2 to the mean difference; 1 without data.
  double ratio() const noexcept;
  std::uint64_t pairs() const noexcept;
  // Ends a block of time: how much block sums vary is part of the dispersion.
  void end_block() noexcept;
  // What the bursts in the differences divide evidence by, 1 to kBurstMax: the larger of what
  // neighbouring blocks and what neighbouring pairs show.
  double dispersion() const noexcept;

 private:
  static constexpr std::int32_t kCut = 256, kStep = 8, kBuckets = kCut / kStep;
  double log_e(bool slower) const noexcept;

  std::array<std::uint32_t, 2 * kBuckets + 1> counts_{};
  std::int32_t last_ = 0;
  std::int64_t sum_ = 0, squares_ = 0, products_ = 0;
  std::int64_t block_sum_ = 0, block_squares_ = 0;  // at the block's start
  Overdispersion blocks_;
};

}  // namespace arqon::stats
