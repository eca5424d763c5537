// What a change may be: the limits the safety executor enforces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/time.h"

namespace arqon::guard {

// Who proposes, and who alone may move a knob (kAnyone: no matter; a human may move every knob that
// moves at all).
enum class Owner : std::uint8_t { kAnyone, kSolver, kReflex, kPlanner, kHuman };
std::string_view to_string(Owner owner);  // "anyone", "solver", ...

// One entry per parameter, in the order of the Space. A simplex has one entry, measured in total
// variation (half the sum of absolute differences). Where 0 is said to mean no limit, it does.
struct Limits {
  double min = 0;
  double max = 1;
  double max_delta = 0.1;  // native units, > 0; the largest step of one change
  // Factor of one change, up or down: above 1, or 0 = no limit. Needs min > 0. One step of the grid
  // is always allowed. Both hold: the smaller of max_delta and the ratio.
  double max_ratio = 0;
  double max_rise = 0;   // largest step upwards where it is less than max_delta; 0 = max_delta
  double travel = 0;     // sum of all changes within any window, reverts excepted; 0 = no limit
  std::uint32_t flips = 0;  // changes of direction within any window; 0 = no limit
  double dwell_s = 0;    // least time between two changes, the steps of one glide excepted
  std::int8_t protective = 0;  // direction in which a reflex move may jump: +1 up, -1 down, 0 none
  Owner owner = Owner::kAnyone;
};

// What is known to be needed: the sum of the terms must be at most `limit`. A term is
// weight * value[slot], or weight * value[slot] * value[times].
struct Constraint {
  static constexpr std::uint16_t kOne = 0xffff;
  struct Term {
    double weight = 1;
    std::uint16_t slot = 0;
    std::uint16_t times = kOne;
  };
  std::vector<Term> terms;  // 1 to 8
  double limit = 0;
  std::string text;  // as it was written, for people
};

// How far unproven settings may reach; see SafetyExecutor::check_reach.
struct BlastRadius {
  double share = 0;           // of a cohort's replicas, at least one replica; 0 = no limit
  std::uint32_t domains = 0;  // failure domains; 0 = no limit
  std::uint32_t spare = 0;    // replicas that must be left over when all canaries are lost
};

struct Guardrails {
  std::vector<Limits> limits;
  double max_updates_per_second = 1;     // experiment lane; > 0
  double reflex_updates_per_second = 1;  // reflex lane's own bucket; > 0
  // Length of the sliding window of travel and flips; > 0. Both are remembered up to a fifteenth
  // longer than asked for, never shorter.
  double window_s = 60;
  std::vector<Constraint> constraints;  // at most 16
  // After an experiment that failed the experiment lane is closed for this long, twice as long with
  // every further one within an hour, an hour at most; 0 = not closed.
  double cool_down_s = 0;
  std::uint32_t failures_per_hour = 0;  // the one that reaches it freezes; at most 64; 0 = no limit
  BlastRadius blast;
};

// The sets people ask for by name.
enum class Preset : std::uint8_t { kConservative, kBalanced, kAggressive };

}  // namespace arqon::guard
