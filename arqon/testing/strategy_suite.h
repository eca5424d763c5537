// What every strategy must do, whatever it is: the battery that a new one passes unchanged.
// Include it in one test file and instantiate StrategySuite with the strategies' names.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "arqon/solver/solver.h"

namespace arqon::testing {

class StrategySuite : public ::testing::TestWithParam<std::string> {
 protected:
  static Space mixed_space() {
    return Space({
        {.name = "batch",
         .type = arqon::ParamType::kInt,
         .scale = Scale::kLog,
         .min = 1,
         .max = 64},
        {.name = "wait", .min = 10, .max = 500},
        {.name = "budget", .type = arqon::ParamType::kInt, .min = 256, .max = 8192, .step = 64},
        {.name = "phase", .scale = Scale::kPeriodic, .min = 0, .max = 24},
        {.name = "policy",
         .type = arqon::ParamType::kCategorical,
         .choices = {"fcfs", "sjf", "edf"}},
        {.name = "chunked", .type = arqon::ParamType::kBool},
        {.name = "router", .type = arqon::ParamType::kSimplex, .choices = {"s", "m", "l"}},
    });
  }
  static Space tiny_space() {
    return Space({{.name = "k", .type = arqon::ParamType::kInt, .min = 0, .max = 2},
                  {.name = "b", .type = arqon::ParamType::kBool}});
  }
  solver::Solver make(Space space, std::uint64_t seed = 7) const {
    solver::StudyConfig config{.space = std::move(space), .seed = seed, .strategy = GetParam()};
    auto made = solver::Solver::create(std::move(config));
    EXPECT_TRUE(made.has_value());
    return std::move(*made);
  }
  // A reward with a smooth part, a jump by category and a penalty for part of the box.
  static solver::Trial measure(const Config& params, std::size_t n) {
    if (n % 11 == 10) return {.params = params, .outcome = solver::Outcome::kCrashed};
    if (params[1] > 400) return {.params = params, .value = -1000};
    return {.params = params,
            .value = -1 - params[0] / 64 + params[1] / 500 + (params[4] == 1 ? 0.3 : 0)};
  }
};

TEST_P(StrategySuite, every_proposal_lies_in_the_space_also_after_failures) {
  solver::Solver solver = make(mixed_space());
  for (std::size_t n = 0; n < 60; ++n) {
    const auto point = solver.ask_one();
    ASSERT_TRUE(point.has_value());
    ASSERT_TRUE(solver.config().space.contains(*point)) << n;
    ASSERT_TRUE(solver.tell({measure(*point, n)}));
  }
}

TEST_P(StrategySuite, a_pending_point_is_never_handed_out_again_and_the_space_runs_out) {
  solver::Solver solver = make(tiny_space());
  const std::vector<Config> points = solver.ask(10);
  EXPECT_EQ(points.size(), 6u);
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(points[i], points[j]);
  }
  EXPECT_FALSE(solver.ask_one().has_value());
  ASSERT_TRUE(solver.tell({{.params = points[2], .value = 1}}));
  EXPECT_EQ(solver.ask_one(), points[2]) << "the answered point is the only free one";
}

TEST_P(StrategySuite, pending_points_stay_distinct_while_results_come_in_late) {
  solver::Solver solver = make(mixed_space());
  std::vector<Config> pending;
  for (std::size_t n = 0; n < 40; ++n) {
    const auto point = solver.ask_one();
    ASSERT_TRUE(point.has_value());
    for (const Config& p : pending) ASSERT_NE(p, *point) << n;
    pending.push_back(*point);
    if (pending.size() < 4) continue;
    ASSERT_TRUE(solver.tell({measure(pending.front(), n)}));
    pending.erase(pending.begin());
  }
}

TEST_P(StrategySuite, same_config_and_results_give_the_same_points_and_another_seed_does_not) {
  const auto run = [&](std::uint64_t seed) {
    solver::Solver solver = make(mixed_space(), seed);
    std::vector<Config> asked;
    for (std::size_t n = 0; n < 40; ++n) {
      asked.push_back(*solver.ask_one());
      EXPECT_TRUE(solver.tell({measure(asked.back(), n)}));
    }
    return asked;
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

TEST_P(StrategySuite, a_knobs_name_changes_nothing) {
  std::vector<Parameter> renamed = mixed_space().parameters();
  for (Parameter& p : renamed) p.name = "x." + p.name;
  solver::Solver a = make(mixed_space());
  solver::Solver b = make(Space(renamed));
  for (std::size_t n = 0; n < 30; ++n) {
    const Config point = *a.ask_one();
    ASSERT_EQ(point, *b.ask_one());
    ASSERT_TRUE(a.tell({measure(point, n)}));
    ASSERT_TRUE(b.tell({measure(point, n)}));
  }
}

TEST_P(StrategySuite, a_copy_goes_on_as_the_original_does_and_apart_from_it) {
  solver::Solver original = make(mixed_space());
  for (std::size_t n = 0; n < 30; ++n) {
    ASSERT_TRUE(original.tell({measure(*original.ask_one(), n)}));
  }
  solver::Solver copy = original;
  const Config point = *original.ask_one();
  EXPECT_EQ(point, *copy.ask_one());
  ASSERT_TRUE(original.tell({{.params = point, .value = 5}}));
  EXPECT_EQ(copy.history().size() + 1, original.history().size());
}

TEST_P(StrategySuite, telling_at_once_or_one_by_one_leads_to_the_same_next_point) {
  solver::Solver at_once = make(mixed_space());
  solver::Solver one_by_one = make(mixed_space());
  solver::Solver source = make(mixed_space(), 99);
  std::vector<solver::Trial> trials;
  for (std::size_t n = 0; n < 20; ++n) trials.push_back(measure(*source.ask_one(), n));
  for (const solver::Trial& t : trials) ASSERT_TRUE(one_by_one.tell({t}));
  ASSERT_TRUE(at_once.tell(trials));
  EXPECT_EQ(at_once.ask_one(), one_by_one.ask_one());
}

TEST_P(StrategySuite, best_is_nothing_before_a_usable_result_and_never_a_forbidden_setting) {
  solver::Solver solver = make(mixed_space());
  EXPECT_FALSE(solver.best().has_value());
  const Config first = *solver.ask_one();
  ASSERT_TRUE(solver.tell({{.params = first, .outcome = solver::Outcome::kFailed}}));
  EXPECT_FALSE(solver.best().has_value());
  for (std::size_t n = 0; n < 60; ++n) {
    ASSERT_TRUE(solver.tell({measure(*solver.ask_one(), n)}));
  }
  const auto best = solver.best();
  ASSERT_TRUE(best.has_value());
  EXPECT_TRUE(solver.config().space.contains(best->params));
  EXPECT_LE(best->params[1], 400);
}

TEST_P(StrategySuite, predictions_are_finite_from_the_first_call_on) {
  solver::Solver solver = make(mixed_space());
  for (std::size_t n = 0; n < 30; ++n) {
    const Config point = *solver.ask_one();
    const solver::Prediction p = solver.predict(point);
    ASSERT_TRUE(std::isfinite(p.objective) && std::isfinite(p.objective_sd)) << n;
    ASSERT_TRUE(p.feasible_probability >= 0 && p.feasible_probability <= 1) << n;
    ASSERT_TRUE(solver.tell({measure(point, n)}));
  }
}

TEST_P(StrategySuite, only_failures_do_not_stop_it) {
  solver::Solver solver = make(mixed_space());
  for (std::size_t n = 0; n < 40; ++n) {
    const auto point = solver.ask_one();
    ASSERT_TRUE(point.has_value());
    ASSERT_TRUE(solver.tell({{.params = *point, .outcome = solver::Outcome::kCrashed}}));
  }
}

TEST_P(StrategySuite, an_applied_setting_off_the_grid_is_taken) {
  solver::Solver solver = make(mixed_space());
  for (std::size_t n = 0; n < 30; ++n) {
    solver::Trial trial = measure(*solver.ask_one(), n);
    trial.applied = trial.params;
    (*trial.applied)[0] += 0.37;
    (*trial.applied)[1] = n % 2 == 0 ? 900 : -3;
    ASSERT_TRUE(solver.tell({trial}));
  }
}

}  // namespace arqon::testing
