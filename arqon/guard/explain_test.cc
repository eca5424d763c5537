#include "arqon/guard/explain.h"

#include <gtest/gtest.h>

#include <cmath>

#include "arqon/guard/safety_executor.h"

namespace arqon::guard {
namespace {

Space make_space() {
  return Space({
      {.name = "main.prefill_token_budget",
       .type = ParamType::kInt,
       .min = 256,
       .max = 8192,
       .step = 64,
       .unit = "tokens"},
      {.name = "angle", .scale = Scale::kPeriodic, .min = 0, .max = 360},
      {.name = "policy", .type = ParamType::kCategorical, .choices = {"a", "b"}},
      {.name = "weights", .type = ParamType::kSimplex, .choices = {"x", "y"}},
      {.name = "model", .min = 0, .max = 1, .change_class = ChangeClass::kForbidden},
  });
}

Guardrails make_guardrails() {
  return {.limits = {{256, 8192, 2100}, {0, 360, 45}, {0, 1, 1}, {0, 1, 0.3}, {0, 1, 1}},
          .max_updates_per_second = 0.2,
          .reflex_updates_per_second = 1};
}

TEST(Explain, says_what_a_set_permits) {
  const std::vector<std::string> lines = explain(make_space(), make_guardrails());
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines[0], "experiments: at most one change every 5 s, 12 a minute, 720 an hour");
  EXPECT_EQ(lines[1], "reflex moves: at most one change every 1 s, 60 a minute, 3600 an hour");
  EXPECT_EQ(lines[2],
            "main.prefill_token_budget: 256 to 8192 tokens in steps of 64; at most 2048 tokens per "
            "change; across in 4 changes, 15 s at the least");
  EXPECT_EQ(lines[3],
            "angle: 0 to 360; at most 45 per change; across in 4 changes, 15 s at the "
            "least");
  EXPECT_EQ(lines[4], "policy: any of its choices in one change");
  EXPECT_EQ(lines[5],
            "weights: each weight 0 to 1; at most 0.3 of the total weight per change; all of it in "
            "4 changes, 15 s at the least");
  EXPECT_EQ(lines[6], "model: never changed");
}

// What explain() promises is what the executor does: the walk across takes exactly that many.
TEST(Explain, the_number_of_changes_across_is_the_one_that_it_takes) {
  const Space space({{.name = "k", .type = ParamType::kInt, .min = 0, .max = 100, .step = 4}});
  for (const double max_delta : {4.0, 5.0, 12.0, 16.0, 100.0}) {
    const Guardrails guardrails{.limits = {{0, 100, max_delta}},
                                .max_updates_per_second = 1,
                                .reflex_updates_per_second = 1};
    auto executor = SafetyExecutor::create(space, guardrails);
    double at = 0;
    ASSERT_EQ(executor->set_baseline({&at, 1}, time_at(0)).kind, ViolationKind::kNone);
    std::uint64_t changes = 0;
    for (; at < 100; ++changes) {
      // The furthest value that is let through.
      for (double next = 100; next > at; next -= 4) {
        const TimePoint now = time_at(static_cast<double>(changes));
        if (!executor->propose({&next, 1}, Lane::kExperiment, now, true).permitted) continue;
        at = next;
        break;
      }
    }
    EXPECT_EQ(changes, changes_across(space[0], guardrails.limits[0])) << max_delta;
  }
}

TEST(Explain, says_what_windows_failures_and_reach_allow) {
  const Space space({{.name = "k", .min = 1, .max = 100, .unit = "tokens"}});
  Guardrails rails{.limits = {{.min = 1, .max = 100, .max_delta = 10}}, .window_s = 60};
  Limits& l = rails.limits[0];
  l.max_ratio = 2, l.max_rise = 5, l.travel = 50, l.flips = 3, l.dwell_s = 10, l.protective = -1;
  l.owner = Owner::kPlanner;
  rails.cool_down_s = 60;
  rails.failures_per_hour = 6;
  rails.blast = {.share = 0.05, .domains = 1, .spare = 1};
  rails.constraints = {{.terms = {{1, 0, Constraint::kOne}}, .limit = 90, .text = "k <= 90"}};
  const std::vector<std::string> lines = explain(space, rails);
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines[2],
            "k: 1 to 100 tokens; at most 10 tokens per change; across in 10 changes, 9 s at the "
            "least; up at most 5 tokens per change; by a factor of 2 at most; travels at most 50 "
            "tokens in any 60 s; turns round at most 3 times in any 60 s; rests 10 s between "
            "changes; the reflex may jump down inside a proven envelope; moved by the planner "
            "alone");
  EXPECT_EQ(lines[3],
            "after an experiment that failed: none for 60 s, twice as long with every further one "
            "within an hour");
  EXPECT_EQ(lines[4], "frozen by the 6. failure within an hour, until a person ends it");
  EXPECT_EQ(lines[5],
            "unproven settings reach at most: one replica or 5 % of them; 1 failure domain(s); 1 "
            "replica(s) to spare without them");
  EXPECT_EQ(lines[6], "always: k <= 90");
}

// What journey() promises is the best that a guard lets anybody do.
TEST(Journey, takes_as_many_changes_as_the_executor_demands) {
  const Space space({{.name = "k", .type = ParamType::kInt, .min = 1, .max = 200}});
  for (const double max_ratio : {0.0, 1.5}) {
    for (const double max_rise : {0.0, 7.0}) {
      Guardrails rails{.limits = {{.min = 1, .max = 200, .max_delta = 20}}};
      rails.limits[0].max_ratio = max_ratio;
      rails.limits[0].max_rise = max_rise;
      for (const auto& [from, to] : {std::pair{4.0, 150.0}, std::pair{150.0, 4.0}}) {
        auto guard = *SafetyExecutor::create(space, rails);
        double at = from;
        ASSERT_EQ(guard.set_baseline({&at, 1}, time_at(0)).kind, ViolationKind::kNone);
        std::uint64_t changes = 0;
        for (; at != to; ++changes) {
          for (double next = to; next != at; next += to > at ? -1 : 1) {
            const TimePoint now = time_at(static_cast<double>(changes));
            if (!guard.propose({&next, 1}, Lane::kExperiment, now, true).permitted) continue;
            at = next;
            break;
          }
        }
        const auto way = journey(space, rails, {&from, 1}, {&to, 1});
        ASSERT_TRUE(way.has_value());
        EXPECT_EQ(way->changes, changes) << from << " " << max_ratio << " " << max_rise;
        EXPECT_EQ(way->seconds, static_cast<double>(changes - 1));
      }
    }
  }
}

TEST(Journey, says_what_holds_it_up_and_when_there_is_no_way) {
  const Space space({{.name = "k", .min = 0, .max = 100},
                     {.name = "fixed", .change_class = ChangeClass::kForbidden}});
  Guardrails rails{.limits = {{0, 100, 50}, {0, 1, 1}}, .window_s = 60};
  rails.limits[0].travel = 25;
  const Config from{0, 0}, to{100, 0}, moved{0, 1};
  EXPECT_EQ(describe(*journey(space, rails, from, to)),
            "2 changes, 3 min at the least, held up by travel of k");
  EXPECT_EQ(describe(*journey(space, rails, from, from)), "no change");
  EXPECT_EQ(describe(*journey(space, rails, from, moved)), "impossible: fixed: never changed");
  EXPECT_FALSE(journey(space, rails, from, Config{0}).has_value());
}

}  // namespace
}  // namespace arqon::guard
