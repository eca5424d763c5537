// Three sets of guardrails by name.
#pragma once

#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::guard {

// For every knob of the space, in shares of its range (at least one step of the grid):
//                  max_delta  rise   travel          flips  dwell  changes       after a failure
//   conservative   0.05       0.025  0.25 in 10 min  2      60 s   one per 10 s  closed 5 min
//   balanced       0.1        0.1    0.5 in 1 min    3      10 s   one per 1 s   closed 1 min
//   aggressive     0.25       0.25   2 in 1 min      6      none   two per 1 s   closed 10 s
// The 3rd, 6th or 20th failure within an hour freezes. Categories and bools may take any value at
// any change; what limits them is rate, flips and dwell. Blast radius: one replica or 5 %
// (aggressive: a quarter), one failure domain.
Guardrails make_preset(Preset preset, const Space& space);

}  // namespace arqon::guard
