#include "arqon/solver/strategies/portfolio/portfolio.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "arqon/solver/solver.h"
#include "arqon/testing/function_rows.h"
#include "arqon/testing/limited_rows.h"

namespace arqon::solver {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// Sanitizers make a run about fifty times slower; they look for faults, not for quality.
constexpr bool kQuality = false;
#else
constexpr bool kQuality = true;
#endif

struct Run {
  double reported = 0;          // true loss of the reported setting
  bool allowed = true;
  double broken = 0;            // share of evaluations beyond a limit
  std::vector<Config> asked;
};

Run run(const testing::TuningProblem& p, std::uint64_t seed, std::size_t evaluations,
        double unit = 1, double shift = 0) {
  if (!kQuality) evaluations /= 4;
  StudyConfig study = p.study;
  study.seed = seed;
  study.budget = evaluations;
  Solver solver = *Solver::create(study);
  Rng noise(seed);
  Run out;
  for (std::size_t n = 0; n < evaluations; ++n) {
    const Config x = solver.ask(1).at(0);
    out.broken += p.truth(x).allowed() ? 0 : 1.0 / static_cast<double>(evaluations);
    Trial trial = p.measure(x, noise);
    if (trial.value) *trial.value = (*trial.value + shift) * unit;
    EXPECT_TRUE(solver.tell({trial}));
    out.asked.push_back(x);
  }
  const testing::Truth truth = p.truth(solver.best()->params);
  out.reported = truth.loss;
  out.allowed = truth.allowed();
  return out;
}

TEST(Portfolio, solves_what_is_smooth) {
  for (const char* name : {"Sphere-5D", "Booth-2D", "Quadratic-10D", "LogSphere-4D"}) {
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
      const auto p = testing::function_row(name, seed);
      const double regret = run(p, seed, 60).reported / p.ordinary;
      if (kQuality) {
        EXPECT_LT(regret, 1e-4) << name << " " << seed;
      }
    }
  }
}

TEST(Portfolio, finds_the_bowl_under_ripples_and_noise) {
  const auto ackley = testing::function_row("Ackley-5D", 1);
  const double rippled = run(ackley, 1, 80).reported / ackley.ordinary;
  const auto noisy = testing::function_row("NoisySphere-5D", 1);
  const double blurred = run(noisy, 1, 80).reported / noisy.ordinary;
  if (!kQuality) return;
  EXPECT_LT(rippled, 0.15);
  EXPECT_LT(blurred, 0.01);
}

TEST(Portfolio, a_limit_told_by_metrics_is_kept_by_what_is_reported) {
  int allowed = 0;
  double broken = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const auto r = run(testing::limited_row(testing::kLimitedRows[1], seed), seed, 60);
    allowed += r.allowed ? 1 : 0;
    broken += r.broken / 4;
  }
  if (!kQuality) return;
  EXPECT_GE(allowed, 3);
  EXPECT_LE(broken, 0.25);
}

TEST(Portfolio, the_unit_of_the_loss_changes_nothing) {
  // A power of two, so that no rounding differs; and not all positive, for logarithms do round.
  const auto p = testing::function_row("NoisySphere-5D", 3);
  EXPECT_EQ(run(p, 3, 40, 1, -50).asked, run(p, 3, 40, 1024, -50).asked);
}

TEST(Portfolio, save_for_exhaustion_no_point_comes_twice) {
  const auto p = testing::function_row("IntAckley-5D", 2);
  std::vector<Config> asked = run(p, 2, 60).asked;
  std::sort(asked.begin(), asked.end());
  EXPECT_EQ(std::adjacent_find(asked.begin(), asked.end()), asked.end());
}

TEST(Portfolio, a_batch_is_spread_and_free_of_repeats) {
  const auto p = testing::function_row("Sphere-5D", 4);
  StudyConfig study = p.study;
  Solver solver = *Solver::create(study);
  Rng noise(1);
  for (int round = 0; round < 5; ++round) {
    const std::vector<Config> points = solver.ask(8);
    ASSERT_EQ(points.size(), 8u);
    for (std::size_t i = 0; i < points.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) EXPECT_NE(points[i], points[j]);
      ASSERT_TRUE(solver.tell({p.measure(points[i], noise)}));
    }
  }
}

TEST(Portfolio, the_same_results_in_any_portions_lead_to_the_same_point) {
  const auto p = testing::function_row("Mixed-5", 5);
  Rng rng(6);
  std::vector<Trial> trials;
  for (int i = 0; i < 30; ++i) {
    trials.push_back(p.measure(random_point(p.study.space, rng), rng));
  }
  Solver at_once = *Solver::create(p.study);
  Solver in_parts = *Solver::create(p.study);
  ASSERT_TRUE(at_once.tell(trials));
  for (const Trial& t : trials) {
    ASSERT_TRUE(in_parts.tell({t}));
  }
  EXPECT_EQ(at_once.ask(3), in_parts.ask(3));
}

TEST(Portfolio, rewards_of_any_kind_neither_stop_it_nor_lead_it_out_of_the_space) {
  const double kinds[] = {0, 1e308, -1e308, 1e-308, -1000};
  const auto p = testing::function_row("Mixed-5", 7);
  for (std::uint64_t session = 0; session < 12; ++session) {
    StudyConfig study = p.study;
    study.seed = session;
    Solver solver = *Solver::create(study);
    Rng rng(session);
    for (int n = 0; n < 25; ++n) {
      const std::vector<Config> x = solver.ask(1);
      ASSERT_EQ(x.size(), 1u);
      ASSERT_TRUE(study.space.contains(x[0]));
      Trial trial{.params = x[0]};
      const std::uint64_t which = session < 5 ? session : rng.below(7);
      if (which < 5) trial.value = kinds[which];
      if (which == 5) trial.outcome = Outcome::kCrashed;
      if (which == 6) trial.value = rng.normal() * std::exp(50 * rng.normal());
      ASSERT_TRUE(solver.tell({trial}));
      const Prediction q = solver.predict(x[0]);
      ASSERT_FALSE(std::isnan(q.objective) || std::isnan(q.objective_sd)) << session << " " << n;
    }
  }
}

TEST(Automatic, ask_is_the_portfolio_and_ask_one_is_the_live_strategy) {
  const auto p = testing::function_row("Sphere-5D", 1);
  const auto points = [&](const std::string& strategy, bool batch) {
    StudyConfig study = p.study;
    study.strategy = strategy;
    Solver solver = *Solver::create(study);
    Rng noise(1);
    std::vector<Config> out;
    for (int n = 0; n < 20; ++n) {
      out.push_back(batch ? solver.ask(1).at(0) : *solver.ask_one());
      EXPECT_TRUE(solver.tell({p.measure(out.back(), noise)}));
    }
    return out;
  };
  EXPECT_EQ(points("auto", true), points("portfolio", true));
  EXPECT_EQ(points("auto", false), points("tpe", false));
  EXPECT_NE(points("auto", true), points("auto", false));
}

}  // namespace
}  // namespace arqon::solver
