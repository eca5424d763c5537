// What watches beside a trial: ageing requests, duplicate samples, drift, holdback and lift.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/stats/ageing.h"
#include "arqon/stats/drift.h"
#include "arqon/stats/holdback.h"
#include "arqon/stats/sequence_gate.h"

namespace arqon::stats {
namespace {

using Fate = AgeingLedger::Fate;

TEST(AgeingLedger, counts_a_request_as_bad_the_moment_it_is_too_old_and_once) {
  AgeingLedger ledger(std::chrono::seconds(2), 8);
  const auto a = ledger.start(time_at(0)), b = ledger.start(time_at(1));
  EXPECT_EQ(ledger.under_way(), 2U);
  EXPECT_EQ(ledger.age(time_at(2)), 0U);  // at the limit is within it
  EXPECT_EQ(ledger.age(time_at(2.001)), 1U);
  EXPECT_EQ(ledger.finish(*a, time_at(5)), Fate::kCounted);
  EXPECT_EQ(ledger.finish(*b, time_at(2.5)), Fate::kGood);
  EXPECT_EQ(ledger.finish(*b, time_at(2.5)), Fate::kCounted);
  EXPECT_EQ(ledger.age(time_at(100)), 0U);
  EXPECT_EQ(ledger.under_way(), 0U);
}

TEST(AgeingLedger, a_late_or_failed_finish_is_bad_also_before_it_was_aged) {
  AgeingLedger ledger(std::chrono::seconds(2), 8);
  const auto a = ledger.start(time_at(0)), b = ledger.start(time_at(0));
  EXPECT_EQ(ledger.finish(*a, time_at(3)), Fate::kBad);
  EXPECT_EQ(ledger.finish(*b, time_at(1), /*ok=*/false), Fate::kBad);
  EXPECT_EQ(ledger.age(time_at(9)), 0U);
}

TEST(AgeingLedger, a_stack_that_hangs_is_all_bad_and_a_full_ledger_says_so) {
  AgeingLedger ledger(std::chrono::seconds(1), 4);
  for (int i = 0; i < 6; ++i) ledger.start(time_at(0.1 * i));
  EXPECT_EQ(ledger.overflowed(), 2U);
  EXPECT_EQ(ledger.age(time_at(60)), 4U);
  EXPECT_TRUE(ledger.start(time_at(61)).has_value());  // room again
  EXPECT_EQ(ledger.finish(99, time_at(61)), Fate::kCounted);
}

TEST(AgeingLedger, every_request_gets_exactly_one_fate_whatever_the_order) {
  AgeingLedger ledger(std::chrono::milliseconds(500), 64);
  Rng rng(12);
  std::vector<AgeingLedger::Ticket> open;
  std::uint64_t started = 0, good = 0, bad = 0;
  double now = 0;
  for (int i = 0; i < 20000; ++i) {
    now += 0.01 * rng.exponential();
    if (rng.uniform() < 0.5) {
      if (const auto ticket = ledger.start(time_at(now))) open.push_back(*ticket), ++started;
    } else if (!open.empty()) {
      const std::size_t at = rng.below(open.size());
      const Fate fate = ledger.finish(open[at], time_at(now));
      good += fate == Fate::kGood ? 1U : 0U;
      bad += fate == Fate::kBad ? 1U : 0U;
      open[at] = open.back();
      open.pop_back();
    }
    if (rng.uniform() < 0.1) bad += ledger.age(time_at(now));
  }
  bad += ledger.age(time_at(now + 10));
  EXPECT_EQ(good + bad, started);
  EXPECT_GT(good, 1000U);
  EXPECT_GT(bad, 1000U);
}

TEST(SequenceGate, lets_each_sample_through_once_in_any_order) {  // F9
  Rng rng(2);
  SequenceGate gate;
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    // Up to thirty late, and some twice.
    const std::uint64_t sequence = 100 + i - rng.below(30);
    EXPECT_EQ(gate.admit(1, sequence), seen.insert(sequence).second) << sequence;
  }
}

TEST(SequenceGate, refuses_an_older_generation_and_what_is_too_late_to_tell) {
  SequenceGate gate;
  EXPECT_TRUE(gate.admit(2, 1000));
  EXPECT_FALSE(gate.admit(1, 2000));
  EXPECT_FALSE(gate.admit(2, 936));  // 64 behind
  EXPECT_TRUE(gate.admit(2, 937));
  EXPECT_TRUE(gate.admit(2, 1'000'000));
  EXPECT_FALSE(gate.admit(2, 1000));
  EXPECT_TRUE(gate.admit(3, 1));  // the engine began anew
  EXPECT_FALSE(gate.admit(2, 1'000'001));
}

TEST(DriftDetector, finds_a_slow_drift_against_the_baseline_that_neighbours_do_not_show) {  // F15
  Rng rng(3);
  DriftDetector detector({0, 0.5});
  std::uint64_t at = 0;
  while (at < 24000 && !detector.observe(std::log(1 + 0.005 * static_cast<double>(at) / 1200) +
                                         0.5 * rng.normal())) {
    ++at;
  }
  EXPECT_LT(at, 20000U);
  EXPECT_LT(detector.since(), at + 1);
  EXPECT_GT(detector.since(), 2000U);
}

TEST(DriftDetector, is_quiet_without_drift_and_unmoved_by_outliers_and_nan) {
  Rng rng(4);
  DriftDetector detector({0, 0.5});
  for (int i = 0; i < 200000; ++i) ASSERT_FALSE(detector.observe(0.5 * rng.normal()));
  for (int i = 0; i < 20; ++i) ASSERT_FALSE(detector.observe(1e6));
  EXPECT_FALSE(detector.observe(std::nan("")));
  EXPECT_EQ(detector.voids(), 1U);
  for (int i = 0; i < 1000; ++i) detector.observe(10);
  EXPECT_TRUE(detector.alarmed());
  detector.reset();
  EXPECT_FALSE(detector.alarmed());
}

TEST(HoldbackPlan, holds_back_exactly_one_block_of_each_group_at_random) {
  const HoldbackPlan plan(Rng(7).stream("holdback"), 8, std::chrono::minutes(5));
  std::set<std::uint64_t> places;
  for (std::uint64_t group = 0; group < 200; ++group) {
    int held = 0;
    for (std::uint64_t i = 0; i < 8; ++i) {
      if (!plan.held_back(8 * group + i)) continue;
      ++held;
      places.insert(i);
    }
    EXPECT_EQ(held, 1) << group;
  }
  EXPECT_EQ(places.size(), 8U);
  EXPECT_EQ(plan.block_of(std::chrono::minutes(14)), 2U);
}

TEST(Lift, its_interval_holds_the_truth_as_often_as_it_says) {
  int inside = 0;
  constexpr int kTrials = 400;
  for (int trial = 0; trial < kTrials; ++trial) {
    Rng rng = Rng(5).stream(static_cast<std::uint64_t>(trial));
    std::vector<LiftGroup> groups;
    for (int g = 0; g < 12; ++g) {
      const double hour = std::exp(rng.normal());  // common to both
      groups.push_back({hour * std::exp(0.1 * rng.normal()),
                        0.9 * hour * std::exp(0.1 * rng.normal()), 100, 700});
    }
    const Lift found = lift(groups);
    inside += found.low <= 0.9 && 0.9 <= found.high ? 1 : 0;
    EXPECT_LT(found.high / found.low, 1.6);
  }
  EXPECT_NEAR(static_cast<double>(inside) / kTrials, 0.95, 0.03);
}

TEST(Lift, leaves_out_what_says_nothing_and_claims_nothing_from_one_group) {
  const Lift one = lift(std::vector<LiftGroup>{{2, 1, 10, 10}, {0, 1, 10, 10}, {1, 1, 0, 10}});
  EXPECT_EQ(one.groups, 1U);
  EXPECT_EQ(one.groups_left_out, 2U);
  EXPECT_EQ(one.low, 0);
  EXPECT_TRUE(std::isinf(one.high));
  EXPECT_EQ(lift({}).ratio, 1);
}

}  // namespace
}  // namespace arqon::stats
