#include "arqon/solver/strategies/random/random.h"

#include <gtest/gtest.h>

#include "arqon/solver/solver.h"

namespace arqon::solver {
namespace {

TEST(RandomStrategy, points_cover_the_logarithmic_scale_evenly) {
  StudyConfig config{.space = Space({{.name = "x", .scale = Scale::kLog, .min = 1, .max = 10000}}),
                     .seed = 5,
                     .budget = 4000,
                     .strategy = "random"};
  Solver solver = *Solver::create(config);
  int below_hundred = 0;
  for (const Config& c : solver.ask(4000)) below_hundred += c[0] < 100 ? 1 : 0;
  EXPECT_NEAR(below_hundred, 2000, 150);
}

TEST(RandomStrategy, best_is_the_measured_minimum_of_what_meets_the_constraints) {
  StudyConfig config{.space = Space({{.name = "x", .min = 0, .max = 1}}), .strategy = "random"};
  config.objective = Objective{.metric = "cost"};
  config.constraints = {{.metric = "p99", .max = 100}};
  Solver solver = *Solver::create(config);
  const auto trial = [](double x, double cost, double p99) {
    return Trial{.params = {x}, .metrics = {{"cost", {.value = cost}}, {"p99", {.value = p99}}}};
  };
  ASSERT_TRUE(solver.tell({trial(0.1, 5, 90), trial(0.2, 1, 120), trial(0.3, 3, 100)}));
  EXPECT_EQ(solver.best()->params, Config{0.3});
}

}  // namespace
}  // namespace arqon::solver
