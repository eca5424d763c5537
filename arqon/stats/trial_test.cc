#include "arqon/stats/trial.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "arqon/stats/testing/trial_sim.h"

namespace arqon::stats {
namespace {

using testing::TrialRun;
using testing::run_trial;
using testing::Traffic;

// evidence_study does the same in 1,000 runs and more ways. Unoptimised builds do fewer still.
#ifdef __OPTIMIZE__
constexpr int kRuns = 60;
#else
constexpr int kRuns = 6;
#endif

struct Shares {
  double fail = 0, pass = 0;
};
Shares play(const TrialOptions& options, const Traffic& traffic, std::uint64_t canary_max,
            bool until_pass = false) {
  Shares out;
  for (int i = 0; i < kRuns; ++i) {
    const Rng rng = Rng(31).stream(static_cast<std::uint64_t>(i));
    const TrialRun run = run_trial(options, traffic, rng, canary_max, 50, until_pass);
    out.fail += run.last.verdict == Verdict::kFail ? 1.0 / kRuns : 0;
    out.pass += run.last.verdict == Verdict::kPass ? 1.0 / kRuns : 0;
  }
  return out;
}

TEST(Trial, finds_what_it_must_within_the_requests_it_may_take) {
  EXPECT_GE(play({}, {.slower = 1.5}, 200).fail, 0.95);        // F10
  EXPECT_GE(play({}, {.slower = 1.2}, 1000).fail, 0.97);       // F11
  EXPECT_GE(play({}, {.slower = 1.1}, 3000).fail, 0.97);       // F11
  EXPECT_GE(play({}, {.error_canary = 0.01}, 1500).fail, 0.9); // F13
}

TEST(Trial, finds_a_tail_that_moves_alone) {
  EXPECT_GE(play({}, {.tail_slower = 1.1}, 25000).fail, 0.8);  // F12
}

TEST(Trial, is_quiet_while_nothing_differs) {
  EXPECT_LE(play({}, {}, 10000).fail, 0.04);                 // F16
  EXPECT_LE(play({}, {.cluster = 8}, 10000).fail, 0.04);     // F16: bursts
  EXPECT_LE(play({}, {.load = [](std::uint64_t i) { return i > 5000 ? 2.0 : 1.0; }}, 10000).fail,
            0.04);                                           // F17: both arms alike
}

TEST(Trial, one_request_however_slow_decides_nothing) {  // F19
  EXPECT_EQ(play({}, {.outlier = 1000}, 2000).fail, play({}, {}, 2000).fail);
}

TEST(Trial, passes_what_is_no_worse_and_not_what_is_worse_by_the_margin) {
  EXPECT_GE(play({}, {}, 60000, true).pass, 0.95);
  EXPECT_LE(play({}, {.bad_canary = 0.015}, 30000, true).pass, 0.1);
}

TEST(Trial, a_router_that_plays_favourites_makes_it_invalid) {  // F18
  const TrialRun run = run_trial({}, {.canary_share = 0.6}, Rng(1), 10000);
  EXPECT_EQ(run.last.verdict, Verdict::kFail);
  EXPECT_EQ(run.last.test, stats::Test::kSampleRatio);
  const TrialOptions two{.classes = 2};
  const TrialRun mixed = run_trial(two, {.mix_canary = 0.15}, Rng(1), 20000);
  EXPECT_EQ(mixed.last.verdict, Verdict::kFail);
  EXPECT_EQ(mixed.last.test, stats::Test::kMix);
}

Trial make(const TrialOptions& options = {}) { return *Trial::create(options); }

TEST(Trial, an_outage_is_found_in_a_few_dozen_requests_though_it_looks_like_one_long_burst) {
  Trial trial = make();
  Rng rng(5);
  int canary = 0;
  for (int i = 0; trial.judge().verdict != Verdict::kFail && canary < 500; ++i) {
    const bool test = i % 2 == 0;
    canary += test ? 1 : 0;
    trial.observe(test ? Arm::kCanary : Arm::kControl, 0, std::exp(rng.normal()), !test, test);
    if (i % 10 == 9) trial.end_block();
  }
  EXPECT_LE(canary, 60);
}

TEST(Trial, an_unreadable_latency_is_void_and_many_of_them_pass_nothing) {  // F2
  Trial trial = make();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const double bad : {kNan, kInf, -kInf, 0.0, -1.0}) trial.observe(Arm::kCanary, 0, bad, true);
  EXPECT_EQ(trial.voids(), 5U);
  trial.end_block();
  EXPECT_EQ(trial.counts(Arm::kCanary).n, 0U);
  EXPECT_EQ(trial.judge().verdict, Verdict::kInconclusive);
  // Perfect arms, one sample in five of which cannot be read.
  for (int i = 0; i < 100000; ++i) {
    trial.observe(i % 2 == 0 ? Arm::kCanary : Arm::kControl, 0, i % 10 < 2 ? kNan : 1.0, true);
    if (i % 50 == 0) trial.end_block();
  }
  EXPECT_EQ(trial.judge().verdict, Verdict::kInconclusive);
  EXPECT_EQ(trial.judge().test, stats::Test::kVoids);
}

TEST(Trial, an_error_needs_no_latency) {
  Trial trial = make();
  for (int i = 0; i < 40; ++i) {
    trial.observe(Arm::kCanary, 0, std::numeric_limits<double>::quiet_NaN(), false, true);
    trial.observe(Arm::kControl, 0, 1, true);
  }
  trial.end_block();
  EXPECT_EQ(trial.counts(Arm::kCanary), (Counts{40, 40}));
  EXPECT_EQ(trial.judge().verdict, Verdict::kFail);
}

TEST(Trial, without_traffic_it_is_inconclusive_for_ever) {  // F8
  Trial trial = make();
  for (int i = 0; i < 1000; ++i) trial.end_block();
  EXPECT_EQ(trial.judge().verdict, Verdict::kInconclusive);
  EXPECT_FALSE(trial.judge().requests_needed.has_value());
  // The control alone proves nothing about the canary either.
  for (int i = 0; i < 1000; ++i) trial.observe(Arm::kControl, 0, 1, true);
  trial.end_block();
  EXPECT_NE(trial.judge().verdict, Verdict::kPass);
}

TEST(Trial, says_how_many_requests_it_still_needs) {
  Rng rng(8);
  Trial trial = make();
  std::uint64_t foreseen = 0;
  for (int i = 0; i < 200000; ++i) {
    trial.observe(i % 2 == 0 ? Arm::kCanary : Arm::kControl, 0, std::exp(0.5 * rng.normal()),
                  rng.uniform() > 0.01);
    if (i % 50 != 49) continue;
    trial.end_block();
    const Finding finding = trial.judge();
    ASSERT_NE(finding.verdict, Verdict::kFail);
    if (i + 1 == 6000 && finding.requests_needed) foreseen = 3000 + *finding.requests_needed;
    if (finding.verdict != Verdict::kPass) continue;
    EXPECT_EQ(finding.requests_needed, 0U);
    const auto took = static_cast<double>(trial.counts(Arm::kCanary).n);
    EXPECT_GT(took, 300);
    if (foreseen > 0) {
      EXPECT_GT(static_cast<double>(foreseen), took / 4);
      EXPECT_LT(static_cast<double>(foreseen), took * 4);
    }
    return;
  }
  FAIL() << "never passed";
}

TEST(Trial, the_class_that_suffers_is_named) {
  Trial trial = make({.classes = 3});
  Rng rng(9);
  for (int i = 0; i < 60000 && trial.judge().verdict == Verdict::kInconclusive; ++i) {
    const bool canary = rng.uniform() < 0.5;
    const std::size_t c = rng.below(3);
    const double bad = canary && c == 2 ? 0.08 : 0.01;
    trial.observe(canary ? Arm::kCanary : Arm::kControl, c, std::exp(0.5 * rng.normal()),
                  rng.uniform() > bad);
    if (i % 60 == 59) trial.end_block();
  }
  const Finding finding = trial.judge();
  EXPECT_EQ(finding.verdict, Verdict::kFail);
  EXPECT_EQ(finding.test, stats::Test::kBadShare);
  EXPECT_EQ(finding.class_index, 2U);
}

TEST(Trial, refuses_options_out_of_range_and_names_them) {
  const auto error = [](const TrialOptions& options) {
    const auto made = Trial::create(options);
    return made ? std::string() : made.error().message;
  };
  EXPECT_EQ(error({}), "");
  EXPECT_NE(error({.classes = 0}).find("classes"), std::string::npos);
  EXPECT_NE(error({.share = 1}).find("share"), std::string::npos);
  EXPECT_NE(error({.margin = -0.1}).find("margin"), std::string::npos);
  EXPECT_NE(error({.error_limit = 0}).find("error_limit"), std::string::npos);
  EXPECT_NE(error({.quantile = 1.5}).find("quantile"), std::string::npos);
  EXPECT_NE(error({.alpha = std::nan("")}).find("alpha"), std::string::npos);
  EXPECT_NE(error({.alpha_promote = 0}).find("alpha_promote"), std::string::npos);
  EXPECT_NE(error({.voids_max = 2}).find("voids_max"), std::string::npos);
}

// Exactly, for every outcome of a small block: whatever the rate, no bet gains on average.
TEST(ShareTest, has_mean_at_most_one_while_the_arms_are_exchangeable) {
  const auto choose = [](int n, int k) {
    double out = 1;
    for (int i = 0; i < k; ++i) out *= static_cast<double>(n - i) / (i + 1);
    return out;
  };
  constexpr int kControl = 7, kCanary = 5;
  for (int marked = 0; marked <= kControl + kCanary; ++marked) {
    double more = 0, fewer = 0;
    for (int c = std::max(0, marked - kControl); c <= std::min(marked, kCanary); ++c) {
      ShareTest test;
      test.add({kControl, static_cast<std::uint64_t>(marked - c)},
               {kCanary, static_cast<std::uint64_t>(c)});
      const double p = choose(kCanary, c) * choose(kControl, marked - c) /
                       choose(kControl + kCanary, marked);
      more += p * std::exp(test.log_e_more());
      fewer += p * std::exp(test.log_e_fewer());
    }
    EXPECT_LE(more, 1 + 1e-12) << marked;
    EXPECT_LE(fewer, 1 + 1e-12) << marked;
    EXPECT_GT(more, 0.14) << marked;
  }
}

TEST(MarginTest, has_mean_at_most_one_on_the_edge_of_either_hypothesis) {
  for (const std::size_t controls : {std::size_t{1}, std::size_t{4}}) {
    const double margin = 0.05, rate = 0.2;
    const MarginTable table(margin, controls);
    double not_worse = 0, worse = 0;
    for (std::size_t j = 0; j <= controls; ++j) {
      double pj = 1;
      for (std::size_t i = 0; i < j; ++i) {
        pj *= rate * static_cast<double>(controls - i) / static_cast<double>(i + 1);
      }
      pj *= std::pow(1 - rate, static_cast<double>(controls - j));
      for (const bool bad : {false, true}) {
        const double pc = bad ? rate + margin : 1 - rate - margin;
        MarginTest test;
        test.add(bad, j, controls);
        // One group: dispersion 1 but for the belief in bursts, which is not at issue here.
        const double v = test.dispersion();
        not_worse += pj * pc * std::exp(v * test.log_e_not_worse(table));
        worse += pj * pc * std::exp(v * test.log_e_worse(table));
      }
    }
    EXPECT_LE(not_worse, 1 + 1e-6);
    EXPECT_LE(worse, 1 + 1e-6);
  }
}

TEST(LatencyTest, is_symmetric_in_the_arms_and_shrugs_at_an_outlier) {
  LatencyTest slower, faster, shrugs;
  Rng rng(4);
  for (int i = 0; i < 200; ++i) {
    const std::int32_t a = log2_steps(std::exp(0.5 * rng.normal()));
    const std::int32_t b = log2_steps(1.4 * std::exp(0.5 * rng.normal()));
    slower.add(a, b);
    faster.add(b, a);
  }
  EXPECT_NEAR(slower.log_e_slower(), faster.log_e_faster(), 1e-9);
  EXPECT_GT(slower.log_e_slower(), std::log(100.0));
  EXPECT_NEAR(slower.ratio(), 1.4, 0.1);
  shrugs.add(log2_steps(1), log2_steps(1e6));
  EXPECT_LE(shrugs.log_e_slower(), std::log(1.9));
}

TEST(LatencyTest, sees_bursts_in_the_differences_and_none_where_there_are_none) {
  LatencyTest bursts, single;
  Rng rng(6);
  for (int i = 0; i < 400; ++i) {
    const std::int32_t a = log2_steps(std::exp(0.5 * rng.normal()));
    const std::int32_t b = log2_steps(std::exp(0.5 * rng.normal()));
    single.add(a, b);
    for (int k = 0; i % 8 == 0 && k < 8; ++k) bursts.add(a, b);
  }
  EXPECT_GE(bursts.dispersion(), 4);
  EXPECT_LE(single.dispersion(), 1.3);
}

TEST(Log2Steps, is_monotone_and_exact_at_powers_of_two) {
  for (double x = 0.01; x < 1000; x *= 1.003) ASSERT_LE(log2_steps(x), log2_steps(x * 1.02));
  for (int i = -20; i < 20; ++i) EXPECT_EQ(log2_steps(std::exp2(i)) - log2_steps(1), 64 * i);
}

TEST(Dispersions, one_burst_is_enough_to_see_that_events_come_in_bursts) {
  Events events(0);
  for (int i = 0; i < 500; ++i) events.add(false);
  EXPECT_LE(events.dispersion(500), 1);
  for (int i = 0; i < 8; ++i) events.add(true);
  EXPECT_GE(events.dispersion(508), 4);
  EXPECT_LE(events.dispersion(508), kBurstMax);
  Events unseen(4);
  EXPECT_NEAR(unseen.dispersion(0), 8, 1e-9);
}

}  // namespace
}  // namespace arqon::stats
