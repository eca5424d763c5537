#include "arqon/stats/canary_latency.h"

#include <algorithm>
#include <cmath>

#include "arqon/stats/internal/mixture.h"

namespace arqon::stats {
namespace {

// Twice the middle ones: most regressions worth finding are 10 to 50 %.
constexpr std::array kBets = {0.05, 0.1, 0.2, 0.3, 0.45, 0.65, 0.9, 0.9};
constexpr std::size_t kCells = 65;

// ln(1 + b d) of every cell and bet; the mirror image answers the other question.
struct Table {
  Table() {
    for (std::size_t i = 0; i < kCells; ++i) {
      const double d = (static_cast<double>(i) - 32) / 32;
      for (std::size_t b = 0; b < kBets.size(); ++b) logs[i][b] = std::log1p(kBets[b] * d);
    }
  }
  std::array<std::array<double, kBets.size()>, kCells> logs;
};

const Table& table() {
  static const Table made;
  return made;
}

}  // namespace

double LatencyTest::log_e(bool slower) const noexcept {
  const Table& t = table();
  std::array<double, kBets.size()> logs{};
  for (std::size_t i = 0; i < kCells; ++i) {
    const auto n = static_cast<double>(counts_[i]);
    const auto& row = t.logs[slower ? i : kCells - 1 - i];
    for (std::size_t b = 0; b < kBets.size(); ++b) logs[b] += n * row[b];
  }
  return internal::log_mixture(logs, dispersion());
}

double LatencyTest::log_e_slower() const noexcept { return log_e(true); }
double LatencyTest::log_e_faster() const noexcept { return log_e(false); }

double LatencyTest::dispersion() const noexcept {
  const auto n = static_cast<double>(pairs());
  if (n < 2) return 1;
  const double mean = static_cast<double>(sum_) / n;
  const double variance = static_cast<double>(squares_) / n - mean * mean;
  if (!(variance > 0)) return kBurstMax;
  // One standard error of luck is not taken for a burst.
  const double near = (static_cast<double>(products_) / n - mean * mean) / variance;
  return std::max(blocks_.value(), burst_of(near - 1 / std::sqrt(n)));
}

std::uint64_t LatencyTest::pairs() const noexcept {
  std::uint64_t n = 0;
  for (const std::uint32_t c : counts_) n += c;
  return n;
}

double LatencyTest::ratio() const noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    sum += static_cast<double>(counts_[i]) * (static_cast<double>(i) - kBuckets);
  }
  const std::uint64_t n = pairs();
  return n == 0 ? 1 : std::exp2(sum / static_cast<double>(n) * kStep / 64);
}

void LatencyTest::end_block() noexcept {
  const auto sum = static_cast<double>(sum_ - block_sum_);
  const auto squares = static_cast<double>(squares_ - block_squares_);
  if (squares > 0) blocks_.observe(sum / std::sqrt(squares));
  block_sum_ = sum_;
  block_squares_ = squares_;
}

}  // namespace arqon::stats
