// One knob, one class and a valley: what the loop's tests run on.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "arqon/control/loop.h"
#include "arqon/testing/fake_engine.h"

namespace arqon::control {

inline std::vector<Parameter> one_knob() {
  return {{.name = "main.prefill_token_budget",
           .type = ParamType::kInt,
           .scale = Scale::kLog,
           .min = 256,
           .max = 8192,
           .step = 64,
           .default_value = Config{8192}}};
}

inline std::vector<testing::FakeClass> one_class() {
  return {{.slo = {.name = "code", .attainment = 0.99}}};
}

inline LoopOptions options(double max_delta) {
  LoopOptions o;
  o.guardrails = {.limits = {{256, 8192, max_delta}},
                  .max_updates_per_second = 0.2,
                  .reflex_updates_per_second = 0.2};
  Protective down{};
  down[static_cast<std::size_t>(serving::Limit::kGap)] = -1;
  o.protective = {down};
  return o;
}

// Bad share falls to 0.3 % at a budget of 1,024 and rises steeply on either side.
inline double valley(const Config& c, std::size_t, double) {
  const double octaves = std::log2(c[0] / 1024);
  return std::min(0.9, 0.003 + 0.02 * octaves * octaves);
}

inline std::size_t count(const RunRecord& record, const std::string& action) {
  std::size_t n = 0;
  for (const DecisionRecord& d : record.decisions) n += d.action == action ? 1u : 0u;
  return n;
}

}  // namespace arqon::control
