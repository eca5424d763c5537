// The ask_one / seed loop of the inference-serving page ends safe and cheap: on one surface under
// many seeds, and on surfaces drawn at random. No constant was chosen on these seeds (those used
// for that start at 1000; online_loop_study.cc sweeps any range).
#include <gtest/gtest.h>

#include <cstdio>

#include "arqon/testing/online_loop.h"

namespace arqon::testing {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// Sanitizers make a loop about thirty times slower; they look for faults, not for quality.
constexpr std::uint64_t kSeeds = 1;
#else
constexpr std::uint64_t kSeeds = 20;
#endif
constexpr std::uint64_t kWanted = kSeeds * 18 / 20;

template <typename SurfaceOf>
std::uint64_t count_passes(SurfaceOf surface_of) {
  std::uint64_t passes = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const OnlineLoopResult r = run_online_loop(surface_of(seed), seed);
    passes += r.passes() ? 1U : 0U;
    std::printf("seed %2u: violation %.4f, cost %.4f of the cheapest%s\n",
                static_cast<unsigned>(seed), r.violation, r.cost_ratio,
                r.passes() ? "" : "  missed");
  }
  return passes;
}

TEST(OnlineLoop, ends_safe_and_cheap_in_18_of_20_seeds) {
  EXPECT_GE(count_passes([](std::uint64_t) { return ServingSurface::fixed(); }), kWanted);
}

TEST(OnlineLoop, ends_safe_and_cheap_on_18_of_20_random_surfaces) {
  EXPECT_GE(count_passes([](std::uint64_t seed) { return ServingSurface::random(seed); }), kWanted);
}

TEST(OnlineLoop, random_search_does_not_pass) {
  EXPECT_FALSE(run_online_loop(ServingSurface::fixed(), 1, 300, "random").passes());
}

TEST(ServingSurface, is_as_hard_as_it_says) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const ServingSurface s = ServingSurface::random(seed);
    EXPECT_GE(s.infeasible_share(), 0.3);
    EXPECT_LE(s.infeasible_share(), 0.7);
    EXPECT_LE(s.violation(s.cheapest_batch(), s.cheapest_wait_ms()), kViolationAllowed);
    EXPECT_GT(s.violation(s.cheapest_batch(), s.cheapest_wait_ms()), 0.02) << "next to the cliff";
  }
}

}  // namespace
}  // namespace arqon::testing
