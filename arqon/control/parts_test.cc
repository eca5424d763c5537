// The loop's parts on their own: evidence, proposer, reflex, meter.
#include <gtest/gtest.h>

#include <cmath>

#include "arqon/base/rng.h"
#include "arqon/control/evidence.h"
#include "arqon/control/meter.h"
#include "arqon/control/proposer.h"
#include "arqon/control/reflex.h"

namespace arqon::control {
namespace {

std::vector<serving::Slo> classes() {
  return {{.name = "chat", .attainment = 0.99}, {.name = "code", .attainment = 0.99}};
}

Space budget_space() {
  return Space({{.name = "main.prefill_token_budget",
                 .type = ParamType::kInt,
                 .scale = Scale::kLog,
                 .min = 256,
                 .max = 8192,
                 .step = 64,
                 .default_value = Config{8192}},
                {.name = "main.speculative_decoding_k",
                 .type = ParamType::kInt,
                 .min = 0,
                 .max = 5,
                 .default_value = Config{0}}});
}

std::vector<Protective> protective() {
  Protective budget{};
  budget[static_cast<std::size_t>(serving::Limit::kGap)] = -1;
  budget[static_cast<std::size_t>(serving::Limit::kTtft)] = 1;
  return {budget, Protective{}};
}

// Adds one second in which each class has `n` requests, class 1 with `bad` broken gaps.
class Feed {
 public:
  explicit Feed(Evidence& evidence) : evidence_(evidence) { last_.classes.resize(2); }
  void second(std::uint64_t n, std::uint64_t bad) {
    serving::Observation next = last_;
    next.at += std::chrono::seconds(1);
    for (auto& c : next.classes) c.good += n;
    next.classes[1].good -= bad;
    next.classes[1].bad += bad;
    next.classes[1].bad_by[static_cast<std::size_t>(serving::Limit::kGap)] += bad;
    evidence_.add(last_, next);
    last_ = next;
  }

 private:
  Evidence& evidence_;
  serving::Observation last_;
};

TEST(Evidence, names_the_class_and_the_limit_that_binds) {
  Evidence evidence(classes());
  Feed feed(evidence);
  for (int i = 0; i < 20; ++i) feed.second(20, 3);
  const auto breach = evidence.breach(1.0, 0.05);
  ASSERT_TRUE(breach.has_value());
  EXPECT_EQ(breach->class_index, 1u);
  EXPECT_EQ(breach->limit, serving::Limit::kGap);
}

TEST(Evidence, a_healthy_class_raises_no_alarm_in_hours_of_looking) {
  Rng rng(4);
  int alarms = 0;
  for (int run = 0; run < 20; ++run) {
    Evidence evidence(classes());
    Feed feed(evidence);
    bool alarmed = false;
    for (int i = 0; i < 1800 && !alarmed; ++i) {
      std::uint64_t bad = 0;
      for (int r = 0; r < 20; ++r) bad += rng.uniform() < 0.008 ? 1u : 0u;
      feed.second(20, bad);
      alarmed = evidence.breach(1.0, 0.05).has_value();
    }
    alarms += alarmed ? 1 : 0;
  }
  EXPECT_LE(alarms, 2);
}

TEST(Evidence, excess_counts_only_what_lies_beyond_the_budget) {
  Evidence evidence(classes());
  Feed feed(evidence);
  feed.second(100, 3);
  EXPECT_NEAR(evidence.excess_of_last_tick(1.0), 3 - 2 * 0.01 * 100, 1e-9);
}

Breach gap_breach(std::uint64_t bad) {
  Breach breach;
  breach.class_index = 1;
  breach.limit = serving::Limit::kGap;
  breach.tally.n = 1000;
  breach.tally.bad = bad;
  return breach;
}

TEST(Proposer, protects_the_binding_limit_first_and_faster_when_it_is_badly_broken) {
  const Config boot{8192, 0};
  auto mild = Proposer::create(budget_space(), protective(), boot, 1);
  auto severe = Proposer::create(budget_space(), protective(), boot, 1);
  ASSERT_TRUE(mild.has_value() && severe.has_value());
  const auto small = mild->next(boot, gap_breach(50));
  const auto large = severe->next(boot, gap_breach(500));
  ASSERT_TRUE(small.has_value() && large.has_value());
  EXPECT_LT(small->target[0], 8192);
  EXPECT_EQ(small->target[1], 0);
  EXPECT_LT(large->target[0], small->target[0]);
}

TEST(Proposer, never_repeats_a_failed_target_until_the_regime_changes) {
  const Config boot{8192, 0};
  auto proposer = Proposer::create(budget_space(), protective(), boot, 1);
  ASSERT_TRUE(proposer.has_value());
  std::vector<Config> failed;
  for (int i = 0; i < 30; ++i) {
    const auto move = proposer->next(boot, gap_breach(50));
    if (!move) break;
    EXPECT_EQ(std::find(failed.begin(), failed.end(), move->target), failed.end());
    EXPECT_TRUE(budget_space().contains(move->target));
    failed.push_back(move->target);
    proposer->failed(*move, false);
  }
  ASSERT_GE(failed.size(), 5u);
  ASSERT_TRUE(proposer->new_regime().has_value());
  const auto again = proposer->next(boot, gap_breach(50));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->target, failed.front());
}

std::vector<guard::Limits> limits() { return {{256, 8192, 2048}, {0, 5, 1}}; }

TEST(Reflex, moves_only_inside_the_envelope_that_experiments_confirmed) {
  Evidence evidence(classes());
  Feed feed(evidence);
  for (int i = 0; i < 20; ++i) feed.second(20, 10);
  const Config boot{8192, 0};
  Reflex reflex(budget_space(), limits(), protective(), boot);
  EXPECT_FALSE(reflex.move(boot, evidence, time_at(100)).has_value());
  reflex.prove(Config{5120, 1});
  const auto move = reflex.move(boot, evidence, time_at(100));
  ASSERT_TRUE(move.has_value());
  EXPECT_EQ(move->target[0], 6144);  // one max_delta, not the whole way
  EXPECT_EQ(move->target[1], 0);     // no known direction: left alone
  const auto second = reflex.move(move->target, evidence, time_at(101));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->target[0], 5120);  // stops at the edge
  EXPECT_FALSE(reflex.move(second->target, evidence, time_at(102)).has_value());
}

TEST(Reflex, the_envelope_forgets_what_was_refuted_and_what_another_regime_proved) {
  const Config boot{8192, 0};
  Reflex reflex(budget_space(), limits(), protective(), boot);
  reflex.prove(Config{2048, 0});
  reflex.prove(Config{1024, 1});
  EXPECT_EQ(reflex.high()[0], 8192);
  reflex.refute(boot);
  EXPECT_EQ(reflex.high()[0], 2048);
  EXPECT_EQ(reflex.low(), (Config{1024, 0}));
  reflex.reset(Config{1024, 1});
  EXPECT_EQ(reflex.low(), reflex.high());
}

TEST(Reflex, waits_longer_after_each_move_that_did_not_help) {
  Evidence evidence(classes());
  Feed feed(evidence);
  for (int i = 0; i < 20; ++i) feed.second(20, 10);
  const Config boot{8192, 0};
  Reflex reflex(budget_space(), limits(), protective(), boot);
  reflex.prove(Config{1024, 0});
  reflex.helped(false, time_at(0));
  EXPECT_FALSE(reflex.move(boot, evidence, time_at(119)).has_value());
  EXPECT_TRUE(reflex.move(boot, evidence, time_at(121)).has_value());
  reflex.helped(false, time_at(121));
  EXPECT_FALSE(reflex.move(boot, evidence, time_at(121 + 479)).has_value());
}

TEST(Meter, a_window_waits_for_requests_and_seconds_and_no_longer_than_its_maximum) {
  serving::Observation at;
  at.classes.resize(1);
  Meter meter({.requests_min = 100, .seconds_min = 10, .seconds_max = 30}, at);
  const auto after = [&](double seconds, std::uint64_t good) {
    at.at = time_at(seconds);
    at.classes[0].good = good;
    return meter.take(at, "confirmed");
  };
  EXPECT_FALSE(after(5, 200).has_value());  // too short
  const auto full = after(10, 200);
  ASSERT_TRUE(full.has_value());
  EXPECT_EQ(full->classes[0].good, 200u);
  EXPECT_FALSE(after(25, 210).has_value());  // too few
  EXPECT_TRUE(after(40, 210).has_value());   // out of time
}

TEST(Meter, a_restart_voids_the_open_window_and_settling_names_it) {
  serving::Observation at;
  at.classes.resize(1);
  Meter meter({.requests_min = 1, .seconds_min = 1, .seconds_max = 30}, at);
  at.at = time_at(5);
  at.epoch = 1;
  at.classes[0].good = 50;
  EXPECT_FALSE(meter.take(at, "confirmed").has_value());
  at.at = time_at(5.5);
  EXPECT_FALSE(meter.take(at, "settling").has_value());
  at.at = time_at(7);
  at.classes[0].good = 60;
  const auto window = meter.take(at, "confirmed");
  ASSERT_TRUE(window.has_value());
  EXPECT_EQ(window->classes[0].good, 10u);
  EXPECT_EQ(window->state, "settling");
}

}  // namespace
}  // namespace arqon::control
