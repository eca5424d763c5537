// Has it drifted away from the baseline? Slowly, where a comparison with the last window sees
// nothing.
#pragma once

#include <cstdint>

namespace arqon::stats {

// Mean and spread of what was measured under the baseline: log latencies, say.
struct Baseline {
  double mean = 0;
  double deviation = 1;  // > 0
};

struct DriftLimits {
  // In deviations: a shift below this is never an alarm. Several times what the baseline itself may
  // be wrong by, which is 1 / sqrt(samples).
  double slack = 0.075;
  double alarm = 160;    // in deviations, of the sum
  double cut = 4;        // in deviations: one sample counts no more than this
};

// Upward CUSUM (Page 1954) against a fixed baseline: S = max(0, S + z - slack), alarm at
// S >= alarm; the Page-Hinkley test is the same in another notation. For a fall, turn the sign
// round.
// With the defaults a stationary stream of independent samples alarms less than once in 10^10
// (Siegmund's approximation), a shift of 0.15 deviations is found after about 2,100 samples and one
// of 1 after 170. Unreadable samples are ignored and counted. Deterministic.
class DriftDetector {
 public:
  explicit DriftDetector(const Baseline& baseline, const DriftLimits& limits = {});

  // True while the alarm stands. At most 3 ns.
  bool observe(double value) noexcept {
    const double z = (value - mean_) * inverse_;
    if (!(z == z)) {
      ++voids_;
      return alarmed();
    }
    const double step = (z > cut_ ? cut_ : z < -cut_ ? -cut_ : z) - slack_;
    sum_ = sum_ + step > 0 ? sum_ + step : 0;
    ++samples_;
    since_ = sum_ > 0 ? since_ + 1 : 0;
    return alarmed();
  }
  bool alarmed() const noexcept { return sum_ >= alarm_; }
  // Samples since the sum last left zero: when the drift began, at the latest.
  std::uint64_t since() const noexcept { return since_; }
  std::uint64_t samples() const noexcept { return samples_; }
  std::uint64_t voids() const noexcept { return voids_; }
  void reset() noexcept { sum_ = 0, since_ = 0; }

 private:
  double mean_, inverse_, slack_, alarm_, cut_;
  double sum_ = 0;
  std::uint64_t samples_ = 0, since_ = 0, voids_ = 0;
};

}  // namespace arqon::stats
