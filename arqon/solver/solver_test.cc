#include "arqon/solver/solver.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace arqon::solver {
namespace {

StudyConfig serving_study() {
  return {.space = Space({{.name = "batch_size", .scale = Scale::kLog, .min = 1, .max = 64},
                          {.name = "max_wait_ms", .min = 10, .max = 500}}),
          .seed = 42};
}

TEST(Solver, an_unknown_strategy_is_refused_by_name) {
  StudyConfig config = serving_study();
  config.strategy = "tep";
  const auto solver = Solver::create(config);
  ASSERT_FALSE(solver.has_value());
  EXPECT_EQ(solver.error().code, ErrorCode::kInvalidConfig);
  EXPECT_NE(solver.error().message.find("tep"), std::string::npos);
  EXPECT_NE(solver.error().message.find("sobol"), std::string::npos);
}

TEST(Solver, ask_one_ends_with_the_budget_and_brought_points_are_free) {
  StudyConfig config = serving_study();
  config.budget = 3;
  Solver solver = *Solver::create(config);
  ASSERT_TRUE(solver.seed({{.params = {8, 100}, .value = -1.0}}));
  for (int i = 0; i < 3; ++i) {
    const auto point = solver.ask_one();
    ASSERT_TRUE(point.has_value());
    ASSERT_TRUE(solver.tell({{.params = *point, .value = -2.0}}));
  }
  EXPECT_FALSE(solver.ask_one().has_value());
  EXPECT_TRUE(solver.ask(5).empty());
  EXPECT_EQ(solver.history().size(), 4u);
}

TEST(Solver, ask_without_a_budget_stops_at_a_hundred) {
  StudyConfig config = serving_study();
  config.strategy = "random";
  Solver solver = *Solver::create(config);
  EXPECT_EQ(solver.ask(250).size(), 100u);
}

TEST(Solver, tell_takes_all_trials_or_none_and_names_the_bad_one) {
  Solver solver = *Solver::create(serving_study());
  const auto told = solver.tell({{.params = {8, 100}, .value = -1.0},
                                 {.params = {8, 9}, .value = -1.0}});
  ASSERT_FALSE(told.has_value());
  EXPECT_EQ(told.error().code, ErrorCode::kInvalidConfig);
  EXPECT_NE(told.error().message.find("results[1]"), std::string::npos) << told.error().message;
  EXPECT_NE(told.error().message.find("max_wait_ms"), std::string::npos);
  EXPECT_TRUE(solver.history().empty());
}

TEST(Solver, tell_refuses_what_breaks_the_contract) {
  Solver solver = *Solver::create(serving_study());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(solver.tell({{.params = {8, 100}, .value = nan}}));
  EXPECT_FALSE(solver.tell({{.params = {8, 100}}}));
  EXPECT_FALSE(solver.tell({{.params = {8}, .value = 1.0}}));
  EXPECT_FALSE(solver.tell({{.params = {8, 100}, .value = 1.0, .cost = -1}}));
  EXPECT_TRUE(solver.tell({{.params = {8, 100}, .outcome = Outcome::kCrashed}}));
}

TEST(Solver, a_restored_one_goes_on_as_the_saved_one) {
  for (const bool batch : {false, true}) {
    StudyConfig config = serving_study();
    const auto next = [&](Solver& s) { return batch ? s.ask(1).at(0) : s.ask_one().value(); };
    const auto reward = [](const Config& x) {
      return x[0] * x[1] > 4000 ? -1000 : x[0] / 64 + x[1] / 500;
    };
    Solver saved = *Solver::create(config);
    std::vector<Config> waiting;
    for (int i = 0; i < 30; ++i) {
      waiting.push_back(next(saved));
      if (waiting.size() < 3) continue;
      ASSERT_TRUE(saved.tell({{.params = waiting[0], .value = reward(waiting[0])}}));
      waiting.erase(waiting.begin());
    }
    auto restored = Solver::restore(config, saved.state());
    ASSERT_TRUE(restored.has_value());
    for (int i = 0; i < 6; ++i) {
      const Config x = next(saved);
      EXPECT_EQ(next(*restored), x) << batch << " " << i;
      const Trial trial{.params = x, .value = reward(x)};
      ASSERT_TRUE(saved.tell({trial}));
      ASSERT_TRUE(restored->tell({trial}));
    }
  }
}

TEST(Solver, a_state_of_another_study_is_refused) {
  SolverState state{.history = {{.params = {8, 9}, .value = 1.0}}};
  EXPECT_FALSE(Solver::restore(serving_study(), state));
  EXPECT_FALSE(Solver::restore(serving_study(), {.pending = {{8, 9}}, .handed_out = 1}));
  EXPECT_FALSE(Solver::restore(serving_study(), {.pending = {{8, 100}}, .handed_out = 0}));
}

TEST(Solver, an_evaluation_counts_once) {
  Solver solver = *Solver::create(serving_study());
  const Trial first{.params = {8, 100}, .value = 1.0, .eval_id = 5};
  Trial second{.params = {9, 100}, .value = 2.0, .eval_id = 6};
  EXPECT_FALSE(solver.tell({first, first})) << "twice in one call";
  EXPECT_TRUE(solver.history().empty());
  ASSERT_TRUE(solver.tell({first}));
  const auto again = solver.tell({second, first});
  ASSERT_FALSE(again.has_value());
  EXPECT_NE(again.error().message.find("results[1]"), std::string::npos);
  EXPECT_NE(again.error().message.find("eval_id 5"), std::string::npos);
  EXPECT_EQ(solver.history().size(), 1u);
  EXPECT_TRUE(solver.tell({second})) << "what was refused may come again";
}

TEST(Solver, a_value_beside_an_objective_and_a_missing_metric_are_refused) {
  StudyConfig config = serving_study();
  config.objective = Objective{.metric = "cost"};
  config.constraints = {{.metric = "attainment.chat", .min = 0.99}};
  Solver solver = *Solver::create(config);
  EXPECT_FALSE(solver.tell({{.params = {8, 100}, .value = 1.0}}));
  EXPECT_FALSE(solver.tell({{.params = {8, 100}, .metrics = {{"cost", {.value = 1}}}}}));
  EXPECT_TRUE(solver.tell({{.params = {8, 100},
                            .metrics = {{"cost", {.value = 1}},
                                        {"attainment.chat", {.value = 0.995}}}}}));
}

}  // namespace
}  // namespace arqon::solver
