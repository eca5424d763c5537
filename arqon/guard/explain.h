// What a set of guardrails permits, in words, for `validate` and `explain`. Allocates.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::guard {

// One line per lane (changes per minute and hour), then one per knob: its range, the largest step,
// how many changes and how much time the way across the range takes at the least, and how far and
// how often it may go in a window; then what failures cost, where unproven settings may be, and the
// constraints. Guardrails
// must fit the space (SafetyExecutor::create accepts them).
std::vector<std::string> explain(const Space& space, const Guardrails& guardrails);

// Least number of changes from one end of the permitted range to the other; half the way round for
// a periodic knob that may take its whole circle.
std::uint64_t changes_across(const Parameter& parameter, const Limits& limits);

// The way from one setting to another in changes as large as the guardrails allow, all knobs moving
// at once: how many, how long at the least, and what holds it up.
struct Journey {
  bool possible = true;
  std::uint64_t changes = 0;  // 0 when `from` is `to`
  double seconds = 0;         // between the first and the last; travel and rate counted
  std::string held_up_by;     // "rate", or the knob and its limit; why not, when impossible
};
// Settings of space.slots() values inside the domains; kInvalidConfig naming the knob otherwise.
Result<Journey> journey(const Space& space, const Guardrails& guardrails,
                        std::span<const double> from, std::span<const double> to);
// "12 changes, 11 s at the least, held up by ..."
std::string describe(const Journey& journey);

}  // namespace arqon::guard
