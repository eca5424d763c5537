// The 26 rows on which optimisers are compared: classic functions, noisy ones, and mixed spaces,
// each with its optimum moved by the seed (uniformly inside the middle 80 % of the box), so that
// nothing is found by standing in the middle.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arqon/solver/sampling.h"
#include "arqon/testing/classic_functions.h"
#include "arqon/testing/tuning_problem.h"

namespace arqon::testing {

namespace rows {

struct Row {
  std::string_view name;
  std::size_t dims;
  double low, high;
  Function function;
  double at;         // every coordinate of the unmoved optimum, unless `special`
  double noise = 0;  // added to a measurement
};

inline constexpr Row kFunctionRows[] = {
    {"Sphere-2D", 2, -5.12, 5.12, sphere, 0},
    {"Sphere-5D", 5, -5.12, 5.12, sphere, 0},
    {"Sphere-10D", 10, -5.12, 5.12, sphere, 0},
    {"Rosenbrock-2D", 2, -5, 10, rosenbrock, 1},
    {"Rosenbrock-5D", 5, -5, 10, rosenbrock, 1},
    {"Quadratic-10D", 10, -5, 5, quadratic, 0},
    {"Quadratic-20D", 20, -5, 5, quadratic, 0},
    {"Rastrigin-2D", 2, -5.12, 5.12, rastrigin, 0},
    {"Rastrigin-5D", 5, -5.12, 5.12, rastrigin, 0},
    {"Rastrigin-10D", 10, -5.12, 5.12, rastrigin, 0},
    {"Ackley-2D", 2, -5, 5, ackley, 0},
    {"Ackley-5D", 5, -5, 5, ackley, 0},
    {"Levy-2D", 2, -10, 10, levy, 1},
    {"Levy-5D", 5, -10, 10, levy, 1},
    {"Griewank-5D", 5, -600, 600, griewank, 0},
    {"NoisySphere-5D", 5, -5.12, 5.12, sphere, 0, 0.5},
};

}  // namespace rows

// Names of all rows, in the order of the table.
inline std::vector<std::string> function_row_names() {
  std::vector<std::string> out = {"Branin-2D", "Hartmann6", "IntAckley-5D", "LogSphere-4D",
                                  "Mixed-5", "Conditional-5", "Beale-2D", "Booth-2D",
                                  "Schwefel-2D", "StochRosen-2D"};
  for (const rows::Row& r : rows::kFunctionRows) out.emplace_back(r.name);
  return out;
}

// The row `name` with the optimum of `seed`.
TuningProblem function_row(const std::string& name, std::uint64_t seed);

namespace rows {

// Median loss of random settings: what a row's regret is measured in.
inline double ordinary_loss(const TuningProblem& p, Rng rng) {
  std::vector<double> losses;
  for (int i = 0; i < 1001; ++i) {
    losses.push_back(p.truth(solver::random_point(p.study.space, rng)).loss);
  }
  std::nth_element(losses.begin(), losses.begin() + 500, losses.end());
  return losses[500];
}

inline Space box(std::size_t dims, const std::vector<double>& low,
                 const std::vector<double>& high) {
  std::vector<Parameter> parameters;
  for (std::size_t i = 0; i < dims; ++i) {
    parameters.push_back({.name = "x" + std::to_string(i), .min = low[i], .max = high[i]});
  }
  return Space(parameters);
}

// f moved so that its optimum `at` lies uniformly inside the middle 80 % of the box.
inline std::function<double(const Config&)> moved(Function f, const std::vector<double>& low,
                                                  const std::vector<double>& high,
                                                  const std::vector<double>& at, Rng& rng) {
  std::vector<double> shift;
  for (std::size_t i = 0; i < low.size(); ++i) {
    shift.push_back(at[i] - (low[i] + (high[i] - low[i]) * rng.uniform(0.1, 0.9)));
  }
  return [f, shift](const Config& x) {
    std::vector<double> y(x);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += shift[i];
    return f(y);
  };
}

inline void finish(TuningProblem& p, std::function<double(const Config&)> f, double noise,
                   Rng rng) {
  p.truth = [f](const Config& x) { return Truth{.loss = f(x)}; };
  p.measure = [f, noise](const Config& x, Rng& r) {
    const double e = noise > 0 ? noise * r.normal() : 0;
    return solver::Trial{.params = x, .value = f(x) + e};
  };
  p.ordinary = ordinary_loss(p, rng.stream("ordinary"));
}

inline bool classic(TuningProblem& p, Rng& rng) {
  struct Special {
    std::string_view name;
    std::vector<double> low, high, at;
    Function function;
  };
  const std::vector<Special> specials = {
      {"Branin-2D", {-5, 0}, {10, 15}, {std::numbers::pi, 2.275}, branin},
      {"Hartmann6", std::vector<double>(6, 0.0), std::vector<double>(6, 1.0),
       {.20169, .150011, .476874, .275332, .311652, .6573}, hartmann6},
      {"Beale-2D", {-4.5, -4.5}, {4.5, 4.5}, {3, 0.5}, beale},
      {"Booth-2D", {-10, -10}, {10, 10}, {1, 3}, booth},
  };
  for (const Special& s : specials) {
    if (p.name != s.name) continue;
    p.study.space = box(s.low.size(), s.low, s.high);
    finish(p, moved(s.function, s.low, s.high, s.at, rng), 0, rng);
    return true;
  }
  for (const Row& r : kFunctionRows) {
    if (p.name != r.name) continue;
    const std::vector<double> low(r.dims, r.low);
    const std::vector<double> high(r.dims, r.high);
    p.study.space = box(r.dims, low, high);
    finish(p, moved(r.function, low, high, std::vector<double>(r.dims, r.at), rng), r.noise, rng);
    return true;
  }
  return false;
}

inline void schwefel_row(TuningProblem& p, Rng& rng) {
  p.study.space = box(2, {-500, -500}, {500, 500});
  const double a = rng.uniform() < 0.5 ? -1 : 1;
  const double b = rng.uniform() < 0.5 ? -1 : 1;
  finish(p, [a, b](const Config& x) { return schwefel({a * x[0], b * x[1]}); }, 0, rng);
}

// Rosenbrock whose steep term is scaled by a new uniform number at every measurement.
inline void stochastic_rosenbrock_row(TuningProblem& p, Rng& rng) {
  p.study.space = box(2, {-5, -5}, {10, 10});
  const double a = rng.uniform(-3.5, 8.5) - 1;
  const double b = rng.uniform(-3.5, 8.5) - 1;
  const auto f = [a, b](const Config& x, double e) {
    const double u = x[0] - a;
    const double v = x[1] - b;
    return 100 * e * std::pow(v - u * u, 2) + std::pow(1 - u, 2);
  };
  finish(p, [f](const Config& x) { return f(x, 0.5); }, 0, rng);
  p.measure = [f](const Config& x, Rng& r) {
    return solver::Trial{.params = x, .value = f(x, r.uniform())};
  };
}

inline void integer_ackley_row(TuningProblem& p, Rng& rng) {
  std::vector<Parameter> parameters;
  std::vector<double> at;
  for (int i = 0; i < 5; ++i) {
    parameters.push_back(
        {.name = "k" + std::to_string(i), .type = ParamType::kInt, .min = -10, .max = 10});
    at.push_back(rng.uniform(-8, 8));
  }
  p.study.space = Space(parameters);
  finish(p, [at](const Config& x) {
    std::vector<double> y(x);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] -= at[i];
    return ackley(y);
  }, 0, rng);
}

inline void log_sphere_row(TuningProblem& p, Rng& rng) {
  std::vector<Parameter> parameters;
  std::vector<double> at;
  for (int i = 0; i < 4; ++i) {
    parameters.push_back(
        {.name = "x" + std::to_string(i), .scale = Scale::kLog, .min = 1e-5, .max = 1});
    at.push_back(rng.uniform(-4.5, -0.5));
  }
  p.study.space = Space(parameters);
  finish(p, [at](const Config& x) {
    double s = 0;
    for (std::size_t i = 0; i < x.size(); ++i) s += std::pow(std::log10(x[i]) - at[i], 2);
    return s;
  }, 0, rng);
}

inline void mixed_row(TuningProblem& p, Rng& rng) {
  p.study.space = Space({{.name = "a", .min = -5, .max = 5},
                         {.name = "b", .min = -5, .max = 5},
                         {.name = "rate", .scale = Scale::kLog, .min = 1e-4, .max = 1},
                         {.name = "k", .type = ParamType::kInt, .min = 1, .max = 20},
                         {.name = "way",
                          .type = ParamType::kCategorical,
                          .choices = {"p", "q", "r", "s"}}});
  const std::vector<double> at = {rng.uniform(-4, 4), rng.uniform(-4, 4), rng.uniform(-3.6, -0.4),
                                  std::round(rng.uniform(3, 18))};
  const auto best = static_cast<double>(rng.below(4));
  finish(p, [at, best](const Config& x) {
    const double tilt = x[4] == best ? 0 : 1 + 0.5 * std::abs(x[4] - best);
    return std::pow(x[0] - at[0], 2) + std::pow(x[1] - at[1], 2) * (1 + 0.2 * tilt) +
           4 * std::pow(std::log10(x[2]) - at[2], 2) + 0.1 * std::pow(x[3] - at[3], 2) + 3 * tilt;
  }, 0, rng);
}

// Half of the knobs act only in one of two modes; the measurement is noisy.
inline void conditional_row(TuningProblem& p, Rng& rng) {
  p.study.space = Space({{.name = "fast", .type = ParamType::kBool},
                         {.name = "a", .min = 0, .max = 1},
                         {.name = "b", .min = 0, .max = 1},
                         {.name = "c", .min = 0, .max = 1},
                         {.name = "d", .min = 0, .max = 1}});
  std::vector<double> at;
  for (int i = 0; i < 4; ++i) at.push_back(rng.uniform(0.1, 0.9));
  const double better = rng.uniform() < 0.5 ? 0 : 1;
  finish(p, [at, better](const Config& x) {
    const double own = x[0] == 1 ? std::pow(x[2] - at[1], 2) + std::pow(x[3] - at[2], 2)
                                 : 2 * std::pow(x[4] - at[3], 2);
    return std::pow(x[1] - at[0], 2) + own + (x[0] == better ? 0 : 0.3);
  }, 0.02, rng);
}

}  // namespace rows

inline TuningProblem function_row(const std::string& name, std::uint64_t seed) {
  TuningProblem p{.name = name};
  p.study.budget = 100;
  p.study.maximize_value = false;
  Rng rng = Rng(seed).stream("function_row").stream(name);
  if (rows::classic(p, rng)) return p;
  if (name == "Schwefel-2D") rows::schwefel_row(p, rng);
  if (name == "StochRosen-2D") rows::stochastic_rosenbrock_row(p, rng);
  if (name == "IntAckley-5D") rows::integer_ackley_row(p, rng);
  if (name == "LogSphere-4D") rows::log_sphere_row(p, rng);
  if (name == "Mixed-5") rows::mixed_row(p, rng);
  if (name == "Conditional-5") rows::conditional_row(p, rng);
  return p;
}

}  // namespace arqon::testing
