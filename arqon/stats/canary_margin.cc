#include "arqon/stats/canary_margin.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/stats/internal/mixture.h"

namespace arqon::stats {
namespace {
constexpr std::array kBetSizes = {0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.65, 0.95};
}

MarginTable::MarginTable(double margin, std::size_t controls) : controls_(controls) {
  ARQON_ASSERT(margin >= 0 && margin <= 0.5 && controls >= 1 && controls <= kControlsMax);
  static_assert(kBetSizes.size() == kBets);
  for (std::size_t bad = 0; bad < 2; ++bad) {
    for (std::size_t j = 0; j <= controls; ++j) {
      const double d =
          static_cast<double>(bad) - static_cast<double>(j) / static_cast<double>(controls);
      for (std::size_t b = 0; b < kBets; ++b) {
        not_worse_[bad][j][b] = std::log1p(kBetSizes[b] * (margin - d));
        // The worst d is -1: the bet must stay below 1 / (1 + margin).
        worse_[bad][j][b] = std::log1p(kBetSizes[b] / (1 + margin) * (d - margin));
      }
    }
  }
}

double MarginTest::log_e(const MarginTable::Logs& logs, std::size_t controls) const noexcept {
  std::array<double, MarginTable::kBets> sums{};
  for (std::size_t bad = 0; bad < 2; ++bad) {
    for (std::size_t j = 0; j <= controls; ++j) {
      const auto n = static_cast<double>(counts_[bad][j]);
      for (std::size_t b = 0; b < sums.size(); ++b) sums[b] += n * logs[bad][j][b];
    }
  }
  return internal::log_mixture(sums, dispersion());
}

double MarginTest::log_e_not_worse(const MarginTable& table) const noexcept {
  return log_e(table.not_worse_, table.controls_);
}
double MarginTest::log_e_worse(const MarginTable& table) const noexcept {
  return log_e(table.worse_, table.controls_);
}

double MarginTest::dispersion() const noexcept {
  return std::max(blocks_.value(), events_.dispersion(groups()));
}

void MarginTest::end_block() noexcept {
  if (block_squares_ > 0) {
    blocks_.observe(static_cast<double>(block_sum_) /
                    std::sqrt(static_cast<double>(block_squares_)));
  }
  block_sum_ = block_squares_ = 0;
}

std::uint64_t MarginTest::groups() const noexcept {
  std::uint64_t n = 0;
  for (const auto& row : counts_) {
    for (const std::uint32_t c : row) n += c;
  }
  return n;
}

}  // namespace arqon::stats
