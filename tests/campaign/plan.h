// What goes wrong in one seed of the campaign, and when.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/campaign/world.h"

namespace arqon::campaign {

enum class Kind : std::uint8_t {
  kTunerKilled, kAgentKilled, kPowerLost, kPowerAndEngineLost, kDiskFull, kDiskRefuses, kSyncFails,
  kAgentDiskRefuses, kEngineRestarts, kEngineDown, kEngineRefuses, kEngineClamps, kForeignHand,
  kMetricsStale, kNetDown, kAnswersLost, kFrozen, kPaused, kRollback, kSuspended, kWallJumps
};
inline constexpr std::size_t kKinds = 21;
std::string_view to_string(Kind kind);

struct Fault {
  Kind kind = Kind::kTunerKilled;
  double from_s = 0, to_s = 0;
  double value = 0;  // a foreign hand's, a jump's
};

struct Plan {
  WorldOptions options;
  double seconds = 0;
  std::vector<Fault> faults;
};

// The plan of a seed without the kinds in `without`; what is left is the same as with them.
Plan plan_of(std::uint64_t seed, const std::set<Kind>& without = {});

struct Outcome {
  std::vector<Breach> breaches;
  std::uint64_t confirms = 0, reverts = 0, writes = 0, runs = 0, ticks = 0;
  std::string head;  // of the audit chain
};
// Runs a plan to its end, and the world until it is quiet.
Outcome run(const Plan& plan);

}  // namespace arqon::campaign
