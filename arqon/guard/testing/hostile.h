// Random spaces and proposals that try to get past a guard. For tests.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/guard/testing/naive_facts.h"

namespace arqon::guard::testing {

inline double hostile(const Knob& k, Rng& rng) {
  const std::array values = {std::nan(""),
                             kInf,
                             -kInf,
                             -0.0,
                             5e-324,
                             -1e-310,
                             1e308,
                             -1e308,
                             std::nextafter(k.limits.max, kInf),
                             std::nextafter(k.limits.min, -kInf),
                             k.p.max,
                             k.p.min,
                             k.p.max + k.p.grid_step(),
                             0.0};
  return values[rng.below(values.size())];
}

inline double on_grid(const Knob& k, double value) {
  const double step = k.p.grid_step();
  if (step <= 0) return std::clamp(value, k.p.min, k.p.max);
  const double from = k.p.type == ParamType::kInt && k.p.step <= 0 ? 0 : k.p.min;
  return std::clamp(from + std::round((value - from) / step) * step, k.p.min, k.p.max) + 0.0;
}

// Moves one value: mostly a sound step, sometimes too far, off the grid, or no value at all.
inline void move_scalar(const Knob& k, double& v, Rng& rng) {
  const double how = rng.uniform();
  const double delta = k.limits.max_delta;
  if (how < 0.45) {
    v = on_grid(k, v + delta * rng.uniform(-1, 1));
  } else if (how < 0.6) {
    v += rng.uniform() < 0.5 ? delta : -delta;
  } else if (how < 0.7) {
    v += delta * rng.uniform(-1, 1);  // off grid, where there is one
  } else if (how < 0.85) {
    v = on_grid(k, rng.uniform(k.p.min, k.p.max));
  } else if (how < 0.9) {
    v = rng.uniform(2 * k.p.min - k.p.max, 2 * k.p.max - k.p.min);
  } else {
    v = hostile(k, rng);
  }
}

// Moves weight between two parts, and now and then makes the sum wrong.
inline void move_simplex(const Knob& k, double* v, Rng& rng) {
  const std::size_t from = rng.below(k.p.slots());
  const std::size_t to = rng.below(k.p.slots());
  const double mass = std::min(v[from], k.limits.max_delta * rng.uniform(0, 1.4));
  v[from] -= mass;
  v[to] += mass;
  if (rng.uniform() < 0.1) v[to] += rng.uniform(-0.2, 0.2);
  if (rng.uniform() < 0.1) v[to] = hostile(k, rng);
}

// The limits that may be left out, each now and then.
inline void draw_pace(Knob& k, Rng& rng) {
  const auto now_and_then = [&] { return rng.uniform() < 0.25; };
  const bool line = (k.p.type == ParamType::kFloat || k.p.type == ParamType::kInt) &&
                    k.p.scale != Scale::kPeriodic;
  const double step = k.p.grid_step();
  if (line && k.limits.min > 0 && now_and_then()) k.limits.max_ratio = rng.uniform(1.05, 3);
  if (line && now_and_then()) {
    k.limits.max_rise = std::max(step, k.limits.max_delta * rng.uniform(0.2, 1));
  }
  if (now_and_then()) k.limits.travel = std::max(step, k.limits.max_delta * rng.uniform(0.5, 8));
  if (now_and_then()) k.limits.flips = static_cast<std::uint32_t>(1 + rng.below(4));
  if (now_and_then()) k.limits.dwell_s = rng.uniform(0, 6);
  if (line && now_and_then()) k.limits.protective = rng.uniform() < 0.5 ? 1 : -1;
  if (rng.uniform() < 0.05) k.limits.owner = static_cast<Owner>(rng.below(5));
}

inline std::pair<Knob, std::vector<double>> draw_bare_knob(Rng& rng, std::size_t index);

// A random knob and a value inside its limits.
inline std::pair<Knob, std::vector<double>> draw_knob(Rng& rng, std::size_t index) {
  auto out = draw_bare_knob(rng, index);
  draw_pace(out.first, rng);
  return out;
}

inline std::pair<Knob, std::vector<double>> draw_bare_knob(Rng& rng, std::size_t index) {
  Knob k;
  k.p.name = "k" + std::to_string(index);
  k.p.type = static_cast<ParamType>(rng.below(5));
  if (rng.uniform() < 0.05) k.p.change_class = ChangeClass::kForbidden;
  if (rng.uniform() < 0.05) k.p.change_class = ChangeClass::kRestart;
  if (k.p.type == ParamType::kCategorical) k.p.choices.resize(2 + rng.below(4));
  if (k.p.type == ParamType::kCategorical) {
    k.p.max = static_cast<double>(k.p.choices.size() - 1);
    k.limits = {0, k.p.max, 1};
    return {k, {static_cast<double>(rng.below(k.p.choices.size()))}};
  }
  if (k.p.type == ParamType::kBool) {
    k.limits = {0, 1, 1};
    return {k, {static_cast<double>(rng.below(2))}};
  }
  if (k.p.type == ParamType::kSimplex) {
    k.p.choices.resize(2 + rng.below(3));
    k.limits = {0, rng.uniform() < 0.5 ? 1 : 0.9, rng.uniform(0.05, 0.5)};
    return {k, std::vector<double>(k.p.slots(), 1.0 / static_cast<double>(k.p.slots()))};
  }
  const std::array lows = {0.0, 1.0, -50.0, 256.0, 0.001};
  const double low = lows[rng.below(k.p.type == ParamType::kInt ? 4 : 5)];
  const bool stepped = k.p.type == ParamType::kInt || rng.uniform() < 0.3;
  const std::array steps = {1.0, 8.0, 0.1, 0.25};
  const double step = steps[rng.below(k.p.type == ParamType::kInt ? 2 : 4)];
  const double points = static_cast<double>(2 + rng.below(200));
  k.p.min = low;
  k.p.max = low + points * step;
  if (rng.uniform() < 0.2) k.p.scale = Scale::kPeriodic;
  if (stepped && !(k.p.type == ParamType::kInt && step == 1.0)) k.p.step = step;
  const double inner = std::min(points, 1 + static_cast<double>(rng.below(200)));
  k.limits.min = k.p.min;
  k.limits.max = std::min(k.p.max, k.p.min + inner * step);
  k.limits.max_delta = step * static_cast<double>(1 + rng.below(20));
  return {k, {k.limits.min + 0.0}};
}

}  // namespace arqon::guard::testing
