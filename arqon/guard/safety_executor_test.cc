#include "arqon/guard/safety_executor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>

#include "arqon/guard/testing/example.h"

namespace arqon::guard {
namespace {

using testing::make_guardrails;
using testing::make_space;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

class Guard : public ::testing::Test {
 protected:
  Guard() : space_(make_space()), executor_(SafetyExecutor::create(space_, make_guardrails())) {
    EXPECT_EQ(executor_->set_baseline(base_, time_at(0)).kind, ViolationKind::kNone);
  }

  // The setting in force with slot `slot` set to `value`.
  Config with(std::size_t slot, double value) const {
    Config c(executor_->in_force().begin(), executor_->in_force().end());
    c[slot] = value;
    return c;
  }
  // An experiment a long while after everything before.
  Verdict experiment(const Config& c) {
    now_s_ += 1000;
    return executor_->propose(c, Lane::kExperiment, time_at(now_s_));
  }
  Verdict reflex(const Config& c) {
    now_s_ += 1000;
    return executor_->propose(c, Lane::kReflex, time_at(now_s_));
  }
  void expect_refused(const Config& c, ViolationKind kind, std::uint16_t param, double value,
                      double limit) {
    const Config before(executor_->in_force().begin(), executor_->in_force().end());
    const Verdict verdict = experiment(c);
    EXPECT_FALSE(verdict.permitted);
    EXPECT_EQ(to_string(verdict.violation.kind), to_string(kind));
    EXPECT_EQ(verdict.violation.param, param);
    EXPECT_EQ(verdict.violation.value, value);
    EXPECT_EQ(verdict.violation.limit, limit);
    Snapshot snapshot;
    executor_->cell().read(snapshot);
    EXPECT_EQ(Config(snapshot.setting().begin(), snapshot.setting().end()), before);
    EXPECT_EQ(snapshot.generation, verdict.generation);
  }

  Space space_;
  Config base_ = {32, 5, 10, 0, 0.5, 0.3, 0.2, 1};
  Result<SafetyExecutor> executor_;
  double now_s_ = 0;
};

TEST_F(Guard, publishes_a_permitted_setting_as_the_next_generation) {
  const Verdict verdict = experiment(with(0, 40));
  EXPECT_TRUE(verdict.permitted);
  EXPECT_EQ(verdict.generation, 2U);  // the baseline was 1
  Snapshot snapshot;
  executor_->cell().read(snapshot);
  EXPECT_EQ(snapshot.values[0], 40);
  EXPECT_EQ(snapshot.size, 8U);
  EXPECT_EQ(snapshot.generation, 2U);
  EXPECT_EQ(snapshot.applied_at, time_at(1000));
  EXPECT_TRUE(executor_->unproven());
}

TEST_F(Guard, refuses_a_setting_of_the_wrong_length_whole) {
  Config longer = base_;
  longer.push_back(0);
  expect_refused(longer, ViolationKind::kWrongLength, 0, 9, 8);
  expect_refused({}, ViolationKind::kWrongLength, 0, 0, 8);
  expect_refused({40}, ViolationKind::kWrongLength, 0, 1, 8);
}

TEST_F(Guard, refuses_what_is_no_ordinary_number) {
  for (const double bad : {kNan, -kNan, kInf, -kInf, -0.0, 5e-324, 1e-310}) {
    for (std::size_t slot = 0; slot < space_.slots(); ++slot) {
      const Verdict verdict = experiment(with(slot, bad));
      EXPECT_FALSE(verdict.permitted);
      EXPECT_EQ(verdict.violation.kind, ViolationKind::kNotFinite) << bad << " in " << slot;
    }
  }
  EXPECT_EQ(executor_->counts().applied, 0U);
}

TEST_F(Guard, refuses_values_out_of_bounds_and_names_the_broken_end) {
  expect_refused(with(0, 64), ViolationKind::kOutOfBounds, 0, 64, 56);  // domain allows it
  expect_refused(with(1, -0.5), ViolationKind::kOutOfBounds, 1, -0.5, 0);
  expect_refused(with(3, 3), ViolationKind::kOutOfBounds, 3, 3, 2);
  expect_refused(with(5, 0.9), ViolationKind::kOutOfBounds, 4, 0.9, 0.8);
  expect_refused(with(5, -0.1), ViolationKind::kOutOfBounds, 4, -0.1, 0);
}

TEST_F(Guard, refuses_values_between_the_grid) {
  expect_refused(with(0, 36), ViolationKind::kOffGrid, 0, 36, 8);
  expect_refused(with(3, 0.5), ViolationKind::kOffGrid, 3, 0.5, 1);
  expect_refused(with(7, 1.25), ViolationKind::kOffGrid, 5, 1.25, 1);
}

TEST_F(Guard, agrees_with_the_space_about_the_grid) {
  for (double value = 8; value <= 56; value += 0.5) {
    const Config c = with(0, value);
    const bool off_grid = experiment(c).violation.kind == ViolationKind::kOffGrid;
    EXPECT_EQ(off_grid, !space_.contains(c)) << value;
    executor_->revert(time_at(now_s_));
  }
}

TEST_F(Guard, refuses_weights_that_do_not_sum_to_one) {
  expect_refused(with(4, 0.25), ViolationKind::kNotSimplex, 4, 0.25 + 0.3 + 0.2, 1);
}

TEST_F(Guard, refuses_a_step_over_max_delta_from_the_value_in_force) {
  expect_refused(with(0, 56), ViolationKind::kMaxDelta, 0, 56, 16);
  EXPECT_TRUE(experiment(with(0, 48)).permitted);
  executor_->confirm(time_at(now_s_));
  // Now in reach: the distance counts from what is in force, not from the baseline.
  EXPECT_TRUE(experiment(with(0, 56)).permitted);
  executor_->confirm(time_at(now_s_));
  expect_refused(with(0, 32), ViolationKind::kMaxDelta, 0, 32, 16);
}

TEST_F(Guard, allows_a_step_of_max_delta_in_spite_of_rounding) {
  EXPECT_TRUE(experiment(with(1, 7)).permitted);
  executor_->revert(time_at(now_s_));
  for (double at = 5; at > 0.1; at -= 0.1) {
    // at - 0.1 - at is not -0.1 in binary; a fresh guard with max_delta 0.1 must not mind.
    Guardrails tight = make_guardrails();
    tight.limits[1].max_delta = 0.1;
    auto guard = SafetyExecutor::create(space_, tight);
    Config from = base_;
    from[1] = at;
    guard->set_baseline(from, time_at(0));
    from[1] = at - 0.1;
    EXPECT_TRUE(guard->propose(from, Lane::kExperiment, time_at(1)).permitted) << at;
    from[1] = at - 0.2001;
    guard->confirm(time_at(1));
    EXPECT_FALSE(guard->propose(from, Lane::kExperiment, time_at(3)).permitted) << at;
  }
}

TEST_F(Guard, measures_a_periodic_knob_the_shorter_way_round) {
  EXPECT_TRUE(experiment(with(2, 345)).permitted);  // 10 -> 345 is 25 degrees
  executor_->revert(time_at(now_s_));
  expect_refused(with(2, 335), ViolationKind::kMaxDelta, 2, 335, 30);
}

TEST_F(Guard, any_two_categories_are_one_apart) { EXPECT_TRUE(experiment(with(3, 2)).permitted); }

TEST_F(Guard, measures_a_simplex_in_total_variation) {
  Config c = base_;
  c[4] = 0.3, c[5] = 0.5;
  EXPECT_TRUE(experiment(c).permitted);
  executor_->revert(time_at(now_s_));
  c[4] = 0.25, c[5] = 0.4, c[6] = 0.35;
  const Verdict verdict = experiment(c);
  EXPECT_EQ(verdict.violation.kind, ViolationKind::kMaxDelta);
  EXPECT_NEAR(verdict.violation.value, 0.25, 1e-12);
}

TEST_F(Guard, each_lane_has_its_own_bucket_of_one_token) {
  const Config low = {8, 0, 0, 0, 0, 0, 0, 1};
  const Config high = {56, 10, 360, 2, 0.8, 0.8, 0.8, 1};
  ASSERT_EQ(executor_->set_envelope(low, high).kind, ViolationKind::kNone);
  const auto at = [&](double s, Lane lane, double wait) {
    return executor_->propose(with(1, wait), lane, time_at(s), true).violation.kind;
  };
  EXPECT_EQ(at(10, Lane::kExperiment, 5.5), ViolationKind::kNone);
  EXPECT_EQ(at(10.999, Lane::kExperiment, 6), ViolationKind::kRate);
  EXPECT_EQ(at(10.999, Lane::kReflex, 6), ViolationKind::kNone);
  EXPECT_EQ(at(11, Lane::kExperiment, 6.5), ViolationKind::kNone);
  EXPECT_EQ(at(11.24, Lane::kReflex, 6.6), ViolationKind::kRate);
  EXPECT_EQ(executor_->next_allowed(Lane::kReflex, time_at(11.24)), time_at(11.249));
  EXPECT_EQ(executor_->next_allowed(Lane::kRevert, time_at(11.24)), time_at(11.24));
  EXPECT_EQ(at(11.249, Lane::kReflex, 6.7), ViolationKind::kNone);
  // A long pause saves up nothing.
  EXPECT_EQ(at(100, Lane::kExperiment, 6.8), ViolationKind::kNone);
  EXPECT_EQ(at(100.5, Lane::kExperiment, 6.9), ViolationKind::kRate);
}

TEST_F(Guard, a_clock_that_goes_back_neither_refills_nor_clears) {
  EXPECT_TRUE(experiment(with(1, 6)).permitted);  // at 1000 s
  executor_->confirm(time_at(1000));
  const auto propose = [&](double s) {
    return executor_->propose(with(1, 6.5), Lane::kExperiment, time_at(s)).violation.kind;
  };
  EXPECT_EQ(propose(0), ViolationKind::kRate);
  EXPECT_EQ(propose(-1e9), ViolationKind::kRate);
  EXPECT_EQ(executor_->propose(with(1, 6.5), Lane::kExperiment, TimePoint::min()).violation.kind,
            ViolationKind::kRate);
  EXPECT_EQ(executor_->next_allowed(Lane::kExperiment, time_at(0)), time_at(1001));
  EXPECT_EQ(propose(1000.5), ViolationKind::kRate);
  EXPECT_EQ(propose(1001), ViolationKind::kNone);
}

TEST_F(Guard, the_ends_of_the_time_axis_do_not_open_the_bucket) {
  EXPECT_TRUE(executor_->propose(with(1, 6), Lane::kExperiment, TimePoint::max()).permitted);
  executor_->confirm(TimePoint::max());
  EXPECT_EQ(executor_->propose(with(1, 7), Lane::kExperiment, TimePoint::max()).violation.kind,
            ViolationKind::kRate);
  EXPECT_EQ(executor_->next_allowed(Lane::kExperiment, TimePoint::max()), TimePoint::max());
}

TEST_F(Guard, a_refused_proposal_costs_no_token) {
  now_s_ = 10;
  EXPECT_FALSE(executor_->propose(with(0, 64), Lane::kExperiment, time_at(10)).permitted);
  EXPECT_TRUE(executor_->propose(with(0, 40), Lane::kExperiment, time_at(10)).permitted);
}

TEST_F(Guard, nothing_moves_before_a_baseline) {
  auto fresh = SafetyExecutor::create(space_, make_guardrails());
  EXPECT_EQ(fresh->propose(base_, Lane::kExperiment, time_at(0)).violation.kind,
            ViolationKind::kNoBaseline);
  EXPECT_EQ(fresh->propose(base_, Lane::kReflex, time_at(0)).violation.kind,
            ViolationKind::kNoBaseline);
  EXPECT_EQ(fresh->revert(time_at(0)).violation.kind, ViolationKind::kNoBaseline);
  EXPECT_EQ(fresh->set_envelope(base_, base_).kind, ViolationKind::kNoBaseline);
  EXPECT_EQ(fresh->cell().generation(), 0U);
  EXPECT_TRUE(fresh->in_force().empty());
  EXPECT_TRUE(fresh->confirmed().empty());
  fresh->confirm(time_at(0));
  EXPECT_TRUE(fresh->confirmed().empty());
}

TEST_F(Guard, a_baseline_is_checked_and_a_bad_one_changes_nothing) {
  Config bad = base_;
  bad[0] = 64;
  EXPECT_EQ(executor_->set_baseline(bad, time_at(1)).kind, ViolationKind::kOutOfBounds);
  bad[0] = kNan;
  EXPECT_EQ(executor_->set_baseline(bad, time_at(1)).kind, ViolationKind::kNotFinite);
  EXPECT_EQ(executor_->cell().generation(), 1U);
  executor_->freeze();
  EXPECT_EQ(executor_->set_baseline(base_, time_at(1)).kind, ViolationKind::kFrozen);
  executor_->unfreeze();
  executor_->enter_safe_mode();
  EXPECT_EQ(executor_->set_baseline(base_, time_at(1)).kind, ViolationKind::kSafeMode);
  executor_->leave_safe_mode();
  bad[0] = 8;  // far from what is in force, and right after it: a baseline is a fact, not a step
  EXPECT_EQ(executor_->set_baseline(bad, time_at(1)).kind, ViolationKind::kNone);
  EXPECT_EQ(executor_->confirmed()[0], 8);
}

TEST_F(Guard, one_unproven_change_at_a_time_except_along_its_glide) {
  EXPECT_TRUE(experiment(with(0, 40)).permitted);
  EXPECT_EQ(experiment(with(0, 48)).violation.kind, ViolationKind::kUnprovenPending);
  now_s_ += 10;
  EXPECT_TRUE(executor_->propose(with(0, 48), Lane::kExperiment, time_at(now_s_), true).permitted);
  EXPECT_EQ(experiment(with(0, 40)).violation.kind, ViolationKind::kUnprovenPending);
  executor_->confirm(time_at(now_s_));
  EXPECT_FALSE(executor_->unproven());
  EXPECT_EQ(executor_->confirmed()[0], 48);
  EXPECT_TRUE(experiment(with(0, 40)).permitted);
}

TEST_F(Guard, a_glide_obeys_max_delta_and_rate) {
  EXPECT_TRUE(experiment(with(0, 40)).permitted);
  const auto glide = [&](double value, double s) {
    return executor_->propose(with(0, value), Lane::kExperiment, time_at(now_s_ + s), true)
        .violation.kind;
  };
  EXPECT_EQ(glide(16, 0.2), ViolationKind::kMaxDelta);
  EXPECT_EQ(glide(48, 0.5), ViolationKind::kRate);
  EXPECT_EQ(glide(48, 1), ViolationKind::kNone);
}

TEST_F(Guard, safe_mode_and_freeze_pass_nothing_but_reverts) {
  EXPECT_TRUE(experiment(with(0, 40)).permitted);
  executor_->enter_safe_mode();
  EXPECT_EQ(reflex(base_).violation.kind, ViolationKind::kSafeMode);
  now_s_ += 10;
  EXPECT_EQ(
      executor_->propose(with(0, 48), Lane::kExperiment, time_at(now_s_), true).violation.kind,
      ViolationKind::kSafeMode);
  executor_->freeze();
  EXPECT_EQ(reflex(base_).violation.kind, ViolationKind::kSafeMode);
  executor_->leave_safe_mode();
  EXPECT_EQ(reflex(base_).violation.kind, ViolationKind::kFrozen);
  executor_->enter_safe_mode();
  const Verdict verdict = executor_->revert(time_at(now_s_));
  EXPECT_TRUE(verdict.permitted);
  EXPECT_EQ(executor_->in_force()[0], 32);
  executor_->leave_safe_mode();
  executor_->unfreeze();
  EXPECT_TRUE(experiment(with(0, 40)).permitted);
}

TEST_F(Guard, a_revert_ignores_max_delta_and_rate_and_goes_to_the_confirmed_set) {
  EXPECT_TRUE(experiment(with(0, 16)).permitted);
  executor_->confirm(time_at(now_s_));
  double s = now_s_;
  for (const double value : {32.0, 48.0, 56.0}) {
    s += 1;
    EXPECT_TRUE(executor_->propose(with(0, value), Lane::kExperiment, time_at(s), true).permitted);
  }
  EXPECT_TRUE(executor_->propose({}, Lane::kRevert, time_at(s)).permitted);  // 40 away, at once
  EXPECT_EQ(executor_->in_force()[0], 16);
  EXPECT_FALSE(executor_->unproven());
  EXPECT_TRUE(executor_->revert(time_at(s)).permitted);
  EXPECT_EQ(executor_->counts().reverted, 2U);
}

TEST_F(Guard, reflex_moves_stay_inside_the_envelope_and_prove_nothing) {
  EXPECT_EQ(reflex(with(0, 40)).violation.kind, ViolationKind::kOutOfBounds);  // baseline alone
  Config low = base_, high = base_;
  low[0] = 16, high[0] = 48;
  EXPECT_EQ(executor_->set_envelope(low, high).kind, ViolationKind::kNone);
  const Verdict outside = reflex(with(0, 56));
  EXPECT_EQ(outside.violation.kind, ViolationKind::kOutOfBounds);
  EXPECT_EQ(outside.violation.limit, 48);
  EXPECT_EQ(reflex(with(1, 5.1)).violation.kind, ViolationKind::kOutOfBounds);
  EXPECT_TRUE(reflex(with(0, 48)).permitted);
  EXPECT_FALSE(executor_->unproven());
  EXPECT_EQ(executor_->confirmed()[0], 32);
  EXPECT_EQ(reflex(with(0, 24)).violation.kind, ViolationKind::kMaxDelta);
  EXPECT_TRUE(experiment(with(0, 56)).permitted);  // from the reflex value
  EXPECT_TRUE(reflex(with(0, 40)).permitted);      // protection does not wait for a verdict
  EXPECT_TRUE(executor_->unproven());
}

TEST_F(Guard, an_envelope_outside_the_guardrails_is_refused) {
  Config low = base_, high = base_;
  high[0] = 64;
  EXPECT_EQ(executor_->set_envelope(low, high).kind, ViolationKind::kOutOfBounds);
  high[0] = 40, low[0] = 48;
  EXPECT_EQ(executor_->set_envelope(low, high).kind, ViolationKind::kOutOfBounds);
  low[0] = kNan;
  EXPECT_EQ(executor_->set_envelope(low, high).kind, ViolationKind::kNotFinite);
  EXPECT_EQ(executor_->set_envelope({}, {}).kind, ViolationKind::kWrongLength);
  EXPECT_EQ(reflex(with(0, 40)).violation.kind, ViolationKind::kOutOfBounds);
}

TEST_F(Guard, a_forbidden_knob_never_moves) {
  expect_refused(with(7, 2), ViolationKind::kForbidden, 5, 2, 1);
}

TEST_F(Guard, the_first_broken_rule_in_the_order_of_kinds_is_named) {
  Config c = with(0, 60);  // out of bounds, off grid
  c[7] = kNan;
  EXPECT_EQ(experiment(c).violation.kind, ViolationKind::kNotFinite);
  c[7] = 2;
  EXPECT_EQ(experiment(c).violation.kind, ViolationKind::kOutOfBounds);
  c[0] = 52;
  EXPECT_EQ(experiment(c).violation.kind, ViolationKind::kOffGrid);
  c[0] = 56;
  EXPECT_EQ(experiment(c).violation.kind, ViolationKind::kMaxDelta);
  c[0] = 48;
  EXPECT_EQ(experiment(c).violation.kind, ViolationKind::kForbidden);
}

TEST_F(Guard, counts_add_up_and_survive_a_move) {
  experiment(with(0, 40));
  experiment(with(0, 48));
  executor_->revert(time_at(now_s_));
  const ConfigCell* cell = &executor_->cell();
  SafetyExecutor moved = std::move(*executor_);
  EXPECT_EQ(moved.counts().proposed, 2U);
  EXPECT_EQ(moved.counts().applied, 1U);
  EXPECT_EQ(moved.counts().refused, 1U);
  EXPECT_EQ(moved.counts().reverted, 1U);
  EXPECT_EQ(&moved.cell(), cell);  // readers keep their address
}

}  // namespace
}  // namespace arqon::guard
