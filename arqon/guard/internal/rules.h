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

struct Rule {
  double max_delta = 0;  // as configured, for reports
  double delta_limit =
      0;               // max_delta plus room for rounding: 1e-9 of it and four ulps of the range
  double step = 0;     // 0 = continuous
  double inverse = 0;  // 1 / step
  double origin = 0;   // of the grid
  double top = 0;      // domain's maximum, on the grid by definition
  double period = 0;   // kCircle
  std::uint16_t slot = 0;
  std::uint16_t slots = 1;
  Distance distance = Distance::kLine;
  bool forbidden = false;
};

struct Rules {
  std::size_t params = 0;
  std::size_t slots = 0;
  std::array<Rule, kSlotsMax> rules{};
  std::array<double, kSlotsMax> min{};              // per slot
  std::array<double, kSlotsMax> max{};              // per slot
  std::array<std::uint16_t, kSlotsMax> param_of{};  // per slot
};

// kInvalidConfig, naming the knob, when the guardrails do not fit the space.
Result<Rules> make_rules(const Space& space, const Guardrails& guardrails);

}  // namespace arqon::guard::internal
