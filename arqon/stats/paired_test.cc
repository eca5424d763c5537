#include "arqon/stats/paired.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "arqon/base/rng.h"

namespace arqon::stats {
namespace {

TEST(PairedMean, is_students_interval) {
  // Gosset 1908, additional hours of sleep: 1.58 (0.700, 2.460).
  const std::array sleep{1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4};
  const PairedMean m = paired_mean(sleep);
  EXPECT_NEAR(m.mean, 1.58, 1e-9);
  EXPECT_NEAR(m.low, 0.700, 5e-3);
  EXPECT_NEAR(m.high, 2.460, 5e-3);
}

TEST(PairedMean, one_pair_says_nothing_about_spread) {
  const std::array one{0.3};
  EXPECT_EQ(paired_mean(one).mean, 0.3);
  EXPECT_TRUE(std::isinf(paired_mean(one).low));
}

TEST(PairedMean, covers_the_truth_19_times_in_20_whatever_the_number_of_pairs) {
  for (const std::size_t pairs : {2u, 3u, 5u, 40u}) {
    Rng rng(pairs);
    int covered = 0;
    constexpr int kRuns = 4000;
    for (int run = 0; run < kRuns; ++run) {
      std::vector<double> d(pairs);
      for (double& x : d) x = 1 + rng.normal();
      const PairedMean m = paired_mean(d);
      covered += m.low <= 1 && 1 <= m.high ? 1 : 0;
    }
    EXPECT_NEAR(covered / double{kRuns}, 0.95, 0.012) << pairs;
  }
}

}  // namespace
}  // namespace arqon::stats
