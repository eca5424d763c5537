// One knob of every kind and guardrails that fit, for tests.
#pragma once

#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::guard::testing {

// Slots: 0 batch (int), 1 wait (float), 2 angle (periodic), 3 policy (category), 4-6 weights,
// 7 model (forbidden).
inline Space make_space() {
  return Space({
      {.name = "batch",
       .type = ParamType::kInt,
       .min = 8,
       .max = 64,
       .step = 8,
       .unit = "requests"},
      {.name = "wait", .min = 0, .max = 10},
      {.name = "angle", .scale = Scale::kPeriodic, .min = 0, .max = 360},
      {.name = "policy", .type = ParamType::kCategorical, .choices = {"a", "b", "c"}},
      {.name = "weights", .type = ParamType::kSimplex, .choices = {"x", "y", "z"}},
      {.name = "model",
       .type = ParamType::kInt,
       .min = 0,
       .max = 3,
       .change_class = ChangeClass::kForbidden},
  });
}

inline Guardrails make_guardrails() {
  return {.limits = {{8, 56, 16}, {0, 10, 2}, {0, 360, 30}, {0, 2, 1}, {0, 0.8, 0.2}, {0, 3, 1}},
          .max_updates_per_second = 1,
          .reflex_updates_per_second = 4};
}

}  // namespace arqon::guard::testing
