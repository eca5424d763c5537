// The loop of the inference-serving page, in C++: ask_one, apply, measure a window, seed a reward.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "arqon/base/assert.h"
#include "arqon/solver/solver.h"
#include "arqon/testing/serving_surface.h"

namespace arqon::testing {

struct OnlineLoopResult {
  double violation = 0;        // mean true P(violation) over the last fifth
  double cost_ratio = 0;       // median true cost over the last fifth / cheapest allowed
  double violation_early = 0;  // mean true P(violation) over the first four fifths
  std::vector<Config> asked;

  bool passes() const { return violation <= kViolationAllowed && cost_ratio <= 1.05; }
};

inline OnlineLoopResult run_online_loop(const ServingSurface& surface, std::uint64_t seed,
                                        std::size_t windows = 300,
                                        const std::string& strategy = "tpe") {
  solver::StudyConfig config{
      .space = Space({{.name = "batch_size", .scale = Scale::kLog, .min = 1, .max = kBatchMax},
                      {.name = "max_wait_ms", .min = kWaitMin_ms, .max = kWaitMax_ms}}),
      .seed = seed,
      .budget = 10000,
      .strategy = strategy};
  auto solver = solver::Solver::create(config);
  ARQON_ASSERT(solver.has_value());
  Rng noise = Rng(seed).stream("p99_noise");
  OnlineLoopResult out;
  std::vector<double> costs;
  for (std::size_t i = 0; i < windows; ++i) {
    const auto candidate = solver->ask_one();
    ARQON_ASSERT(candidate.has_value());
    const double batch = (*candidate)[0];
    const double wait = (*candidate)[1];
    const double p99 = surface.p99_ms(batch, wait) * std::exp(kP99Noise * noise.normal());
    const double reward = p99 > surface.sla_ms() ? -1000 : -surface.cost(batch, wait);
    if (i >= windows - windows / 5) {
      out.violation += surface.violation(batch, wait);
      costs.push_back(surface.cost(batch, wait));
    } else {
      out.violation_early += surface.violation(batch, wait);
    }
    out.asked.push_back(*candidate);
    const auto told = solver->seed({{.params = *candidate, .value = reward, .cost = 60}});
    ARQON_ASSERT(told.has_value());
  }
  out.violation /= static_cast<double>(costs.size());
  out.violation_early /= static_cast<double>(windows - costs.size());
  std::sort(costs.begin(), costs.end());
  const double median = (costs[(costs.size() - 1) / 2] + costs[costs.size() / 2]) / 2;
  out.cost_ratio = median / surface.cheapest();
  return out;
}

}  // namespace arqon::testing
