#include "arqon/stats/canary_errors.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::stats {
namespace {
constexpr std::array kMultiples = {3.0, 6.0};
constexpr std::array kWeights = {0.03, 0.97};
}  // namespace

ErrorTest::ErrorTest(double p0) {
  ARQON_ASSERT(p0 > 0 && p0 < 1);
  for (std::size_t i = 0; i < kTimes; ++i) {
    const double p = std::min(kMultiples[i] * p0, 1 - (1 - p0) / kMultiples[i]);
    per_error_[i] = std::log(p / p0);
    per_good_[i] = std::log1p(-p) - std::log1p(-p0);
  }
}

double ErrorTest::log_e(const Counts& errors, double dispersion) const noexcept {
  const double inverse = 1 / std::max(1.0, dispersion);
  const auto bad = static_cast<double>(std::min(errors.bad, errors.n));
  const double good = static_cast<double>(errors.n) - bad;
  const double a = (bad * per_error_[0] + good * per_good_[0]) * inverse;
  const double b = (bad * per_error_[1] + good * per_good_[1]) * inverse;
  const double high = std::max(a, b);
  return high + std::log(kWeights[0] * std::exp(a - high) + kWeights[1] * std::exp(b - high));
}

}  // namespace arqon::stats
