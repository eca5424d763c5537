#include "arqon/calibrate/cpu_vllm_test.h"

#include <gtest/gtest.h>

#include <cmath>

namespace arqon::calibrate::cpu_vllm {
namespace {

const std::vector<double> kTwoCaps = {2, 32};

TEST(CpuVllm, calibrated_at_two_caps_the_twin_is_within_20_percent_at_all_of_them) {
  const Fit fitted = calibrated_at(kTwoCaps);
  const std::vector<CapPoint> points = measured(rows());
  ASSERT_EQ(points.size(), 8u);
  for (const CapPoint& real : points) {
    const CapPoint twin = simulated(fitted.calibration, real.cap);
    EXPECT_NEAR(twin.tokens_per_s / real.tokens_per_s, 1, 0.2) << "cap " << real.cap;
    EXPECT_NEAR(twin.gap_ms / real.gap_ms, 1, 0.2) << "cap " << real.cap;
  }
}

TEST(CpuVllm, it_ranks_the_caps_as_the_engine_does) {
  const Fit fitted = calibrated_at(kTwoCaps);
  const std::vector<CapPoint> points = measured(rows());
  for (std::size_t i = 1; i < points.size(); ++i) {
    ASSERT_GT(points[i].tokens_per_s, points[i - 1].tokens_per_s) << "the rows have one order";
    const CapPoint less = simulated(fitted.calibration, points[i - 1].cap);
    const CapPoint more = simulated(fitted.calibration, points[i].cap);
    EXPECT_GT(more.tokens_per_s, less.tokens_per_s) << "cap " << points[i].cap;
    EXPECT_GT(more.gap_ms, less.gap_ms) << "cap " << points[i].cap;
  }
}

TEST(CpuVllm, without_calibration_it_would_not_be_believed) {
  double worst = 0;
  for (const CapPoint& real : measured(rows())) {
    const CapPoint twin = simulated(scenario().fleet.pools.front().calibration, real.cap);
    worst = std::max(worst, std::abs(std::log(twin.gap_ms / real.gap_ms)));
  }
  EXPECT_GT(worst, 0.4);
}

}  // namespace
}  // namespace arqon::calibrate::cpu_vllm
