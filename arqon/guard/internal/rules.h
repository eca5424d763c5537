// Space and guardrails boiled down to what the hot path reads: fixed arrays, no strings.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arqon/base/result.h"
#include "arqon/guard/config_cell.h"
#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::guard::internal {

// How the distance of two values of one parameter is measured.
enum class Distance : std::uint8_t {
  kLine,      // absolute difference
  kCircle,    // the shorter way round
  kCategory,  // 1 when different
  kSimplex,   // total variation
};

// One parameter.
struct Rule {
  double max_delta = 0;  // as configured, for reports
  double max_rise = 0;   // as configured; max_delta where nothing is said
  // max_delta and max_rise with room for rounding: 1e-9 of it and four ulps of the range.
  double delta_limit = 0;
  double rise_limit = 0;
  double ratio = 0;    // 0 = none
  double step = 0;     // 0 = continuous
  double inverse = 0;  // 1 / step
  double origin = 0;   // of the grid
  double top = 0;      // domain's maximum, on the grid by definition
  double period = 0;   // kCircle
  double travel = 0;   // 0 = none
  double travel_limit = 0;  // with room for rounding
  std::uint64_t dwell_ns = 0;
  std::uint32_t flips = 0;
  std::uint16_t slot = 0;
  std::uint16_t slots = 1;
  Distance distance = Distance::kLine;
  Owner owner = Owner::kAnyone;
  std::int8_t protective = 0;
  bool forbidden = false;
  bool slow_lane = false;  // a reload or a restart: not for the reflex lane
};

constexpr std::size_t kConstraintsMax = 16;
constexpr std::size_t kTermsMax = 8;

struct CompiledConstraint {
  std::array<Constraint::Term, kTermsMax> terms{};
  std::uint32_t size = 0;
  double limit = 0;
  double room = 0;  // for rounding: 1e-9 of the greatest sum that bounds allow
};

// Per slot, side by side, for the sweeps; 16 bytes at a time.
using Lane16 = std::array<double, kSlotsMax>;
using Mask16 = std::array<std::int64_t, kSlotsMax>;
struct Columns {
  alignas(16) Lane16 min{}, max{};
  alignas(16) Lane16 fall{}, rise{};  // reach of one change, a little less than the rule allows
  alignas(16) Lane16 origin{}, step{}, inverse{};
  alignas(16) Mask16 free{};      // all ones where there is no grid
  alignas(16) Lane16 period{};    // infinite but for a periodic knob
  alignas(16) Lane16 cap{};       // of the distance: 1 for a category, 0 for a simplex
  alignas(16) Lane16 travel{};    // limit; infinite where there is none
  alignas(16) Mask16 flips{};     // all ones where flips are limited
};

struct Rules {
  std::size_t params = 0;
  std::size_t slots = 0;
  std::array<Rule, kSlotsMax> rules{};
  std::array<std::uint16_t, kSlotsMax> param_of{};  // per slot
  Columns columns;
  std::array<CompiledConstraint, kConstraintsMax> constraints{};
  std::size_t constraint_count = 0;
  bool simplexes = false;   // any
  bool ratios = false;      // any knob whose reach depends on where it is
  bool owners = false;      // any knob that is somebody's own
  bool history = false;     // any limit on travel, flips or dwell
  std::int64_t window_ns = 0;
  std::int64_t dwell_max_ns = 0;
  std::int64_t cool_down_ns = 0;
  std::uint32_t failures_per_hour = 0;
  BlastRadius blast;
};

// kInvalidConfig, naming the knob, when the guardrails do not fit the space.
Result<Rules> make_rules(const Space& space, const Guardrails& guardrails);

// Largest change of one scalar knob from `from`, up or down, without room for rounding: max_delta
// or max_rise, less where the ratio says so, at least one step of the grid.
double reach_of(const Rule& rule, double from, bool up);

// Distance of two values of a parameter (pointers to its first slot).
double distance(const Rule& rule, const double* from, const double* to) noexcept;

}  // namespace arqon::guard::internal
