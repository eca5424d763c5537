// Serving surfaces with limits, two to eight knobs: latency rises and cost falls towards the same
// corners, the cheapest settings lie next to the cliff, part of the box crashes, and the p99 is
// measured with noise. Closed forms; every seed draws a new surface.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/sampling.h"
#include "arqon/testing/tuning_problem.h"

namespace arqon::testing {

// How the caller tells that the SLA broke: -1000, cost plus what the excess costs, or both metrics.
enum class Channel { kCliff, kGraded, kMetrics };

struct LimitedRow {
  std::string_view name;
  std::size_t knobs;
  Channel channel;
  double noise;          // sigma of ln p99 from one measurement to the next
  bool default_allowed;
};

inline constexpr LimitedRow kLimitedRows[] = {
    {"cliff-2", 2, Channel::kCliff, 0.05, true},
    {"metrics-2", 2, Channel::kMetrics, 0.10, false},
    {"graded-3", 3, Channel::kGraded, 0.05, true},
    {"cliff-4", 4, Channel::kCliff, 0.03, false},
    {"metrics-4", 4, Channel::kMetrics, 0.20, true},
    {"graded-5", 5, Channel::kGraded, 0.05, false},
    {"metrics-6", 6, Channel::kMetrics, 0.05, true},
    {"cliff-6", 6, Channel::kCliff, 0.10, false},
    {"metrics-8", 8, Channel::kMetrics, 0.10, false},
    {"cliff-8", 8, Channel::kCliff, 0.05, true},
};

class LimitedSurface {
 public:
  LimitedSurface(const LimitedRow& row, std::uint64_t seed)
      : LimitedSurface(row, Rng(seed).stream("limited_row").stream(row.name)) {}

  const Space& space() const { return space_; }
  double log_p99(const Config& x) const { return form(latency_, units(x)) - log_sla_; }
  double cost(const Config& x) const { return 0.4 * std::exp(form(cost_, units(x)) - log_best_); }
  bool crashes(const Config& x) const { return memory(units(x)) > crash_above_; }
  double noise() const { return noise_; }
  double infeasible_share() const { return infeasible_; }

 private:
  struct Form {
    double level = 0;
    std::vector<double> slope, bend;
    std::vector<double> cross;      // knob i with knob i + 1
    std::vector<double> by_choice;  // of the category
  };

  LimitedSurface(const LimitedRow& row, Rng rng) : noise_(row.noise), space_(knobs(row.knobs)) {
    draw_forms(rng);
    calibrate(rng);
    set_default(row.default_allowed, rng);
  }

  // The first knobs are numbers; from four on they are mixed and, from six on, one acts only while
  // another is on.
  static std::vector<Parameter> knobs(std::size_t count) {
    std::vector<Parameter> all = {
        {.name = "batch", .type = ParamType::kInt, .scale = Scale::kLog, .min = 1, .max = 256},
        {.name = "wait_ms", .min = 0, .max = 200},
        {.name = "tokens",
         .type = ParamType::kInt,
         .scale = Scale::kLog,
         .min = 256,
         .max = 16384},
        {.name = "policy", .type = ParamType::kCategorical, .choices = {"fcfs", "sjf", "edf"}},
        {.name = "memory", .min = 0.5, .max = 0.95},
        {.name = "speculate", .type = ParamType::kBool},
        {.name = "draft", .type = ParamType::kInt, .min = 1, .max = 8},
        {.name = "share", .min = 0, .max = 1},
    };
    all.resize(count);
    return all;
  }

  std::vector<double> units(const Config& x) const {
    std::vector<double> u = space_.encode(x);
    if (u.size() > 6 && u[5] < 0.5) u[6] = 0;  // the draft's length matters while it is on
    return u;
  }

  static double form(const Form& f, const std::vector<double>& u) {
    double s = f.level;
    for (std::size_t i = 0; i < u.size(); ++i) {
      if (i == 3) {
        s += f.by_choice[static_cast<std::size_t>(std::round(2 * u[i]))];
        continue;
      }
      s += f.slope[i] * u[i] + f.bend[i] * u[i] * u[i];
      if (i + 1 < u.size() && i + 1 != 3) s += f.cross[i] * u[i] * u[i + 1];
    }
    return s;
  }
  static double memory(const std::vector<double>& u) {
    double s = u[0];
    if (u.size() > 2) s += u[2];
    if (u.size() > 4) s += u[4];
    return s + 0.3 * u[1];
  }

  void draw_forms(Rng& rng) {
    const std::size_t n = space_.size();
    for (std::size_t i = 0; i < n; ++i) {
      const double weight = i < 3 ? 1 : 0.5;
      latency_.slope.push_back(weight * rng.uniform(0.5, 2.5));
      latency_.bend.push_back(weight * rng.uniform(-0.3, 0.8));
      latency_.cross.push_back(weight * rng.uniform(-0.3, 0.6));
    }
    for (int c = 0; c < 3; ++c) latency_.by_choice.push_back(rng.uniform(0, 0.6));
    // Cost: what latency buys, and for each knob a value that is best by itself.
    const double gain = rng.uniform(0.7, 1.2);
    cost_ = latency_;
    for (auto* part : {&cost_.slope, &cost_.bend, &cost_.cross, &cost_.by_choice}) {
      for (double& v : *part) v *= -gain;
    }
    for (std::size_t i = 0; i < n; ++i) {
      const double tilt = rng.uniform(0.4, 2.0);
      const double at = rng.uniform(0.1, 0.9);
      cost_.bend[i] += tilt;
      cost_.slope[i] -= 2 * tilt * at;
    }
    for (double& v : cost_.by_choice) v += rng.uniform(0, 0.3);
  }

  // SLA so that 40-70 % of the box is forbidden, 5 % of it by crashing; cost 0.4 at the best.
  void calibrate(Rng& rng) {
    constexpr std::size_t kPoints = 4000;
    std::vector<Config> points;
    std::vector<double> memories;
    for (std::size_t i = 0; i < kPoints; ++i) {
      points.push_back(solver::random_point(space_, rng));
      memories.push_back(memory(units(points.back())));
    }
    std::vector<double> sorted = memories;
    std::sort(sorted.begin(), sorted.end());
    crash_above_ = sorted[static_cast<std::size_t>(0.95 * kPoints)];
    std::vector<double> latencies;
    for (const Config& x : points) {
      if (!crashes(x)) latencies.push_back(form(latency_, units(x)));
    }
    std::sort(latencies.begin(), latencies.end());
    infeasible_ = rng.uniform(0.4, 0.7);
    const auto allowed = static_cast<std::size_t>((1 - infeasible_) * kPoints);
    log_sla_ = latencies[std::min(allowed, latencies.size() - 1)];
    find_best(points, rng);
  }

  // Dense random search, then shrinking steps around the best found.
  void find_best(const std::vector<Config>& points, Rng& rng) {
    const solver::Encoding encoding(space_);
    log_best_ = 1e300;
    Config best;
    const auto consider = [&](const Config& x) {
      if (crashes(x) || log_p99(x) > 0) return;
      const double c = form(cost_, units(x));
      if (c < log_best_) {
        log_best_ = c;
        best = x;
      }
    };
    for (const Config& x : points) consider(x);
    for (double width = 0.3; width > 1e-4; width *= 0.8) {
      for (int k = 0; k < 400; ++k) {
        solver::Point at = encoding.encode(space_, best);
        for (std::size_t i = 0; i < at.size(); ++i) {
          if (encoding[i].geometry == solver::Geometry::kCategory) {
            const auto choices = static_cast<double>(encoding[i].choices);
            const double choice = std::floor(rng.uniform() * choices);
            if (rng.uniform() < 0.2) at[i] = choice;
          } else if (rng.uniform() < 0.6) {
            at[i] += width * rng.normal();
          }
        }
        consider(encoding.decode(space_, at));
      }
    }
  }

  void set_default(bool allowed, Rng& rng) {
    for (;;) {
      const Config x = solver::random_point(space_, rng);
      if (crashes(x) || (log_p99(x) <= 0) != allowed) continue;
      std::vector<Parameter> parameters = space_.parameters();
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        parameters[i].default_value = std::vector<double>{x[i]};
      }
      space_ = Space(std::move(parameters));
      return;
    }
  }

  double noise_;
  Space space_;
  Form latency_, cost_;
  double log_sla_ = 0, log_best_ = 0, crash_above_ = 0, infeasible_ = 0;
};

inline TuningProblem limited_row(const LimitedRow& row, std::uint64_t seed) {
  TuningProblem p{.name = std::string(row.name)};
  const LimitedSurface surface(row, seed);
  p.study.space = surface.space();
  p.study.budget = 100;
  if (row.channel == Channel::kMetrics) {
    p.study.objective = solver::Objective{.metric = "cost", .minimize = true};
    p.study.constraints = {{.metric = "p99_ms", .max = 200}};
  }
  p.best = 0.4;
  p.truth = [surface](const Config& x) {
    return Truth{.loss = surface.cost(x), .excess = surface.log_p99(x),
                 .crashed = surface.crashes(x)};
  };
  p.measure = [surface, channel = row.channel](const Config& x, Rng& rng) {
    solver::Trial trial{.params = x};
    const double ratio = std::exp(surface.log_p99(x) + surface.noise() * rng.normal());
    if (surface.crashes(x)) {
      trial.outcome = solver::Outcome::kCrashed;
    } else if (channel == Channel::kMetrics) {
      trial.metrics["cost"] = {.value = surface.cost(x)};
      trial.metrics["p99_ms"] = {.value = 200 * ratio};
    } else if (channel == Channel::kCliff) {
      trial.value = ratio > 1 ? -1000 : -surface.cost(x);
    } else {
      trial.value = -surface.cost(x) - 4 * std::max(0.0, ratio - 1);
    }
    return trial;
  };
  return p;
}

}  // namespace arqon::testing
