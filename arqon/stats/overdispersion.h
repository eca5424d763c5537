// What bursts divide evidence by: events that come v at a time are worth one in v.
// Two ways to see them: neighbours in the sequence that are alike, which shows within one burst,
// and blocks of time that vary more than independent requests would, which takes dozens of them.
#pragma once

#include <algorithm>
#include <cstdint>

namespace arqon::stats {

// Longest burst that is allowed for. Without an end to it, an outage would pass for one long burst.
constexpr double kBurstMax = 16;

// Length of bursts that makes neighbours alike to the degree `near`, a correlation: 1 to kBurstMax.
constexpr double burst_of(double near) noexcept {
  const double r = near > 0 ? near : 0;
  return r < 1 ? std::min(kBurstMax, (1 + r) / (1 - r)) : kBurstMax;
}

// Fed one standardised score per block, of variance 1 if requests were independent: a sum over the
// root of its sum of squares, say. Neighbouring blocks are compared, so that a lasting difference
// between the arms is not taken for bursts. A block must be long enough to hold one.
class Overdispersion {
 public:
  void observe(double score) noexcept {
    if (blocks_ > 0) squares_ += 0.5 * (score - last_) * (score - last_);
    last_ = score;
    ++blocks_;
  }
  // 1 to kBurstMax; 1 until the evidence says more.
  double value() const noexcept {
    if (blocks_ < 2) return 1;
    const double n = static_cast<double>(blocks_ - 1);
    return std::clamp((squares_ + kPrior) / (n + kPrior), 1.0, kBurstMax);
  }

 private:
  static constexpr double kPrior = 8;  // blocks' worth of belief in independence
  double squares_ = 0;
  double last_ = 0;
  std::uint64_t blocks_ = 0;
};

// Rare events in a sequence, and how many follow upon another of their kind.
class Events {
 public:
  // Before any is seen they are believed to come in bursts of 8, with the weight of `prior` events:
  // a test that acts on their absence cannot have seen how they come.
  explicit Events(double prior) : prior_(prior) {}

  // `kind` tells two sorts of events apart.
  void add(bool event, bool kind = false) noexcept {
    const std::uint64_t now = event ? (kind ? 2U : 1U) : 0U;
    events_ += event ? 1U : 0U;
    adjacent_ += event && now == last_ ? 1U : 0U;
    last_ = now;
  }
  std::uint64_t count() const noexcept { return events_; }
  // Of `n` places in the sequence; 1 to kBurstMax.
  double dispersion(std::uint64_t n) const noexcept {
    constexpr double kBelief = 7.0 / 9;  // burst_of gives 8
    constexpr double kCaution = 2;       // a single pair of neighbours is no burst yet
    const auto events = static_cast<double>(events_);
    const double near = (static_cast<double>(adjacent_) + kBelief * prior_) /
                        (events + (prior_ > 0 ? prior_ : kCaution));
    const double chance = n == 0 ? 0 : events / static_cast<double>(n);
    return chance < 1 ? burst_of((near - chance) / (1 - chance)) : 1;
  }

 private:
  double prior_;
  std::uint64_t events_ = 0, adjacent_ = 0, last_ = 0;
};

}  // namespace arqon::stats
