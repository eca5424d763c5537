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

}  // namespace
}  // namespace arqon::guard
