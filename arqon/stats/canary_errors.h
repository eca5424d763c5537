// Has the error rate jumped over its limit? A tripwire: made to find a jump in few requests.
#pragma once

#include <array>

#include "arqon/stats/sequential.h"

namespace arqon::stats {

// Log e-value against "the error rate is at most p0": a mixture over 3 and 6 times p0, with most
// weight where an engine that begins to fail lands. A smaller rise is log_e_above's to find.
class ErrorTest {
 public:
  explicit ErrorTest(double p0);  // in (0, 1)
  double log_e(const Counts& errors, double dispersion = 1) const noexcept;

 private:
  static constexpr std::size_t kTimes = 2;
  std::array<double, kTimes> per_error_{}, per_good_{};
};

}  // namespace arqon::stats
