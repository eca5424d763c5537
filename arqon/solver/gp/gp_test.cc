// The Gaussian processes against slow and plain arithmetic: derivatives against differences,
// factors against their products, left-out predictions against refits.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/solver/gp/classes.h"
#include "arqon/solver/gp/exponential.h"
#include "arqon/solver/gp/factor.h"
#include "arqon/solver/gp/fit.h"
#include "arqon/solver/gp/improvement.h"
#include "arqon/solver/gp/minimize.h"
#include "arqon/solver/gp/process.h"
#include "arqon/solver/sampling.h"

namespace arqon::solver {
namespace {

Space mixed() {
  return Space({{.name = "a", .min = 0, .max = 1},
                {.name = "b", .scale = Scale::kLog, .min = 1, .max = 100},
                {.name = "phase", .scale = Scale::kPeriodic, .min = 0, .max = 24},
                {.name = "way", .type = ParamType::kCategorical, .choices = {"p", "q", "r"}},
                {.name = "mix", .type = ParamType::kSimplex, .choices = {"s", "t"}}});
}

struct Bench {
  Space space = mixed();
  Encoding encoding{space};
  FeatureMap map{encoding};
  Design design{map};
  std::vector<Point> points;
  Outputs outputs;

  explicit Bench(std::size_t n) {
    Rng rng(5);
    for (std::size_t i = 0; i < n; ++i) {
      points.push_back(encoding.encode(space, random_point(space, rng)));
      design.append(map(points.back()));
      const Point& p = points.back();
      outputs.values.push_back(std::sin(4 * p[0]) + p[1] * p[0] + 0.3 * p[3] + 0.01 * rng.normal());
      outputs.extra.push_back(i % 3 == 0 ? 0.01 : 0);
    }
  }
  Theta theta() const {
    Theta t = prior_theta(map);
    for (std::size_t k = 0; k < t.size(); ++k) t[k] += 0.1 * static_cast<double>(k % 3);
    return t;
  }
};

TEST(Exponential, agrees_with_the_library_and_never_turns_negative) {
  for (double x = 0; x > -690; x -= 0.37) {
    EXPECT_NEAR(exp_of_negative(x) / std::exp(x), 1, 1e-14) << x;
  }
  EXPECT_GT(exp_of_negative(-1e308), 0);
  EXPECT_EQ(exp_of_negative(0), 1);
}

TEST(Factor, solves_inverts_and_measures_what_it_was_built_from) {
  const std::size_t n = 23;
  Rng rng(1);
  std::vector<double> a(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      a[i * n + j] = a[j * n + i] = (i == j ? 5 : 0) + 0.3 * rng.normal();
    }
  }
  Factor f;
  for (std::size_t i = 0; i < n; ++i) {
    f.append(std::span(a).subspan(i * n, i), a[i * n + i]);
  }
  std::vector<double> b(n);
  for (double& v : b) v = rng.normal();
  std::vector<double> x = b;
  f.forward(x);
  f.backward(x);
  const std::vector<double> inverse = f.inverse();
  for (std::size_t i = 0; i < n; ++i) {
    EXPECT_NEAR(dot(a.data() + i * n, x.data(), n), b[i], 1e-10);
    EXPECT_NEAR(dot(inverse.data() + i * n, b.data(), n), x[i], 1e-10);
  }
}

TEST(Factor, a_point_that_comes_twice_still_factors) {
  Factor f;
  f.append({}, 1);
  f.append(std::vector<double>{1.0}, 1);
  std::vector<double> x{1, 1};
  f.forward(x);
  EXPECT_TRUE(std::isfinite(x[1]));
}

TEST(Process, derivatives_of_the_evidence_are_those_of_differences) {
  const Bench b(30);
  const Theta theta = b.theta();
  std::vector<double> gradient(theta.size(), 0.0);
  Process(b.map, b.design, theta, b.outputs).energy(gradient);
  for (std::size_t k = 0; k < theta.size(); ++k) {
    constexpr double kStep = 1e-5;
    Theta up = theta;
    Theta down = theta;
    up[k] += kStep;
    down[k] -= kStep;
    const double slope = (Process(b.map, b.design, up, b.outputs).energy() -
                          Process(b.map, b.design, down, b.outputs).energy()) / (2 * kStep);
    EXPECT_NEAR(gradient[k], slope, 1e-5 * (1 + std::abs(slope))) << k;
  }
}

TEST(Process, derivatives_of_the_moments_are_those_of_differences) {
  const Bench b(25);
  const Process process(b.map, b.design, b.theta(), b.outputs);
  FeatureRow at = b.map(Point{0.31, 0.62, 0.4, 1, 0.1});
  Slopes slopes;
  process.at(at, slopes);
  for (std::size_t f = 0; f < b.map.size(); ++f) {
    constexpr double kStep = 1e-5;
    const auto moved = [&](double by) {
      FeatureRow row = at;
      row.z[f] += by;
      row.t[f] += by * b.map[f].slope;
      return process.at(row);
    };
    const Moments up = moved(kStep);
    const Moments down = moved(-kStep);
    EXPECT_NEAR(slopes.mean[f], (up.mean - down.mean) / (2 * kStep), 1e-5) << f;
    EXPECT_NEAR(slopes.variance[f], (up.variance - down.variance) / (2 * kStep), 1e-5) << f;
  }
}

TEST(Process, left_out_means_are_those_of_a_model_without_the_point) {
  const Bench b(15);
  const Theta theta = b.theta();
  const std::vector<double> left_out =
      Process(b.map, b.design, theta, b.outputs).left_out_means();
  for (std::size_t out = 0; out < b.points.size(); ++out) {
    Design design(b.map);
    Outputs outputs;
    for (std::size_t i = 0; i < b.points.size(); ++i) {
      if (i == out) continue;
      design.append(b.map(b.points[i]));
      outputs.values.push_back(b.outputs.values[i]);
      outputs.extra.push_back(b.outputs.extra[i]);
    }
    const Process without(b.map, design, theta, outputs);
    EXPECT_NEAR(left_out[out], without.mean(b.map(b.points[out])), 1e-8);
  }
}

TEST(Process, appending_a_point_is_as_building_anew) {
  const Bench b(12);
  Outputs fewer = b.outputs;
  fewer.values.pop_back();
  fewer.extra.pop_back();
  Outputs all = b.outputs;
  all.extra.back() = 0;
  Process grown(b.map, b.design, b.theta(), fewer);
  grown.append(all.values.back());
  const Process whole(b.map, b.design, b.theta(), all);
  const FeatureRow at = b.map(Point{0.2, 0.9, 0.7, 2, -0.3});
  EXPECT_EQ(grown.at(at).mean, whole.at(at).mean);
  EXPECT_EQ(grown.at(at).variance, whole.at(at).variance);
}

TEST(FeatureMap, a_circle_closes_and_different_choices_are_one_apart) {
  const Bench b(1);
  const auto apart = [&](const Point& x, const Point& y) {
    const FeatureRow p = b.map(x);
    const FeatureRow q = b.map(y);
    double s = 0;
    for (std::size_t f = 0; f < b.map.size(); ++f) s += std::pow(p.z[f] - q.z[f], 2);
    return std::sqrt(s);
  };
  EXPECT_NEAR(apart({0, 0, 0.001, 0, 0}, {0, 0, 0.999, 0, 0}), 0.002 * std::numbers::pi, 1e-4);
  EXPECT_NEAR(apart({0, 0, 0, 0, 0}, {0, 0, 0, 2, 0}), 1, 1e-12);
  EXPECT_NEAR(apart({0, 0, 0, 1, 0}, {0, 0, 0, 2, 0}), 1, 1e-12);
}

TEST(Fit, a_coordinate_without_influence_gets_a_longer_length_than_one_that_acts) {
  const Space space({{.name = "acts"}, {.name = "idle"}});
  const Encoding encoding(space);
  const FeatureMap map(encoding);
  Design design(map);
  Outputs outputs;
  Rng rng(3);
  for (int i = 0; i < 40; ++i) {
    const Point p{rng.uniform(), rng.uniform()};
    design.append(map(p));
    outputs.values.push_back(std::sin(9 * p[0]));
    outputs.extra.push_back(0);
  }
  const Fit fit = fit_theta(map, design, outputs, prior_theta(map), 60);
  EXPECT_GT(fit.theta[1], fit.theta[0] + 1);
  const Process process(map, design, fit.theta, outputs);
  EXPECT_NEAR(process.mean(map(Point{0.5, 0.5})), std::sin(4.5), 0.02);
}

TEST(Warp, goes_back_where_it_came_from_and_survives_any_size) {
  for (const double unit : {1e-12, 1.0, 1e140}) {
    std::vector<double> values;
    for (int i = 0; i < 20; ++i) values.push_back(unit * std::exp(0.4 * i));
    for (const double power : {-1.0, 0.0, 0.5, 1.0, 2.0}) {
      const Warp warp(values, {.power = power});
      for (const double v : values) {
        EXPECT_NEAR(warp.inverse(warp(v)) / v, 1, 1e-6) << unit << " " << power;
      }
    }
  }
  EXPECT_TRUE(std::isfinite(Warp(std::vector<double>{7, 7, 7}, {})(7)));
}

TEST(Warp, picks_a_power_that_pulls_a_long_tail_in) {
  std::vector<double> values;
  Rng rng(4);
  for (int i = 0; i < 200; ++i) values.push_back(std::exp(1.5 * rng.normal()));
  EXPECT_LT(gaussian_power(values), 0.3);
}

TEST(Improvement, agrees_with_quadrature_and_stays_finite_far_out) {
  for (const double best : {-1.0, 0.0, 2.0}) {
    double sum = 0;
    for (double z = -9; z < 9; z += 1e-3) {
      const double f = 0.3 + 0.7 * z;
      const double density = std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
      sum += std::max(best - f, 0.0) * density * 1e-3;
    }
    EXPECT_NEAR(log_improvement(0.3, 0.49, best).value, std::log(sum), 1e-4);
  }
  EXPECT_NEAR(log_improvement(0, 1, -40).value, -800 - 0.9189385 - 2 * std::log(40.0), 0.01);
  const auto at = [](double m, double v) { return log_improvement(m, v, -3).value; };
  const LogImprovement here = log_improvement(0.2, 0.5, -3);
  EXPECT_NEAR(here.by_mean, (at(0.2 + 1e-6, 0.5) - at(0.2 - 1e-6, 0.5)) / 2e-6, 1e-4);
  EXPECT_NEAR(here.by_variance, (at(0.2, 0.5 + 1e-6) - at(0.2, 0.5 - 1e-6)) / 2e-6, 1e-4);
}

TEST(Minimize, finds_the_bottom_of_a_bent_valley_and_stops_at_walls) {
  const Smooth rosenbrock = [](std::span<const double> x, std::span<double> g) {
    const double a = 1 - x[0];
    const double b = x[1] - x[0] * x[0];
    g[0] = -2 * a - 400 * x[0] * b;
    g[1] = 200 * b;
    return a * a + 100 * b * b;
  };
  const Minimum free = minimize(rosenbrock, {-1.2, 1}, {.low = {-5, -5}, .high = {5, 5}}, 300, 0);
  EXPECT_NEAR(free.at[0], 1, 1e-3);
  const Minimum walled =
      minimize(rosenbrock, {-1.2, 1}, {.low = {-5, -5}, .high = {0.5, 5}}, 300, 0);
  EXPECT_EQ(walled.at[0], 0.5);
  EXPECT_NEAR(walled.at[1], 0.25, 1e-3);
}

TEST(Classes, learn_a_border_from_yes_and_no) {
  const Space space({{.name = "x"}, {.name = "y"}});
  const Encoding encoding(space);
  const FeatureMap map(encoding);
  Design design(map);
  std::vector<double> labels;
  Rng rng(8);
  for (int i = 0; i < 60; ++i) {
    const Point p{rng.uniform(), rng.uniform()};
    design.append(map(p));
    labels.push_back(p[0] + p[1] < 1 ? 1 : 0);
  }
  Theta theta = prior_theta(map);
  theta[map.groups() + kSlopes] = 3;
  const Process process(map, design, theta, fit_classes(map, design, theta, labels).outputs);
  EXPECT_GT(process.mean(map(Point{0.2, 0.2})), 1);
  EXPECT_LT(process.mean(map(Point{0.8, 0.8})), -1);
  EXPECT_NEAR(process.mean(map(Point{0.5, 0.5})), 0, 0.7);
}

}  // namespace
}  // namespace arqon::solver
