#include "arqon/guard/presets.h"

#include <algorithm>

namespace arqon::guard {
namespace {

// Shares of a knob's range, and times.
struct Shares {
  double delta, rise, travel;
  std::uint32_t flips;
  double dwell_s, window_s, rate, cool_down_s;
  std::uint32_t failures_per_hour;
  double blast_share;
};

constexpr Shares kConservative{0.05, 0.025, 0.25, 2, 60, 600, 0.1, 300, 3, 0.05};
constexpr Shares kBalanced{0.1, 0.1, 0.5, 3, 10, 60, 1, 60, 6, 0.05};
constexpr Shares kAggressive{0.25, 0.25, 2, 6, 0, 60, 2, 10, 20, 0.25};

const Shares& shares_of(Preset preset) {
  switch (preset) {
    case Preset::kConservative:
      return kConservative;
    case Preset::kBalanced:
      return kBalanced;
    case Preset::kAggressive:
      return kAggressive;
  }
  return kConservative;
}

Limits limits_of(const Parameter& p, const Shares& shares) {
  Limits out{.min = p.min, .max = p.max};
  out.flips = shares.flips;
  out.dwell_s = shares.dwell_s;
  if (p.type == ParamType::kCategorical || p.type == ParamType::kBool) {
    out.max_delta = std::max(1.0, p.max - p.min);
    return out;
  }
  const double range = p.max - p.min, step = p.grid_step();
  out.max_delta = std::max(shares.delta * range, step);
  const bool line = p.type != ParamType::kSimplex && p.scale != Scale::kPeriodic;
  if (line && shares.rise < shares.delta) out.max_rise = std::max(shares.rise * range, step);
  // Room for two changes at least, or a knob of few steps could go and never come back.
  out.travel = std::max(shares.travel * range, 2 * out.max_delta);
  return out;
}

}  // namespace

Guardrails make_preset(Preset preset, const Space& space) {
  const Shares& shares = shares_of(preset);
  Guardrails out{.limits = {},
                 .max_updates_per_second = shares.rate,
                 .reflex_updates_per_second = 1,
                 .window_s = shares.window_s,
                 .constraints = {},
                 .cool_down_s = shares.cool_down_s,
                 .failures_per_hour = shares.failures_per_hour,
                 .blast = {.share = shares.blast_share, .domains = 1, .spare = 0}};
  for (const Parameter& p : space.parameters()) out.limits.push_back(limits_of(p, shares));
  return out;
}

}  // namespace arqon::guard
