#include "arqon/workload/arrivals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace arqon::workload {
namespace {

std::vector<Duration> arrivals(const GeneratorSource& source, double seconds, std::uint64_t seed,
                               const std::vector<RatePoint>& rates = {{0, 1}}) {
  auto out = generate_arrivals(source, rates, seconds, Rng(seed));
  EXPECT_TRUE(out.has_value());
  return out.value_or(std::vector<Duration>{});
}

// Variance over mean of counts in bins of `bin_s` seconds.
double dispersion(const std::vector<Duration>& times, double seconds, double bin_s) {
  std::vector<double> counts(static_cast<std::size_t>(seconds / bin_s));
  for (const Duration t : times) {
    const auto bin = static_cast<std::size_t>(to_seconds(t) / bin_s);
    if (bin < counts.size()) counts[bin] += 1;
  }
  double sum = 0, squares = 0;
  for (const double c : counts) {
    sum += c;
    squares += c * c;
  }
  const double n = static_cast<double>(counts.size()), mean = sum / n;
  return (squares / n - mean * mean) / mean;
}

TEST(Arrivals, long_run_mean_is_the_rate_asked_for) {
  for (const std::string name : {"azure-conv", "azure-code", "poisson", "gamma"}) {
    const double seconds = 150000;
    const auto times = arrivals({.name = name, .rate_per_s = 1, .cv = 2}, seconds, 1);
    EXPECT_NEAR(static_cast<double>(times.size()) / seconds, 1, 0.05) << name;
    EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
    EXPECT_LT(times.back(), from_seconds(seconds));
  }
}

// At the traces' own mean rates the processes scatter as the fits did: 1.2 / 3.3 / 14.3 for
// conversation (1, 10, 60 s), 12.1 / 66 / 147 for code.
TEST(Arrivals, conversation_scatters_like_the_trace) {
  const double seconds = 200000;
  const auto times = arrivals({.name = "azure-conv", .rate_per_s = 5.56}, seconds, 2);
  EXPECT_NEAR(dispersion(times, seconds, 1), 1.25, 0.1);
  EXPECT_NEAR(dispersion(times, seconds, 10), 3.4, 0.5);
  EXPECT_NEAR(dispersion(times, seconds, 60), 14.5, 3);
}

TEST(Arrivals, code_comes_in_bursts_like_the_trace) {
  const double seconds = 200000;
  const auto times = arrivals({.name = "azure-code", .rate_per_s = 2.6}, seconds, 3);
  EXPECT_NEAR(dispersion(times, seconds, 1), 12.1, 1.5);
  EXPECT_NEAR(dispersion(times, seconds, 10), 66, 8);
  EXPECT_NEAR(dispersion(times, seconds, 60), 147, 22);
}

TEST(Arrivals, poisson_has_no_memory) {
  const auto times = arrivals({.name = "poisson", .rate_per_s = 10}, 20000, 4);
  EXPECT_NEAR(dispersion(times, 20000, 1), 1, 0.03);
  EXPECT_NEAR(dispersion(times, 20000, 60), 1, 0.15);
}

TEST(Arrivals, gamma_gaps_have_the_cv_asked_for) {
  for (const double cv : {0.5, 1.0, 2.0, 4.0}) {
    const auto times = arrivals({.name = "gamma", .rate_per_s = 10, .cv = cv}, 20000, 5);
    double sum = 0, squares = 0;
    for (std::size_t i = 1; i < times.size(); ++i) {
      const double gap = to_seconds(times[i] - times[i - 1]);
      sum += gap;
      squares += gap * gap;
    }
    const double n = static_cast<double>(times.size() - 1), mean = sum / n;
    EXPECT_NEAR(std::sqrt(squares / n - mean * mean) / mean / cv, 1, 0.05) << cv;
  }
}

TEST(Arrivals, a_factor_changes_the_rate_and_keeps_bursts) {
  const GeneratorSource source{.name = "azure-code", .rate_per_s = 2.6};
  const auto plain = arrivals(source, 200000, 6);
  const auto halved = arrivals(source, 200000, 6, {{0, 1}, {100000, 0.5}});
  std::size_t plain_late = 0, halved_late = 0, plain_early = 0, halved_early = 0;
  for (const Duration t : plain) ++(to_seconds(t) < 100000 ? plain_early : plain_late);
  for (const Duration t : halved) ++(to_seconds(t) < 100000 ? halved_early : halved_late);
  EXPECT_EQ(plain_early, halved_early);  // what came before the change is not moved
  EXPECT_NEAR(static_cast<double>(halved_late) / static_cast<double>(plain_late), 0.5, 0.02);
}

TEST(Arrivals, a_factor_of_zero_is_silence) {
  const auto times =
      arrivals({.name = "poisson", .rate_per_s = 10}, 300, 7, {{0, 1}, {100, 0}, {200, 1}});
  for (const Duration t : times) EXPECT_TRUE(to_seconds(t) < 100 || to_seconds(t) >= 200);
  EXPECT_GT(times.size(), 1800u);
}

TEST(Arrivals, unknown_or_endless_generators_are_refused) {
  const auto refused = [](const GeneratorSource& source) {
    const auto out = generate_arrivals(source, {{0, 1}}, 3600, Rng(1));
    return !out.has_value() && out.error().code == ErrorCode::kInvalidConfig;
  };
  EXPECT_TRUE(refused({.name = "weibull", .rate_per_s = 1}));
  EXPECT_TRUE(refused({.name = "poisson", .rate_per_s = 0}));
  EXPECT_TRUE(refused({.name = "poisson", .rate_per_s = 1e9}));
  EXPECT_TRUE(refused({.name = "poisson", .rate_per_s = std::nan("")}));
  EXPECT_TRUE(refused({.name = "gamma", .rate_per_s = 1, .cv = 0}));
}

}  // namespace
}  // namespace arqon::workload
