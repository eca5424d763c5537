#include "arqon/solver/finals.h"

#include <gtest/gtest.h>

#include <map>

namespace arqon::solver {
namespace {

StudyConfig reward_study() {
  return {.space = Space({{.name = "size", .type = ParamType::kInt, .min = 1, .max = 64}}),
          .seed = 3,
          .budget = 1};
}

Trial reward(double size, double value) { return {.params = {size}, .value = value}; }

Solver told(StudyConfig config, std::vector<Trial> trials) {
  Solver solver = *Solver::create(std::move(config));
  EXPECT_TRUE(solver.tell(std::move(trials)));
  return solver;
}

TEST(Finals, a_lucky_measurement_is_found_out) {
  const Solver solver =
      told(reward_study(), {reward(8, 2.0), reward(16, 1.5), reward(32, 0.2), reward(4, 0.9)});
  Finals finals(solver, 3);
  for (int i = 0; i < 6; ++i) {
    const auto point = finals.next();
    ASSERT_TRUE(point.has_value());
    // 8 was lucky: it is worth 1.0; the others are what they were.
    finals.tell(reward((*point)[0], (*point)[0] == 8    ? 1.0
                                    : (*point)[0] == 16 ? 1.5
                                                        : 0.8));
  }
  EXPECT_EQ(finals.best(), (Config{16}));
}

TEST(Finals, each_finalist_is_measured_again_before_any_a_second_time) {
  const Solver solver = told(reward_study(), {reward(8, 2), reward(16, 1.9), reward(24, 1.8)});
  Finals finals(solver, 3);
  std::map<double, int> asked;
  for (int i = 0; i < 3; ++i) {
    const auto point = finals.next();
    ASSERT_TRUE(point.has_value());
    ++asked[(*point)[0]];
    finals.tell(reward((*point)[0], 1.5));
  }
  EXPECT_EQ(asked.size(), 3u);
  for (const auto& [size, times] : asked) EXPECT_EQ(times, 1) << size;
}

TEST(Finals, turns_go_to_the_leader_that_was_measured_less) {
  StudyConfig config = reward_study();
  config.space = Space({{.name = "policy", .type = ParamType::kCategorical,
                         .choices = {"one", "two", "three"}}});
  const Solver solver = told(config, {reward(0, 2), reward(1, 1.9), reward(2, 0.1)});
  Finals finals(solver, 3);
  std::map<double, int> asked;
  for (int i = 0; i < 9; ++i) {
    const auto point = finals.next();
    ASSERT_TRUE(point.has_value());
    ++asked[(*point)[0]];
    finals.tell(reward((*point)[0], (*point)[0] < 2 ? 2 : 0.1));
  }
  EXPECT_EQ(asked[0], 4);
  EXPECT_EQ(asked[1], 4);
  EXPECT_EQ(asked[2], 1);
}

TEST(Finals, what_breaks_a_limit_when_it_is_looked_at_again_is_not_the_end) {
  StudyConfig config = reward_study();
  config.objective = Objective{.metric = "rate", .minimize = false};
  config.constraints = {{.metric = "p99_ms", .min = {}, .max = 50}};
  const auto trial = [](double size, double rate, double p99) {
    Trial t{.params = {size}};
    t.metrics["rate"] = {.value = rate};
    t.metrics["p99_ms"] = {.value = p99};
    return t;
  };
  const Solver solver = told(config, {trial(8, 500, 45), trial(16, 600, 48), trial(32, 900, 80)});
  Finals finals(solver, 4);
  for (int i = 0; i < 8; ++i) {
    const auto point = finals.next();
    if (!point) break;
    finals.tell(trial((*point)[0], (*point)[0] == 8 ? 500 : 600, (*point)[0] == 8 ? 45 : 55));
  }
  EXPECT_EQ(finals.best(), (Config{8}));
}

TEST(Finals, what_is_no_finalist_is_left_out_and_nobody_allowed_is_nobody) {
  StudyConfig config = reward_study();
  config.constraints = {{.metric = "p99_ms", .min = {}, .max = 50}};
  Trial bad = reward(8, 1);
  bad.metrics["p99_ms"] = {.value = 90};
  const Solver solver = told(config, {bad});
  Finals finals(solver, 2);
  while (const auto point = finals.next()) {
    Trial again = bad;
    again.params = *point;
    finals.tell(again);
  }
  finals.tell(bad);
  EXPECT_FALSE(finals.best().has_value());
}

}  // namespace
}  // namespace arqon::solver
