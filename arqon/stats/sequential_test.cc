#include "arqon/stats/sequential.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "arqon/base/rng.h"

namespace arqon::stats {
namespace {

// Unoptimised builds, which carry sanitizers, check the same facts on fewer runs.
#ifdef __OPTIMIZE__
constexpr int kScale = 1;
#else
constexpr int kScale = 10;
#endif

const double kLevel = std::log(20.0);  // alpha 0.05

struct Alarms {
  double share = 0;     // of runs that ever alarmed
  double median = 1e9;  // requests to the alarm, over all runs
};

// Runs `alarm(counts)` after every request of `runs` simulated streams of `length`.
template <typename Alarm>
Alarms simulate(double rate, int runs, std::uint64_t length, const Alarm& alarm) {
  std::vector<double> times;
  int alarms = 0;
  for (int run = 0; run < runs; ++run) {
    Rng rng = Rng(11).stream("sequential").stream(static_cast<std::uint64_t>(run));
    Counts counts;
    double when = 1e9;
    while (counts.n < length && when == 1e9) {
      ++counts.n;
      counts.bad += rng.uniform() < rate ? 1U : 0U;
      if (alarm(counts)) when = static_cast<double>(counts.n);
    }
    alarms += when < 1e9 ? 1 : 0;
    times.push_back(when);
  }
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return {static_cast<double>(alarms) / runs, times[static_cast<std::size_t>(runs) / 2]};
}

bool above(const Counts& c) { return log_e_above(c, 0.01) >= kLevel; }
bool below(const Counts& c) { return log_e_below(c, 0.01) >= kLevel; }

TEST(LogEAbove, equals_the_mixture_written_out) {
  double sum = 0;
  for (const double p : {0.02, 0.03, 0.05, 0.1}) {
    sum += std::pow(p / 0.01, 7 / 1.5) * std::pow((1 - p) / 0.99, 393 / 1.5);
  }
  EXPECT_NEAR(log_e_above({400, 7}, 0.01, 1.5), std::log(sum / 4), 1e-9);
}

TEST(LogEBelow, equals_the_mixture_written_out) {
  double sum = 0;
  for (const double p : {0.005, 0.002}) {
    sum += std::pow(p / 0.01, 3 / 2.0) * std::pow((1 - p) / 0.99, 697 / 2.0);
  }
  EXPECT_NEAR(log_e_below({700, 3}, 0.01, 2), std::log(sum / 2), 1e-9);
}

// Probability of `bad` among n independent requests.
double binomial(std::uint64_t n, std::uint64_t bad, double rate) {
  double p = 1;
  for (std::uint64_t i = 0; i < n; ++i) {
    if (i < bad) {
      p *= rate * static_cast<double>(n - i) / static_cast<double>(bad - i);
    } else {
      p *= 1 - rate;
    }
  }
  return p;
}

// What makes an e-value one: its mean is 1 at the edge of the hypothesis and less inside it.
TEST(LogE, has_mean_one_at_its_limit_and_less_beyond) {
  for (const double p0 : {0.01, 0.2, 0.45, 0.8}) {
    const auto mean = [&](double rate, double dispersion, auto&& log_e) {
      double sum = 0;
      for (std::uint64_t bad = 0; bad <= 40; ++bad) {
        sum += binomial(40, bad, rate) * std::exp(log_e(Counts{40, bad}, p0, dispersion));
      }
      return sum;
    };
    EXPECT_NEAR(mean(p0, 1, log_e_above), 1, 1e-9) << p0;
    EXPECT_NEAR(mean(p0, 1, log_e_below), 1, 1e-9) << p0;
    EXPECT_LT(mean(p0 * 0.9, 1, log_e_above), 1) << p0;
    EXPECT_LT(mean(p0 * 1.1, 1, log_e_below), 1) << p0;
    EXPECT_LT(mean(p0, 3, log_e_above), 1) << p0;
    EXPECT_LT(mean(p0, 3, log_e_below), 1) << p0;
  }
}

TEST(LogEAbove, finds_a_raised_rate_within_the_requests_the_design_names) {
  EXPECT_LE(simulate(0.10, 200, 5000, above).median, 40);
  EXPECT_LE(simulate(0.05, 200, 5000, above).median, 100);
  EXPECT_LE(simulate(0.03, 200, 5000, above).median, 300);
  const Alarms twice = simulate(0.02, 100, 20000, above);
  EXPECT_LE(twice.median, 1200);
  EXPECT_GE(twice.share, 0.9);
}

TEST(LogEAbove, false_alarms_stay_under_alpha_when_looked_at_after_every_request) {
  // Nominal 5 %, standard error 0.9 % at 600 runs.
  const Alarms at_limit = simulate(0.01, 600 / kScale, 20000, above);
  EXPECT_LE(at_limit.share, 0.05 + 0.025 * std::sqrt(kScale));
  EXPECT_GE(at_limit.share, 0.005);  // a test that never speaks would pass the line above
  EXPECT_LE(simulate(0.004, 50 / std::min(kScale, 2), 20000, above).share, 0.04);
}

TEST(LogEBelow, shows_a_low_rate_and_rarely_accepts_the_limit_itself) {
  EXPECT_LE(simulate(0.001, 200, 5000, below).median, 600);
  EXPECT_LE(simulate(0.004, 200, 20000, below).median, 1500);
  EXPECT_LE(simulate(0.01, 600 / kScale, 20000, below).share, 0.05 + 0.025 * std::sqrt(kScale));
}

TEST(LogEAbove, bursts_alarm_falsely_unless_the_dispersion_is_known) {
  const auto run = [](double dispersion) {
    int alarms = 0;
    const int runs = 100 / std::min(kScale, 4);
    for (int i = 0; i < runs; ++i) {
      Rng rng = Rng(5).stream(static_cast<std::uint64_t>(i));
      Counts counts;
      bool alarm = false;
      // Every bad request drags seven more with it; the long-run rate is 1 %.
      while (counts.n < 20000 && !alarm) {
        counts += rng.uniform() < 0.01 / (8 - 7 * 0.01) ? Counts{8, 8} : Counts{1, 0};
        alarm = log_e_above(counts, 0.01, dispersion) >= kLevel;
      }
      alarms += alarm ? 1 : 0;
    }
    return static_cast<double>(alarms) / runs;
  };
  EXPECT_GE(run(1), 0.35);
  EXPECT_LE(run(15), 0.05);
}

TEST(LogE, stays_finite_at_the_ends_of_its_range) {
  for (const double p0 : {1e-9, 0.01, 0.5, 0.9, 1 - 1e-9}) {
    for (const Counts& c : {Counts{0, 0}, Counts{1'000'000'000, 0}, Counts{1'000'000, 1'000'000}}) {
      EXPECT_TRUE(std::isfinite(log_e_above(c, p0))) << p0;
      EXPECT_TRUE(std::isfinite(log_e_below(c, p0))) << p0;
    }
  }
  EXPECT_EQ(log_e_above({0, 0}, 0.01), 0);
  // More bad than n, from a reader that saw the counters out of step, is read as all bad.
  EXPECT_EQ(log_e_above({10, 12}, 0.01), log_e_above({10, 10}, 0.01));
}

TEST(LogEAbove, works_for_limits_above_one_half) {
  EXPECT_GE(log_e_above({200, 190}, 0.8), kLevel);
  EXPECT_LT(log_e_above({200, 160}, 0.8), 0);
}

TEST(ConfidenceSequence, holds_the_true_rate_at_all_times_together) {
  for (const double rate : {0.002, 0.05, 0.4}) {
    const Alarms missed = simulate(rate, 100 / kScale, 1500, [&](const Counts& c) {
      const Interval i = confidence_sequence(c, 0.05);
      return rate < i.low || rate > i.high;
    });
    EXPECT_LE(missed.share, 0.05 + 0.06 * std::sqrt(kScale)) << rate;
  }
}

TEST(ConfidenceSequence, ends_where_the_mixture_integrated_numerically_excludes) {
  const Counts counts{60, 7};
  const Interval interval = confidence_sequence(counts, 0.05);
  for (const double p : {interval.low, interval.high}) {
    // Beta(1/2, 1/2) over rates r is the uniform distribution of a, r = sin^2(a).
    double mixture = 0;
    constexpr int kSteps = 20000;
    for (int i = 0; i < kSteps; ++i) {
      const double a = (i + 0.5) / kSteps * std::acos(0.0);
      const double rate = std::sin(a) * std::sin(a);
      mixture += std::pow(rate / p, 7) * std::pow((1 - rate) / (1 - p), 53) / kSteps;
    }
    EXPECT_NEAR(mixture, 20, 1e-4) << p;
  }
}

TEST(ConfidenceSequence, narrows_with_requests_and_widens_with_dispersion) {
  const Interval few = confidence_sequence({100, 1}, 0.05);
  const Interval many = confidence_sequence({10000, 100}, 0.05);
  const Interval clustered = confidence_sequence({10000, 100}, 0.05, 10);
  EXPECT_LT(few.low, many.low);
  EXPECT_GT(few.high, many.high);
  EXPECT_NEAR(many.low, 0.0070, 0.0007);
  EXPECT_NEAR(many.high, 0.0138, 0.0007);
  EXPECT_GT(clustered.high - clustered.low, 2.5 * (many.high - many.low));
  EXPECT_EQ(confidence_sequence({0, 0}, 0.05).low, 0);
  EXPECT_EQ(confidence_sequence({0, 0}, 0.05).high, 1);
  EXPECT_EQ(confidence_sequence({1000, 0}, 0.05).low, 0);
  EXPECT_LT(confidence_sequence({1000, 0}, 0.05).high, 0.01);
  EXPECT_EQ(confidence_sequence({1000, 1000}, 0.05).high, 1);
}

// Share of runs in which `decides` ever holds, with a look every `stride` requests.
struct TwoArms {
  double incumbent, challenger;
  std::uint64_t incumbent_n;  // collected before; 0: both arms grow together
  std::uint64_t challenger_n = 20000;
  double margin = 0;
};

template <typename Decides>
Alarms simulate_two(const TwoArms& arms, int runs, std::uint64_t stride, const Decides& decides) {
  std::vector<double> times;
  int decided = 0;
  const auto grow = [](Counts& c, std::uint64_t n, double rate, Rng& rng) {
    for (std::uint64_t i = 0; i < n; ++i) c += {1, rng.uniform() < rate ? 1U : 0U};
  };
  for (int run = 0; run < runs; ++run) {
    Rng rng = Rng(23).stream("two").stream(static_cast<std::uint64_t>(run));
    Counts incumbent, challenger;
    grow(incumbent, arms.incumbent_n, arms.incumbent, rng);
    double when = 1e9;
    while (challenger.n < arms.challenger_n && when == 1e9) {
      grow(challenger, stride, arms.challenger, rng);
      if (arms.incumbent_n == 0) grow(incumbent, stride, arms.incumbent, rng);
      if (decides(compare(incumbent, challenger, arms.margin))) {
        when = static_cast<double>(challenger.n);
      }
    }
    decided += when < 1e9 ? 1 : 0;
    times.push_back(when);
  }
  std::nth_element(times.begin(), times.begin() + runs / 2, times.end());
  return {static_cast<double>(decided) / runs, times[static_cast<std::size_t>(runs) / 2]};
}

bool worse(const Comparison& c) { return c.log_e_worse >= kLevel; }
bool better(const Comparison& c) { return c.log_e_better >= kLevel; }
bool not_worse(const Comparison& c) { return c.log_e_not_worse >= kLevel; }

// Exactly, for every outcome of two small arms: no hypothesis that holds is spoken against on
// average.
TEST(Compare, each_e_value_has_mean_at_most_one_wherever_its_hypothesis_holds) {
  constexpr std::uint64_t kN = 9, kM = 14;
  for (const double margin : {0.0, 0.1}) {
    std::vector<Comparison> all;
    for (std::uint64_t i = 0; i <= kN; ++i) {
      for (std::uint64_t c = 0; c <= kM; ++c) all.push_back(compare({kN, i}, {kM, c}, margin));
    }
    const auto mean = [&](double incumbent, double challenger, double Comparison::*log_e) {
      double sum = 0;
      for (std::uint64_t i = 0; i <= kN; ++i) {
        for (std::uint64_t c = 0; c <= kM; ++c) {
          sum += binomial(kN, i, incumbent) * binomial(kM, c, challenger) *
                 std::exp(all[i * (kM + 1) + c].*log_e);
        }
      }
      return sum;
    };
    for (const double rate : {0.02, 0.15, 0.5, 0.85}) {
      EXPECT_LE(mean(rate, rate + margin, &Comparison::log_e_worse), 1) << rate;
      EXPECT_LE(mean(rate, rate, &Comparison::log_e_better), 1) << rate;
      EXPECT_LE(mean(rate, rate + margin, &Comparison::log_e_not_worse), 1) << rate;
    }
  }
}

TEST(Compare, equal_arms_are_rarely_told_apart_whenever_one_looks) {
  const auto either = [](const Comparison& c) { return worse(c) || better(c); };
  const int runs = 40 / std::min(kScale, 4);
  double total = 0;
  for (const double rate : {0.003, 0.01, 0.1}) {
    for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{1000}}) {
      total += simulate_two({rate, rate, n}, runs, 500, either).share;
    }
  }
  // Two hypotheses at 5 % each, over 240 runs of 20,000 requests; 1 % was measured.
  EXPECT_LE(total / 6, 0.05);
}

TEST(Compare, a_regression_of_exactly_the_margin_is_on_the_edge_of_both_hypotheses) {
  const int runs = 40 / std::min(kScale, 4);
  const TwoArms edge{.incumbent = 0.01, .challenger = 0.02, .incumbent_n = 3000, .margin = 0.01};
  EXPECT_LE(simulate_two(edge, runs, 500, worse).share, 0.10);
  EXPECT_LE(simulate_two(edge, runs, 500, not_worse).share, 0.10);
  // Rates below the margin: no challenger can be shown worse than 0.1 % + 0.5 % here.
  const TwoArms tiny{.incumbent = 0.001, .challenger = 0.001, .incumbent_n = 3000, .margin = 0.005};
  EXPECT_EQ(simulate_two(tiny, runs / 2, 1000, worse).share, 0);
}

TEST(Compare, finds_large_regressions_fast_and_small_ones_in_thousands) {
  const int runs = 40 / std::min(kScale, 4);
  EXPECT_LE(simulate_two({0.01, 0.10, 300, 1000, 0.002}, runs, 25, worse).median, 150);
  EXPECT_LE(simulate_two({0.01, 0.10, 5000, 1000, 0.002}, runs, 25, worse).median, 100);
  EXPECT_LE(simulate_two({0.01, 0.02, 0}, runs, 250, worse).median, 6000);
  EXPECT_LE(simulate_two({0.003, 0.01, 0}, runs, 250, worse).median, 4500);
  EXPECT_LE(simulate_two({0.01, 0.02, 50000}, runs, 250, worse).median, 5000);
}

TEST(Compare, finds_gains_and_non_inferiority) {
  const int runs = 40 / std::min(kScale, 4);
  EXPECT_LE(simulate_two({0.15, 0.02, 600, 1000}, runs, 25, better).median, 150);
  EXPECT_LE(simulate_two({0.02, 0.01, 0}, runs, 250, better).median, 6000);
  EXPECT_LE(simulate_two({0.01, 0.01, 3000, 20000, 0.01}, runs, 250, not_worse).median, 4500);
  EXPECT_LE(simulate_two({0.001, 0.001, 3000, 20000, 0.005}, runs, 250, not_worse).median, 3000);
}

TEST(Compare, says_nothing_without_data_and_stays_finite) {
  const Comparison none = compare({0, 0}, {0, 0}, 0.01);
  EXPECT_LE(none.log_e_worse, 0.01);
  EXPECT_LE(none.log_e_better, 0.01);
  EXPECT_LE(none.log_e_not_worse, 0.01);
  EXPECT_LT(compare({0, 0}, {1000, 900}, 0.01).log_e_worse, kLevel);
  const Counts much{1'000'000'000, 10'000'000};
  const Counts all{1'000'000, 1'000'000};
  for (const Counts& a : {Counts{0, 0}, Counts{100000, 0}, much, all}) {
    for (const Counts& b : {Counts{0, 0}, Counts{100000, 0}, much, all}) {
      const Comparison c = compare(a, b, 0.002);
      EXPECT_TRUE(std::isfinite(c.log_e_worse)) << a.n << " " << b.n;
      EXPECT_TRUE(std::isfinite(c.log_e_better)) << a.n << " " << b.n;
      EXPECT_TRUE(std::isfinite(c.log_e_not_worse)) << a.n << " " << b.n;
    }
  }
  EXPECT_GE(compare(much, {1000, 1000}, 0.002).log_e_worse, kLevel);
}

TEST(Judge, a_verdict_needs_evidence) {
  EXPECT_EQ(judge(Counts{50, 0}, 0.01, 0.05), Verdict::kInconclusive);
  EXPECT_EQ(judge(Counts{2000, 2}, 0.01, 0.05), Verdict::kPass);
  EXPECT_EQ(judge(Counts{200, 30}, 0.01, 0.05), Verdict::kFail);
  EXPECT_EQ(judge(compare({2000, 20}, {200, 30}, 0.005), 0.05), Verdict::kFail);
  EXPECT_EQ(judge(compare({2000, 300}, {400, 3}, 0.005), 0.05), Verdict::kPass);
  EXPECT_EQ(judge(compare({2000, 20}, {100, 1}, 0.005), 0.05), Verdict::kInconclusive);
}

TEST(RequestsNeeded, matches_what_a_steady_stream_takes) {
  const Counts seen{200, 6};
  const auto more = requests_needed(seen, 0.01, 0.05);
  ASSERT_TRUE(more.has_value());
  const auto at = [&](double extra) {
    const double n = 200 + extra;
    const double rate = 6.5 / 201;
    return judge(Counts{static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(n * rate)}, 0.01,
                 0.05);
  };
  EXPECT_EQ(at(static_cast<double>(*more) * 1.5 + 30), Verdict::kFail);
  EXPECT_EQ(at(static_cast<double>(*more) * 0.5), Verdict::kInconclusive);
  EXPECT_EQ(requests_needed({200, 30}, 0.01, 0.05), 0U);
  EXPECT_GT(requests_needed(seen, 0.01, 0.05, 4).value(), 2 * *more);
}

TEST(RequestsNeeded, for_a_comparison_counts_the_challenger_and_admits_never) {
  const auto more = requests_needed({3000, 30}, {300, 3}, 0.01, 0.05);
  ASSERT_TRUE(more.has_value());
  EXPECT_GT(*more, 300U);
  EXPECT_LT(*more, 20000U);
  // Ten requests of an incumbent can carry no comparison of small rates.
  EXPECT_FALSE(requests_needed({10, 0}, {300, 3}, 0.001, 0.05).has_value());
}

TEST(Dispersion, is_one_for_independent_requests_and_finds_bursts) {
  Rng rng(3);
  Dispersion independent, clustered;
  for (int block = 0; block < 600; ++block) {
    Counts plain, bursts;
    for (int i = 0; i < 44; ++i) {
      plain += {1, rng.uniform() < 0.05 ? 1U : 0U};
      bursts += rng.uniform() < 0.05 / 8 ? Counts{8, 8} : Counts{1, 0};
    }
    independent.observe(plain);
    clustered.observe(bursts);
  }
  EXPECT_LE(independent.value(), 1.35);
  EXPECT_GE(clustered.value(), 4);
  EXPECT_LE(clustered.value(), 12);
}

TEST(Dispersion, does_not_take_a_step_of_the_rate_for_clustering) {
  Rng rng(4);
  Dispersion dispersion;
  for (int block = 0; block < 200; ++block) {
    Counts counts;
    for (int i = 0; i < 44; ++i)
      counts += {1, rng.uniform() < (block < 100 ? 0.01 : 0.2) ? 1U : 0U};
    dispersion.observe(counts);
  }
  EXPECT_LE(dispersion.value(), 1.5);
}

TEST(Dispersion, is_one_without_evidence) {
  Dispersion dispersion;
  EXPECT_EQ(dispersion.value(), 1);
  dispersion.observe({0, 0});
  for (int i = 0; i < 50; ++i) dispersion.observe({100, 0});
  EXPECT_EQ(dispersion.value(), 1);
}

}  // namespace
}  // namespace arqon::stats
