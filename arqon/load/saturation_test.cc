#include "arqon/load/saturation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "arqon/base/rng.h"

namespace arqon::load {
namespace {

std::vector<LoadSample> samples(int n, const std::function<void(LoadSample&, double)>& fill) {
  std::vector<LoadSample> out;
  for (int i = 0; i < n; ++i) {
    LoadSample sample;
    sample.t_s = i;
    sample.sent = sample.ended = 10;
    sample.e2e_s_mean = 2;
    sample.lag_ms_mean = 0.2;
    fill(sample, i);
    out.push_back(sample);
  }
  return out;
}

TEST(Saturation, ANoisyButSteadyBacklogIsNone) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    const auto steady = samples(120, [&](LoadSample& s, double) {
      s.waiting = std::max(0.0, 10 + 3 * rng.normal());
      s.in_flight = std::max(0.0, 40 + 6 * rng.normal());
    });
    const Saturation found = find_saturation(steady);
    EXPECT_FALSE(found.server()) << seed;
    EXPECT_FALSE(found.client());
  }
}

TEST(Saturation, AGrowingBacklogIsFoundFromWhereItBegan) {
  Rng rng(1);
  const auto growing = samples(120, [&](LoadSample& s, double t) {
    s.waiting = std::max(0.0, 5 + rng.normal() + (t > 60 ? 2 * (t - 60) : 0));
    s.in_flight = s.waiting + 20;
  });
  const Saturation found = find_saturation(growing);
  ASSERT_TRUE(found.server());
  EXPECT_NEAR(found.server_from_s, 55, 15);
  EXPECT_NEAR(found.server_until_s, 119, 1);
  EXPECT_GT(found.backlog_to, 100);
}

TEST(Saturation, ABacklogThatGoesAwayEnds) {
  const auto wave = samples(200, [&](LoadSample& s, double t) {
    s.waiting = 5 + (t > 50 && t < 100 ? 2 * (t - 50) : 0);
    s.in_flight = 30;
  });
  const Saturation found = find_saturation(wave);
  ASSERT_TRUE(found.server());
  EXPECT_NEAR(found.server_until_s, 100, 6);
}

// A server without a limit on its batch: nobody waits for a first token, everybody gets slower.
TEST(Saturation, GrowthInFlightCountsOnceAnswersEnd) {
  const auto slower = samples(120, [&](LoadSample& s, double t) {
    s.waiting = 2;
    s.in_flight = 20 + 3 * t;
  });
  EXPECT_TRUE(find_saturation(slower).server());
}

TEST(Saturation, FillingUpAtTheStartIsNone) {
  const auto ramp = samples(60, [&](LoadSample& s, double t) {
    s.ended = t > 20 ? 10 : 0;
    s.e2e_s_mean = t > 20 ? 20 : 0;
    s.waiting = 3;
    s.in_flight = std::min(200.0, 10 * t);
  });
  EXPECT_FALSE(find_saturation(ramp).server());
}

TEST(Saturation, AClientThatIsLateForThreeSecondsIsNamed) {
  const auto hiccup = samples(30, [](LoadSample& s, double t) {
    s.lag_ms_mean = t == 10 || t == 11 || t == 20 ? 400 : 1;
  });
  EXPECT_FALSE(find_saturation(hiccup).client());
  const auto late = samples(30, [](LoadSample& s, double t) { s.lag_ms_mean = t >= 12 ? 80 : 1; });
  EXPECT_EQ(find_saturation(late).client_from_s, 12);
}

TEST(Saturation, NothingComesOfNothing) {
  const Saturation none = find_saturation({});
  EXPECT_FALSE(none.server());
  EXPECT_FALSE(none.client());
}

}  // namespace
}  // namespace arqon::load
