// Is the canary's share of bad requests within a margin of the control's? Matched groups.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arqon/stats/overdispersion.h"

namespace arqon::stats {

// One canary request is matched with k control requests of the same time and class; d is 1 or 0 for
// the canary's fate minus the bad share among the k. Whatever the rates do, d is bounded, and while
// its mean is at least m (H0: inferior) the product of 1 + b (m - d) has mean at most 1 for every
// bet b below 1/(1 - m), and the mirror image likewise (betting: Waudby-Smith and Ramdas 2024).
// The table of logarithms is a pure function of k and m.
constexpr std::size_t kControlsMax = 8;

class MarginTable {
 public:
  // margin in [0, 0.5]; controls in 1 .. kControlsMax.
  MarginTable(double margin, std::size_t controls);
  std::size_t controls() const { return controls_; }

 private:
  friend class MarginTest;
  static constexpr std::size_t kBets = 8;
  // [canary bad][bad controls][bet]
  using Logs = std::array<std::array<std::array<double, kBets>, kControlsMax + 1>, 2>;
  Logs not_worse_{}, worse_{};
  std::size_t controls_;
};

// The counts of one class. Log e-values: decide at >= ln(1/alpha), whenever one looks.
class MarginTest {
 public:
  void add(bool canary_bad, std::size_t controls_bad, std::size_t controls) noexcept {
    ++counts_[canary_bad ? 1 : 0][controls_bad];
    // In parts of 1 / controls; its scale does not matter here.
    const auto d = static_cast<std::int64_t>(canary_bad ? controls : 0) -
                   static_cast<std::int64_t>(controls_bad);
    events_.add(d != 0, d > 0);
    block_sum_ += d;
    block_squares_ += d * d;
  }
  // Ends a block of time, for the dispersion.
  void end_block() noexcept;
  // Against "worse by the margin or more", and against "worse by at most the margin".
  double log_e_not_worse(const MarginTable& table) const noexcept;
  double log_e_worse(const MarginTable& table) const noexcept;
  // What bursts divide evidence by, 1 to kBurstMax.
  double dispersion() const noexcept;
  std::uint64_t groups() const noexcept;

 private:
  double log_e(const MarginTable::Logs& logs, std::size_t controls) const noexcept;

  std::array<std::array<std::uint32_t, kControlsMax + 1>, 2> counts_{};
  Events events_{4};
  std::int64_t block_sum_ = 0, block_squares_ = 0;
  Overdispersion blocks_;
};

}  // namespace arqon::stats
