#include "arqon/stats/canary_share.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/stats/internal/mixture.h"

namespace arqon::stats {
namespace {

constexpr std::array kOddsRatios = {1.05, 1.15, 1.35, 1.75, 2.5, 5.0, 10.0};

struct Logs {
  Logs() {
    for (std::size_t i = 0; i < kOddsRatios.size(); ++i) odds[i] = std::log(kOddsRatios[i]);
  }
  std::array<double, kOddsRatios.size()> odds;
};
const Logs& logs() {
  static const Logs made;
  return made;
}

}  // namespace

void ShareTest::add(const Counts& control, const Counts& canary) noexcept {
  const auto in_canary = static_cast<double>(std::min(canary.bad, canary.n));
  const double marked = in_canary + static_cast<double>(std::min(control.bad, control.n));
  if (marked == 0 || control.n == 0 || canary.n == 0) return;
  const auto in_all = static_cast<double>(canary.n + control.n);
  const double share = static_cast<double>(canary.n) / in_all;
  for (std::size_t i = 0; i < kOdds; ++i) {
    const double log_odds = logs().odds[i];
    more_[i] += in_canary * log_odds - marked * std::log1p(share * (kOddsRatios[i] - 1));
    fewer_[i] += -in_canary * log_odds - marked * std::log1p(share * (1 / kOddsRatios[i] - 1));
  }
}

double ShareTest::log_e_more(double dispersion) const noexcept {
  return internal::log_mixture(more_, dispersion);
}
double ShareTest::log_e_fewer(double dispersion) const noexcept {
  return internal::log_mixture(fewer_, dispersion);
}

RatioTest::RatioTest(double share) {
  ARQON_ASSERT(share > 0 && share < 1);
  constexpr std::array kRatios = {1.1, 1.1, 1.1, 1.4, 3.0};
  for (std::size_t i = 0; i < kRatios.size(); ++i) {
    for (const bool up : {true, false}) {
      const double odds = up ? kRatios[i] : 1 / kRatios[i];
      const std::size_t at = 2 * i + (up ? 0 : 1);
      per_request_[at] = std::log1p(share * (odds - 1));
      per_canary_[at] = std::log(odds);
    }
  }
}

double RatioTest::log_e(std::uint64_t control, std::uint64_t canary) const noexcept {
  std::array<double, kWays> sums;
  const auto b = static_cast<double>(canary);
  const double all = static_cast<double>(control) + b;
  for (std::size_t i = 0; i < kWays; ++i) sums[i] = b * per_canary_[i] - all * per_request_[i];
  return internal::log_mixture(sums, 1);
}

}  // namespace arqon::stats
