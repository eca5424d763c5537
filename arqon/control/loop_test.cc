#include "arqon/control/loop.h"

#include <gtest/gtest.h>

#include <cmath>

#include "arqon/control/glide.h"
#include "arqon/control/loop_test_fixture.h"

namespace arqon::control {
namespace {

using testing::FakeEngine;

LoopOptions options() { return control::options(2048); }

RunRecord run(FakeEngine& engine, LoopOptions o, double seconds) {
  auto loop = Loop::create(engine, engine, std::move(o));
  EXPECT_TRUE(loop.has_value());
  EXPECT_TRUE(loop->run_until(time_at(seconds)).has_value());
  return loop->record();
}

TEST(Loop, finds_the_valley_and_stays_there) {
  FakeEngine engine(one_knob(), one_class(), valley);
  const RunRecord record = run(engine, options(), 1800);
  EXPECT_GE(count(record, "confirm"), 1u);
  EXPECT_LE(valley(engine.observe().effective, 0, 0), 0.01);
}

TEST(Loop, leaves_a_healthy_engine_alone_and_says_so) {
  FakeEngine engine(one_knob(), one_class(),
                    [](const Config&, std::size_t, double) { return 0.002; });
  const RunRecord record = run(engine, options(), 4 * 3600);
  EXPECT_EQ(engine.applies, 0);
  EXPECT_EQ(count(record, "hold"), 1u);
}

TEST(Loop, tries_ever_less_often_where_no_setting_helps) {
  FakeEngine engine(one_knob(), one_class(),
                    [](const Config&, std::size_t, double) { return 0.05; });
  const RunRecord record = run(engine, options(), 4 * 3600);
  EXPECT_EQ(count(record, "confirm"), 0u);
  EXPECT_LE(count(record, "experiment"), 14u);
  EXPECT_EQ(engine.observe().effective, engine.capabilities().boot);
}

TEST(Loop, reverts_at_once_what_makes_it_worse) {
  // Whatever is tried is far worse than what was found.
  FakeEngine engine(one_knob(), one_class(),
                    [](const Config& c, std::size_t, double) { return c[0] == 8192 ? 0.03 : 0.6; });
  const RunRecord record = run(engine, options(), 900);
  ASSERT_GE(count(record, "revert"), 1u);
  double previous = 0;
  for (const DecisionRecord& d : record.decisions) {
    if (d.action == "experiment") previous = d.t_s;
    if (d.action == "revert") {
      EXPECT_LE(d.t_s - previous, 15);
    }
  }
  EXPECT_EQ(engine.observe().effective, engine.capabilities().boot);
}

TEST(Loop, every_step_obeys_max_delta_and_the_rate) {
  FakeEngine engine(one_knob(), one_class(), valley);
  const RunRecord record = run(engine, options(), 1800);
  double last = -1e9;
  for (const ChangeRecord& c : record.changes) {
    if (c.state != ChangeState::kApplied) continue;
    EXPECT_LE(std::abs(c.to - c.from), 2048);
    EXPECT_GE(c.t_s - last, 5 - 1e-9);
    last = c.t_s;
  }
}

TEST(Loop, a_frozen_loop_writes_nothing_but_the_revert) {
  FakeEngine engine(one_knob(), one_class(), valley);
  LoopOptions o = options();
  o.frozen = [&engine] { return engine.now() > time_at(30); };
  auto loop = Loop::create(engine, engine, o);
  ASSERT_TRUE(loop.has_value());
  ASSERT_TRUE(loop->run_until(time_at(1800)).has_value());
  ASSERT_FALSE(loop->record().changes.empty());
  for (const ChangeRecord& c : loop->record().changes) {
    if (c.t_s > 31) {
      EXPECT_NE(c.state, ChangeState::kApplied);
    }
  }
  EXPECT_EQ(engine.observe().effective, loop->confirmed());
}

TEST(Loop, observe_mode_recommends_and_never_applies) {
  FakeEngine engine(one_knob(), one_class(), valley);
  LoopOptions o = options();
  o.mode = Mode::kObserve;
  const RunRecord record = run(engine, o, 1800);
  EXPECT_EQ(engine.applies, 0);
  EXPECT_GE(count(record, "recommend"), 1u);
}

TEST(Loop, an_experiment_open_at_the_end_is_reverted) {
  FakeEngine engine(one_knob(), one_class(), valley);
  auto loop = Loop::create(engine, engine, options());
  ASSERT_TRUE(loop.has_value());
  // Stop at each second of the first minutes: whatever is in force then was confirmed.
  for (int t = 20; t < 200; t += 7) {
    ASSERT_TRUE(loop->run_until(time_at(t)).has_value());
    EXPECT_EQ(engine.observe().effective, loop->confirmed());
  }
}

TEST(Loop, an_engine_that_clamps_is_reverted_not_believed) {
  FakeEngine engine(one_knob(), one_class(), valley);
  engine.clamp = [](Config& c) { c[0] = std::max(c[0], 7000.0); };
  auto loop = Loop::create(engine, engine, options());
  ASSERT_TRUE(loop.has_value());
  (void)loop->run_until(time_at(600));
  EXPECT_GE(count(loop->record(), "revert"), 1u);
  EXPECT_EQ(engine.observe().effective[0], 8192);
}

TEST(Loop, a_restart_voids_what_was_measured) {
  FakeEngine engine(one_knob(), one_class(), valley);
  auto loop = Loop::create(engine, engine, options());
  ASSERT_TRUE(loop.has_value());
  ASSERT_TRUE(loop->run_until(time_at(100)).has_value());
  engine.restart();
  ASSERT_TRUE(loop->run_until(time_at(600)).has_value());
}

TEST(Loop, same_observations_same_record) {
  const auto decisions = [] {
    FakeEngine engine(one_knob(), one_class(), valley);
    return run(engine, options(), 1200);
  };
  const RunRecord a = decisions(), b = decisions();
  ASSERT_EQ(a.decisions.size(), b.decisions.size());
  for (std::size_t i = 0; i < a.decisions.size(); ++i) {
    EXPECT_EQ(a.decisions[i].to, b.decisions[i].to);
    EXPECT_EQ(a.decisions[i].reason, b.decisions[i].reason);
  }
}

TEST(Loop, guardrails_must_fit_the_engine) {
  FakeEngine engine(one_knob(), one_class(), valley);
  LoopOptions o = options();
  o.guardrails.limits.clear();
  const auto loop = Loop::create(engine, engine, o);
  ASSERT_FALSE(loop.has_value());
  EXPECT_EQ(loop.error().code, ErrorCode::kInvalidConfig);
}

TEST(Glide, reaches_the_target_in_permitted_steps) {
  const Space space(one_knob());
  const std::vector<guard::Limits> limits{{256, 8192, 2000}};
  Config at{8192};
  const Config target{1024};
  EXPECT_EQ(glide_length(space, limits, at, target), 4);
  for (int i = 0; i < 4; ++i) {
    const Config next = glide_step(space, limits, at, target);
    EXPECT_LE(std::abs(next[0] - at[0]), 2000);
    EXPECT_TRUE(space.contains(next));
    at = next;
  }
  EXPECT_EQ(at, target);
}

}  // namespace
}  // namespace arqon::control
