// Evidence on counts of good and bad requests that stays valid however often one looks at it.
// Everything here is a pure function of counts; no randomness, no clock, any thread.
//
// An e-value is a number whose mean is at most 1 while the hypothesis H0 holds, so it reaches
// 1/alpha at any time, ever, with probability at most alpha (Ville 1939). All of ours are returned
// as natural logarithms: alarm at >= ln(1/alpha). Sources: Howard, Ramdas, McAuliffe, Sekhon 2021
// (confidence sequences); Wasserman, Ramdas, Balakrishnan 2020 (universal inference).
//
// `dispersion` v >= 1 divides every log-likelihood ratio: counts that come in bursts of v are worth
// n/v independent ones. Exact for independent requests (v = 1); for v > 1 each function is still
// valid for independent requests (Jensen), and a heuristic with room for clustered ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace arqon::stats {

// n requests of known fate, `bad` of them outside a limit; bad above n counts as n.
struct Counts {
  std::uint64_t n = 0;
  std::uint64_t bad = 0;

  Counts& operator+=(const Counts& other) {
    n += other.n;
    bad += other.bad;
    return *this;
  }
  double rate() const { return n == 0 ? 0.0 : static_cast<double>(bad) / static_cast<double>(n); }
  bool operator==(const Counts&) const = default;
};

// Log e-value against "the bad rate is at most p0": an even mixture over rates of 2, 3, 5 and 10
// times p0, bent so that they stay below 1. p0 in (0, 1). Falls as p0 grows.
double log_e_above(const Counts& counts, double p0, double dispersion = 1);
// Log e-value against "the bad rate is at least p0": mixture over p0/2 and p0/5. Rises with p0.
double log_e_below(const Counts& counts, double p0, double dispersion = 1);

struct Interval {
  double low = 0;
  double high = 1;
};
// Interval that contains the bad rate at all times together with probability 1 - alpha
// (beta-binomial mixture, Beta(1/2, 1/2), inverted numerically). {0, 1} without data.
Interval confidence_sequence(const Counts& counts, double alpha, double dispersion = 1);

// Log e-values about a challenger's bad rate c against an incumbent's rate i.
struct Comparison {
  double log_e_worse = 0;      // against c <= i + margin: evidence of a regression
  double log_e_better = 0;     // against c >= i: evidence of a gain
  double log_e_not_worse = 0;  // against c >= i + margin: evidence of non-inferiority
};
// Compares two arms with any n each, grown in any order, either of them possibly fixed long ago.
// `margin` in [0, 1), in rate. Valid because for each rate x that one arm could have, a mixture of
// martingales is taken (x does not fit that arm; the other arm breaks H0 given x; both arms lean
// apart around x), then its least value over x, averaged over which arm plays the reference.
// About 200 us.
Comparison compare(const Counts& incumbent, const Counts& challenger, double margin,
                   double dispersion = 1);

enum class Verdict : std::uint8_t { kPass, kFail, kInconclusive };
std::string_view to_string(Verdict verdict);  // "pass", "fail", "inconclusive"

// One arm against a fixed limit: kFail when the rate is above p0, kPass when below.
Verdict judge(const Counts& counts, double p0, double alpha, double dispersion = 1);
// Two arms: kFail when worse by more than the margin, kPass when shown not to be.
Verdict judge(const Comparison& comparison, double alpha);

// Requests still needed until judge(counts, p0, ...) is expected to decide, if the rate seen so far
// is the true one; 0 when decided; nothing when that rate is too close to p0 to ever tell.
std::optional<std::uint64_t> requests_needed(const Counts& counts, double p0, double alpha,
                                             double dispersion = 1);
// The same for the challenger in compare(): more requests of the challenger alone, both rates as
// seen. Nothing when more than 10 million, or never, because the incumbent has too few.
std::optional<std::uint64_t> requests_needed(const Counts& incumbent, const Counts& challenger,
                                             double margin, double alpha, double dispersion = 1);

// How clustered bad requests are: variance over mean of their count per block, from the differences
// of neighbouring blocks, so that a step of the rate is not taken for clustering. A block must be
// long enough to hold a burst (1 s or more). Deterministic; one thread.
class Dispersion {
 public:
  // Half of the weight lies on the last `half_life` blocks.
  explicit Dispersion(double half_life = 60);

  // One block's counts, not cumulative. Empty blocks are ignored.
  void observe(const Counts& block);
  // >= 1; 1 until the evidence says more.
  double value() const;

 private:
  double decay_;
  Counts last_;
  double squared_ = 0;   // weighted sum of squared differences, scaled to one request
  double expected_ = 0;  // the same under independence
  double weight_ = 0;    // effective number of blocks
};

}  // namespace arqon::stats
