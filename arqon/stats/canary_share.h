// Does the canary hold its share? One question behind three checks: requests over a limit (the
// control's own quantile), requests of one class (the mix), errors. Always valid, any traffic.
#pragma once

#include <array>
#include <cstddef>

#include "arqon/stats/sequential.h"

namespace arqon::stats {

// Under H0 the two arms are exchangeable within a block: of all k marked requests in it, the canary
// has as many as if they had been dealt out at random, n_canary of n in all. Rates may move from
// block to block as they like, and both arms with them. The hypergeometric draw is smaller in
// convex order than the binomial one (Hoeffding 1963, theorem 4), so for every odds ratio t
//   exp(k_canary ln t - k ln(1 - s + s t)),  s = n_canary / n,
// has mean at most 1 given the past, and so has a mixture of their products (an e-value; see
// sequential.h). Log e-values come back: alarm at >= ln(1/alpha), whenever one looks.
// A block is what the caller makes one: a second of one class, say. Deterministic; one thread.
class ShareTest {
 public:
  // One block of both arms: n requests, `bad` of them marked. A block with an empty arm says
  // nothing. About 250 ns.
  void add(const Counts& control, const Counts& canary) noexcept;
  // Against "the canary has at most its share" and "at least its share". `dispersion` as in
  // sequential.h: marks that come v at a time count as one.
  double log_e_more(double dispersion = 1) const noexcept;
  double log_e_fewer(double dispersion = 1) const noexcept;

 private:
  static constexpr std::size_t kOdds = 7;
  std::array<double, kOdds> more_{}, fewer_{};
};

// Is each request sent to the canary with probability `share`? (Sample-ratio mismatch.) Looks both
// ways, hardest for a tenth more or less of the odds.
class RatioTest {
 public:
  explicit RatioTest(double share);  // in (0, 1)
  // Log e-value against "yes". About 20 ns.
  double log_e(std::uint64_t control, std::uint64_t canary) const noexcept;

 private:
  static constexpr std::size_t kWays = 10;
  std::array<double, kWays> per_request_{}, per_canary_{};
};

}  // namespace arqon::stats
