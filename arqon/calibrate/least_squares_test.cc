#include "arqon/calibrate/least_squares.h"

#include <gtest/gtest.h>

#include <cmath>

namespace arqon::calibrate {
namespace {

// y = a + b t with a = 2, b = -0.5, seen without noise.
void line(std::span<const double> x, std::vector<double>& out) {
  for (int t = 0; t < 8; ++t) out.push_back((x[0] + x[1] * t - (2 - 0.5 * t)) / 0.01);
}

TEST(LeastSquares, finds_the_parameters_that_the_data_were_made_with) {
  const std::vector<double> wide = {100, 100};
  const Minimum minimum = minimise(line, wide);
  EXPECT_TRUE(minimum.converged);
  EXPECT_NEAR(minimum.x[0], 2, 1e-4);
  EXPECT_NEAR(minimum.x[1], -0.5, 1e-4);
  // sd of an intercept and a slope over t = 0..7: 0.01 sqrt(7/24) ... by the normal equations.
  EXPECT_NEAR(minimum.sd[0], 0.01 * std::sqrt(140.0 / 336), 1e-4);
  EXPECT_NEAR(minimum.sd[1], 0.01 * std::sqrt(8.0 / 336), 1e-4);
}

TEST(LeastSquares, without_data_it_stays_at_the_prior_with_its_width) {
  const std::vector<double> prior = {0.3};
  const Minimum minimum = minimise([](std::span<const double>, std::vector<double>&) {}, prior);
  EXPECT_EQ(minimum.x[0], 0);
  EXPECT_NEAR(minimum.sd[0], 0.3, 1e-9);
}

TEST(LeastSquares, a_prior_pulls_as_an_observation_of_its_width_would) {
  const std::vector<double> prior = {0.1};
  const auto seen = [](std::span<const double> x, std::vector<double>& out) {
    out.push_back((x[0] - 0.1) / 0.1);
  };
  EXPECT_NEAR(minimise(seen, prior).x[0], 0.05, 1e-6);
}

TEST(LeastSquares, one_wild_value_moves_the_answer_no_more_than_its_share) {
  const auto with = [](double wild) {
    const auto residuals = [wild](std::span<const double> x, std::vector<double>& out) {
      for (int i = 0; i < 9; ++i) out.push_back((x[0] - 0.2 - 0.001 * (i - 4)) / 0.05);
      out.push_back((x[0] - wild) / 0.05);
    };
    const std::vector<double> prior = {10};
    return minimise(residuals, prior).x[0];
  };
  EXPECT_NEAR(with(5), 0.2, 0.02);
  EXPECT_NEAR(with(5), with(500), 1e-3);
}

TEST(LeastSquares, a_residual_that_is_no_number_is_left_out) {
  const auto residuals = [](std::span<const double> x, std::vector<double>& out) {
    out.push_back(std::nan(""));
    out.push_back((x[0] - 1) / 0.01);
  };
  const std::vector<double> prior = {10};
  EXPECT_NEAR(minimise(residuals, prior).x[0], 1, 1e-3);
}

// Rosenbrock's valley, as residuals: bent, and far from where it begins.
TEST(LeastSquares, follows_a_bent_valley_to_its_bottom) {
  const auto residuals = [](std::span<const double> x, std::vector<double>& out) {
    out.push_back(10 * (x[1] - x[0] * x[0]));
    out.push_back(1 - x[0]);
  };
  const std::vector<double> prior = {1e4, 1e4};
  const Minimum minimum = minimise(residuals, prior, {.huber = 1e9, .iterations_max = 200});
  EXPECT_NEAR(minimum.x[0], 1, 1e-3);
  EXPECT_NEAR(minimum.x[1], 1, 2e-3);
}

}  // namespace
}  // namespace arqon::calibrate
