// The parts of the lattice that remember: travel, flips, dwell, failures; and those that know who
// asks and how far it reaches.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/guard/pace.h"
#include "arqon/guard/presets.h"
#include "arqon/guard/safety_executor.h"
#include "arqon/guard/violation_text.h"

namespace arqon::guard {
namespace {

// One number from 0 to 100 and a small set of limits that lets everything else through.
struct One {
  explicit One(Limits limits, Guardrails rails = {}) {
    limits.max = 100;
    if (limits.max_delta == 0.1) limits.max_delta = 100;
    rails.limits = {limits};
    rails.max_updates_per_second = 1000;
    rails.reflex_updates_per_second = 1000;
    executor.emplace(
        *SafetyExecutor::create(Space({{.name = "k", .min = limits.min, .max = 100}}), rails));
    start(50);
  }
  void start(double at) {
    EXPECT_EQ(executor->set_baseline({&at, 1}, time_at(0)).kind, ViolationKind::kNone);
  }
  ViolationKind go(double to, double at_s, Lane lane = Lane::kExperiment, bool glide = true) {
    last = executor->propose({&to, 1}, lane, time_at(at_s), glide).violation;
    return last.kind;
  }
  std::optional<SafetyExecutor> executor;
  Violation last;
};

TEST(Travel, the_step_that_would_cross_the_budget_is_refused_and_not_the_one_after) {  // F4
  One guard({.travel = 10});
  EXPECT_EQ(guard.go(54, 1), ViolationKind::kNone);
  EXPECT_EQ(guard.go(50, 2), ViolationKind::kNone);
  EXPECT_EQ(guard.go(52.5, 3), ViolationKind::kTravel);
  EXPECT_DOUBLE_EQ(guard.last.value, 10.5);
  EXPECT_EQ(guard.last.limit, 10);
  EXPECT_EQ(guard.go(52, 4), ViolationKind::kNone);  // exactly the budget
  EXPECT_EQ(guard.go(51.99, 5), ViolationKind::kTravel);
}

TEST(Travel, no_window_wherever_it_begins_holds_more_than_the_budget) {  // sliding, not tumbling
  One guard({.travel = 10}, {.window_s = 60});
  std::vector<std::pair<double, double>> moves;  // when, how far
  double at = 50;
  for (int i = 0; i < 3000; ++i) {
    const double now = 0.37 * i, to = at > 50 ? at - 1 : at + 1;
    if (guard.go(to, now) == ViolationKind::kNone) moves.emplace_back(now, 1), at = to;
  }
  double worst = 0;
  for (const auto& [from, ignored] : moves) {
    double sum = 0;
    for (const auto& [when, length] : moves) sum += when >= from && when < from + 60 ? length : 0;
    worst = std::max(worst, sum);
  }
  EXPECT_EQ(worst, 10);
  // And it is not much stricter than it says: windows are remembered a fifteenth longer at most.
  EXPECT_GE(moves.size(), static_cast<std::size_t>(3000 * 0.37 / 64.1 * 10) - 10);
}

TEST(Travel, what_is_remembered_is_forgotten_after_the_window_and_a_fifteenth) {
  One guard({.travel = 10}, {.window_s = 60});
  EXPECT_EQ(guard.go(60, 0.5), ViolationKind::kNone);
  EXPECT_EQ(guard.go(59, 60.4), ViolationKind::kTravel);
  EXPECT_EQ(guard.go(50, 64.6), ViolationKind::kNone);
}

TEST(Travel, a_revert_is_free_and_always_there) {
  One guard({.travel = 10});
  EXPECT_EQ(guard.go(60, 1), ViolationKind::kNone);
  EXPECT_TRUE(guard.executor->revert(time_at(2)).permitted);
  EXPECT_EQ(guard.go(51, 3), ViolationKind::kTravel);
}

TEST(Flips, the_change_of_direction_that_is_one_too_many_is_refused) {  // F4, F20
  One guard({.flips = 2}, {.window_s = 60});
  EXPECT_EQ(guard.go(51, 1), ViolationKind::kNone);
  EXPECT_EQ(guard.go(50, 2), ViolationKind::kNone);  // 1
  EXPECT_EQ(guard.go(51, 3), ViolationKind::kNone);  // 2
  EXPECT_EQ(guard.go(50, 4), ViolationKind::kFlips);
  EXPECT_EQ(guard.last.value, 3);
  EXPECT_EQ(guard.last.limit, 2);
  EXPECT_EQ(guard.go(52, 5), ViolationKind::kNone);  // on in the same direction
  EXPECT_EQ(guard.go(50, 70), ViolationKind::kNone);
}

TEST(Flips, an_oscillating_optimizer_is_held_to_the_limit_in_every_window_whatever_the_seed) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    One guard({.flips = 3}, {.window_s = 60});
    Rng rng(seed);
    std::vector<double> turns;
    double at = 50, before = 0;
    for (double now = 0; now < 2000; now += rng.uniform(0.1, 3)) {
      const double to = std::round(rng.uniform(0, 100));
      if (to == at || guard.go(to, now) != ViolationKind::kNone) continue;
      if (before != 0 && (to - at < 0) != (before < 0)) turns.push_back(now);
      before = to - at;
      at = to;
    }
    ASSERT_GT(turns.size(), 20U);
    for (std::size_t i = 3; i < turns.size(); ++i) EXPECT_GE(turns[i] - turns[i - 3], 60) << seed;
  }
}

TEST(Dwell, a_knob_rests_between_two_changes_but_not_within_a_glide) {
  One guard({.dwell_s = 30});
  const auto fresh = [&](double to, double at) {
    guard.executor->confirm(time_at(at));
    return guard.go(to, at, Lane::kExperiment, false);
  };
  EXPECT_EQ(fresh(51, 1), ViolationKind::kNone);
  EXPECT_EQ(fresh(52, 30.9), ViolationKind::kDwell);
  EXPECT_NEAR(guard.last.value, 0.1, 1e-9);
  EXPECT_EQ(guard.go(52, 30.9), ViolationKind::kNone);  // the same glide goes on
  EXPECT_EQ(fresh(53, 60), ViolationKind::kDwell);
  EXPECT_EQ(fresh(53, 61), ViolationKind::kNone);
}

TEST(Reach, rises_are_slower_than_falls_and_ratios_count_from_where_it_is) {  // S15
  One guard({.min = 1, .max_delta = 40, .max_ratio = 1.5, .max_rise = 5});
  EXPECT_EQ(guard.go(56, 1), ViolationKind::kMaxDelta);
  EXPECT_EQ(guard.last.limit, 5);
  EXPECT_EQ(guard.go(55, 2), ViolationKind::kNone);
  EXPECT_EQ(guard.go(36, 3), ViolationKind::kMaxDelta);  // 55 / 1.5 is 36.67
  EXPECT_EQ(guard.go(36.67, 4), ViolationKind::kNone);
  EXPECT_EQ(guard.go(24, 5), ViolationKind::kMaxDelta);
}

TEST(Reach, one_step_of_the_grid_is_always_allowed) {
  const Space space({{.name = "k", .type = ParamType::kInt, .min = 1, .max = 100}});
  auto guard = *SafetyExecutor::create(
      space, {.limits = {{.min = 1, .max = 100, .max_delta = 50, .max_ratio = 1.2}}});
  double at = 2;
  ASSERT_EQ(guard.set_baseline({&at, 1}, time_at(0)).kind, ViolationKind::kNone);
  at = 4;
  EXPECT_EQ(guard.propose({&at, 1}, Lane::kExperiment, time_at(1)).violation.kind,
            ViolationKind::kMaxDelta);
  at = 3;
  EXPECT_TRUE(guard.propose({&at, 1}, Lane::kExperiment, time_at(2)).permitted);
}

TEST(Failures, each_closes_the_lane_twice_as_long_and_the_last_one_freezes) {  // F20, F21
  One guard({}, {.cool_down_s = 10, .failures_per_hour = 4});
  double now = 0;
  for (const double closed : {10.0, 20.0, 40.0}) {
    EXPECT_EQ(guard.go(51, now), ViolationKind::kNone);
    guard.executor->revert(time_at(now), SafetyExecutor::Why::kFailed);
    EXPECT_EQ(guard.go(51, now + closed - 0.01), ViolationKind::kCoolDown);
    EXPECT_EQ(guard.last.limit, closed);
    EXPECT_FALSE(guard.executor->frozen());
    now += closed;
  }
  EXPECT_EQ(guard.go(51, now), ViolationKind::kNone);
  guard.executor->revert(time_at(now), SafetyExecutor::Why::kFailed);
  EXPECT_TRUE(guard.executor->frozen());
  EXPECT_EQ(guard.go(51, now + 5000), ViolationKind::kFrozen);
  guard.executor->unfreeze();
  EXPECT_EQ(guard.go(51, now + 5000), ViolationKind::kNone);
}

TEST(Failures, are_forgotten_after_an_hour_and_a_turn_in_a_switchback_is_none) {
  One guard({}, {.failures_per_hour = 2});
  guard.executor->revert(time_at(0), SafetyExecutor::Why::kFailed);
  for (int i = 0; i < 50; ++i) guard.executor->revert(time_at(i));
  guard.executor->revert(time_at(3600), SafetyExecutor::Why::kFailed);
  EXPECT_FALSE(guard.executor->frozen());
  guard.executor->revert(time_at(3601), SafetyExecutor::Why::kFailed);
  EXPECT_TRUE(guard.executor->frozen());
}

TEST(Jump, only_in_the_protective_direction_and_inside_a_proven_envelope) {  // S2
  One guard({.max_delta = 5, .dwell_s = 60, .protective = -1});
  const double low = 10, high = 50;
  guard.executor->set_envelope({&low, 1}, {&high, 1});
  EXPECT_EQ(guard.go(20, 1, Lane::kReflex), ViolationKind::kMaxDelta);
  guard.executor->set_envelope({&low, 1}, {&high, 1}, EnvelopeProof::kEndsAndMiddle);
  EXPECT_EQ(guard.go(20, 2, Lane::kExperiment), ViolationKind::kMaxDelta);
  EXPECT_EQ(guard.go(20, 3, Lane::kReflex), ViolationKind::kNone);
  EXPECT_EQ(guard.go(12, 4, Lane::kReflex, false), ViolationKind::kNone);  // no dwell either
  EXPECT_EQ(guard.go(9, 5, Lane::kReflex), ViolationKind::kOutOfBounds);
  EXPECT_EQ(guard.go(30, 70, Lane::kReflex), ViolationKind::kMaxDelta);  // saving goes slowly
  guard.start(50);
  EXPECT_EQ(guard.go(20, 80, Lane::kReflex), ViolationKind::kOutOfBounds);  // a new envelope
}

TEST(Owner, a_knob_moves_for_its_owner_and_for_a_human) {
  One guard({.owner = Owner::kPlanner});
  EXPECT_EQ(guard.go(51, 1), ViolationKind::kOwner);
  const double to = 51;
  const auto by = [&](Owner owner, double s) {
    return guard.executor->propose({{&to, 1}, Lane::kExperiment, time_at(s), true, owner})
        .violation.kind;
  };
  EXPECT_EQ(by(Owner::kReflex, 2), ViolationKind::kOwner);
  EXPECT_EQ(by(Owner::kPlanner, 3), ViolationKind::kNone);
  EXPECT_EQ(by(Owner::kHuman, 4), ViolationKind::kNone);
  EXPECT_EQ(guard.go(51, 5), ViolationKind::kNone);  // staying is not moving
}

TEST(Lane, a_restart_is_not_for_the_reflex_lane) {  // S15
  const Space space({{.name = "k", .min = 0, .max = 9, .change_class = ChangeClass::kRestart}});
  auto guard = *SafetyExecutor::create(space, {.limits = {{0, 9, 9}}});
  const double low = 0, at = 5, high = 9;
  guard.set_baseline({&at, 1}, time_at(0));
  guard.set_envelope({&low, 1}, {&high, 1});
  const Violation refused = guard.propose({&high, 1}, Lane::kReflex, time_at(1)).violation;
  EXPECT_EQ(refused.kind, ViolationKind::kLane);
  EXPECT_EQ(describe(refused, space), "k: a restart is not for the reflex lane");
  EXPECT_TRUE(guard.propose({&high, 1}, Lane::kExperiment, time_at(2)).permitted);
}

TEST(Constraint, a_sum_of_terms_and_products_holds_for_proposals_and_baselines) {
  const Space space({{.name = "a", .max = 10}, {.name = "b", .max = 10}});
  // a * b + 2 a <= 30
  const Constraint c{.terms = {{1, 0, 1}, {2, 0, Constraint::kOne}}, .limit = 30, .text = "c"};
  auto guard = *SafetyExecutor::create(
      space, {.limits = {{0, 10, 10}, {0, 10, 10}}, .constraints = {c}});
  EXPECT_EQ(guard.set_baseline(Config{5, 5}, time_at(0)).kind, ViolationKind::kConstraint);
  EXPECT_EQ(guard.set_baseline(Config{5, 4}, time_at(0)).kind, ViolationKind::kNone);
  const Violation v = guard.propose(Config{5, 4.1}, Lane::kExperiment, time_at(1)).violation;
  EXPECT_EQ(v.kind, ViolationKind::kConstraint);
  EXPECT_NEAR(v.value, 30.5, 1e-9);
  EXPECT_EQ(v.limit, 30);
  EXPECT_TRUE(guard.propose(Config{3, 8}, Lane::kExperiment, time_at(2)).permitted);
}

TEST(BlastRadius, one_replica_or_a_share_few_domains_and_enough_left) {  // S11
  const Guardrails rails{.limits = {{0, 1, 1}},
                         .blast = {.share = 0.05, .domains = 1, .spare = 1}};
  auto guard = *SafetyExecutor::create(Space({{.name = "k"}}), rails);
  const auto kind = [&](const Reach& reach) { return guard.check_reach(reach).kind; };
  EXPECT_EQ(kind({.replicas = 1, .cohort = 4}), ViolationKind::kNone);
  EXPECT_EQ(kind({.replicas = 2, .cohort = 39}), ViolationKind::kReach);
  EXPECT_EQ(kind({.replicas = 2, .cohort = 40}), ViolationKind::kNone);
  EXPECT_EQ(kind({.replicas = 2, .cohort = 40, .domains = 2}), ViolationKind::kReach);
  EXPECT_EQ(kind({.replicas = 1, .cohort = 4, .needed = 2}), ViolationKind::kNone);
  EXPECT_EQ(kind({.replicas = 1, .cohort = 4, .needed = 3}), ViolationKind::kReach);  // N + 1
}

TEST(Clock, a_step_of_the_clock_opens_and_closes_nothing) {  // F31
  // The same hour of proposals, once with readings that step back a day now and then.
  const auto run = [](bool steps) {
    One guard({.max_delta = 3, .travel = 20, .flips = 3, .dwell_s = 2},
              {.window_s = 30, .cool_down_s = 5, .failures_per_hour = 40});
    Rng rng(77);
    std::vector<std::uint8_t> answers;
    for (int i = 0; i < 3000; ++i) {
      const double now = 1.2 * i, to = std::round(rng.uniform(0, 100));
      const bool glide = rng.uniform() < 0.5, fails = rng.uniform() < 0.01;
      if (steps && i % 7 == 3) {
        for (const double back : {1.0, 3600.0, 86400.0}) {
          (void)guard.executor->next_allowed(Lane::kExperiment, time_at(now - back));
          guard.executor->confirm(time_at(now - 1.2 - back));
        }
      } else if (i % 7 == 3) {
        for (int k = 0; k < 3; ++k) guard.executor->confirm(time_at(now - 1.2));
      }
      answers.push_back(static_cast<std::uint8_t>(guard.go(to, now, Lane::kExperiment, glide)));
      if (fails) guard.executor->revert(time_at(now), SafetyExecutor::Why::kFailed);
    }
    return answers;
  };
  EXPECT_EQ(run(false), run(true));
}

TEST(Presets, fit_every_kind_of_knob_and_get_looser_by_name) {
  const Space space({
      {.name = "batch", .type = ParamType::kInt, .min = 1, .max = 64},
      {.name = "wait", .scale = Scale::kLog, .min = 10, .max = 500},
      {.name = "policy", .type = ParamType::kCategorical, .choices = {"a", "b", "c"}},
      {.name = "on", .type = ParamType::kBool, .max = 1},
      {.name = "few", .type = ParamType::kInt, .min = 0, .max = 2},
      {.name = "weights", .type = ParamType::kSimplex, .choices = {"x", "y"}},
      {.name = "angle", .scale = Scale::kPeriodic, .max = 360},
  });
  double before = 0;
  for (const Preset preset : {Preset::kConservative, Preset::kBalanced, Preset::kAggressive}) {
    const Guardrails rails = make_preset(preset, space);
    EXPECT_TRUE(SafetyExecutor::create(space, rails).has_value());
    EXPECT_GT(rails.limits[1].max_delta, before);
    EXPECT_GE(rails.limits[4].travel, 2);  // out and back
    before = rails.limits[1].max_delta;
  }
}

TEST(LargestChange, is_the_step_that_the_executor_lets_through_and_not_one_grid_step_more) {
  Rng rng(21);
  for (int run = 0; run < 300; ++run) {
    const double grid = rng.uniform() < 0.5 ? 1.0 : 4.0;
    Limits limits{.min = 4, .max = 400, .max_delta = std::round(rng.uniform(4, 100))};
    if (rng.uniform() < 0.5) limits.max_rise = std::max(grid, 0.5 * limits.max_delta);
    if (rng.uniform() < 0.5) limits.max_ratio = rng.uniform(1.01, 2);
    const Space space(
        {{.name = "k", .type = ParamType::kInt, .min = 4, .max = 400, .step = grid}});
    auto guard = *SafetyExecutor::create(space, {.limits = {limits}});
    double at = 200;
    ASSERT_EQ(guard.set_baseline({&at, 1}, time_at(0)).kind, ViolationKind::kNone);
    for (const bool up : {true, false}) {
      const double steps = std::floor(largest_change(limits, grid, at, up) / grid + 1e-9);
      const double to = at + (up ? steps : -steps) * grid, far = to + (up ? grid : -grid);
      const auto kind = [&](double v) {
        return guard.check({{&v, 1}, Lane::kExperiment, time_at(9), false, Owner::kAnyone}).kind;
      };
      EXPECT_EQ(kind(to), ViolationKind::kNone) << run;
      EXPECT_EQ(kind(far), ViolationKind::kMaxDelta) << run;
    }
  }
}

TEST(PassesWithTime, is_true_of_paces_alone) {
  for (int i = 0; i <= static_cast<int>(ViolationKind::kReach); ++i) {
    const auto kind = static_cast<ViolationKind>(i);
    const std::string_view name = to_string(kind);
    const bool pace = name == "rate" || name == "cool_down" || name == "dwell" ||
                      name == "flips" || name == "travel";
    EXPECT_EQ(passes_with_time(kind), pace) << name;
  }
}

}  // namespace
}  // namespace arqon::guard
