// The bench's search on a model of what it measures: 14 closed-loop clients, 8 + b ms a batch.
#include "bench/triton_search.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "arqon/base/rng.h"

namespace arqon::bench {
namespace {

constexpr double kLimitMs = 60;
constexpr double kClients = 14;
constexpr double kOverheadMs = 1;     // between two batches
constexpr double kRateNoise = 0.04;   // of a window on a busy machine; 0.01 on a quiet one
constexpr double kP99Noise = 0.12;

// While more clients wait than are preferred, batches are of that size; without a wait the queue is
// taken as it is once the last batch is done. More than all clients are never reached: then the
// whole wait is spent each time.
Seen truth(const Config& setting) {
  const double size = setting[0], wait_ms = setting[1];
  double batch = std::min(size, kClients);
  if (wait_ms < 0.25) {
    batch = std::min(size, kClients / 2);
  } else if (size < kClients / 2) {
    batch = kClients / 2;  // what queues up behind one batch goes together
  }
  const double extra_ms = size > kClients ? wait_ms : 0;
  const double rate = 1000 * batch / (8 + batch + kOverheadMs + extra_ms);
  return {.per_second = rate, .p99_ms = 1.6 * 1000 * kClients / rate};
}

double best_of_the_grid() {
  double best = 0;
  for (const double size : {1, 2, 4, 6, 8, 10, 12, 16}) {
    for (const double wait : {0, 2, 5, 10, 15, 20}) {
      const Seen seen = truth({size, wait});
      if (seen.p99_ms <= kLimitMs) best = std::max(best, seen.per_second);
    }
  }
  return best;
}

TEST(TritonSearch, ends_near_the_best_of_the_grid_though_windows_are_noisy) {
  constexpr int kRuns = 100;
  const double best = best_of_the_grid();
  int near = 0, most = 0;
  for (int run = 1; run <= kRuns; ++run) {
    const auto seed = static_cast<std::uint64_t>(run);
    Rng noise = Rng(seed).stream("noise");
    int changes = 0;
    const auto measure = [&](const Config& setting) -> Result<Seen> {
      ++changes;
      Seen seen = truth(setting);
      seen.per_second *= std::exp(kRateNoise * noise.normal());
      seen.p99_ms *= std::exp(kP99Noise * noise.normal());
      return seen;
    };
    const auto end = search(measure, {.limit_ms = kLimitMs, .seed = seed});
    ASSERT_TRUE(end.has_value()) << end.error().message;
    const Seen seen = truth(*end);
    near += seen.per_second >= 0.95 * best && seen.p99_ms <= kLimitMs ? 1 : 0;
    most = std::max(most, changes);
  }
  fmt::print("{} of {} runs within 5 % of {:.0f} requests/s\n", near, kRuns, best);
  EXPECT_LE(most, 25);
  EXPECT_GE(near, 97);
}

}  // namespace
}  // namespace arqon::bench
