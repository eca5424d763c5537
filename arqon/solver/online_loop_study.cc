// Sweeps the online loop over seeds and surfaces and prints one row each:
//   online_loop_study STRATEGY FIRST_SEED SEEDS (fixed|random) [WINDOWS]
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "arqon/testing/online_loop.h"

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const std::uint64_t first = std::strtoull(argv[2], nullptr, 10);
  const std::uint64_t count = std::strtoull(argv[3], nullptr, 10);
  const bool fixed = std::strcmp(argv[4], "fixed") == 0;
  const std::size_t windows = argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 300;
  int passed = 0;
  double violation = 0;
  double ratio = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const auto surface = fixed ? arqon::testing::ServingSurface::fixed()
                               : arqon::testing::ServingSurface::random(seed);
    const auto r = arqon::testing::run_online_loop(surface, seed, windows, argv[1]);
    passed += r.passes() ? 1 : 0;
    violation += r.violation;
    ratio += r.cost_ratio;
    std::printf("%4llu infeasible %.2f best (%4.0f, %5.1f) end (%6.2f, %5.1f) violation %.3f "
                "early %.3f cost %.4f %s\n",
                static_cast<unsigned long long>(seed), surface.infeasible_share(),
                surface.cheapest_batch(), surface.cheapest_wait_ms(), r.asked.back()[0],
                r.asked.back()[1], r.violation, r.violation_early, r.cost_ratio,
                r.passes() ? "" : "MISS");
  }
  const auto n = static_cast<double>(count);
  std::printf("passed %d of %llu; mean violation %.4f, mean cost ratio %.4f\n", passed,
              static_cast<unsigned long long>(count), violation / n, ratio / n);
  return 0;
}
