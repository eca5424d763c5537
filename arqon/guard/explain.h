// What a set of guardrails permits, in words, for `validate` and `explain`. Allocates.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::guard {

// One line per lane (changes per minute and hour), then one per knob: its range, the largest step,
// and how many changes and how much time the way across the range takes at the least. Guardrails
// must fit the space (SafetyExecutor::create accepts them).
std::vector<std::string> explain(const Space& space, const Guardrails& guardrails);

// Least number of changes from one end of the permitted range to the other; half the way round for
// a periodic knob that may take its whole circle.
std::uint64_t changes_across(const Parameter& parameter, const Limits& limits);

}  // namespace arqon::guard
