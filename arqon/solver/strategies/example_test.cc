// The example of the docs is a strategy, and a better one than chance.
#include <gtest/gtest.h>

#include <vector>

#include "arqon/solver/strategies/random/random.h"
#include "arqon/testing/function_rows.h"
#include "docs/examples/nearby_strategy.h"

namespace arqon::solver {
namespace {

// True loss of the best of 80 evaluations, in units of an ordinary one.
double regret(Strategy strategy, const testing::TuningProblem& p, std::uint64_t seed) {
  std::vector<Trial> history;
  std::vector<Config> pending;
  Rng rng(seed);
  for (std::uint64_t n = 0; n < 80; ++n) {
    const auto view = [&] {
      return View{.config = p.study, .history = history, .pending = pending, .handed_out = n};
    };
    Rng own = rng.stream(n);
    const Config x = strategy.propose(view(), own, 1).at(0);
    EXPECT_TRUE(p.study.space.contains(x));
    history.push_back(p.measure(x, rng));
    strategy.observe(view(), history.back());
  }
  const View last{.config = p.study, .history = history, .pending = pending, .handed_out = 80};
  return p.truth(strategy.best(last).value()).loss / p.ordinary;
}

TEST(ExampleStrategy, beats_random_search_on_mixed_and_plain_spaces) {
  for (const char* name : {"Sphere-5D", "Mixed-5", "LogSphere-4D"}) {
    double nearby = 0;
    double random = 0;
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      const auto p = testing::function_row(name, seed);
      nearby += regret(Strategy(NearbyStrategy(p.study)), p, seed);
      random += regret(Strategy(RandomStrategy()), p, seed);
    }
    EXPECT_LT(nearby, 0.5 * random) << name;
  }
}

}  // namespace
}  // namespace arqon::solver
