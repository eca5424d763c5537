// The value of a knob over time, from the changes that were put in force.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "arqon/control/run_record.h"
#include "arqon/report/plot.h"
#include "arqon/space/parameter.h"

namespace arqon::report {

// Which part of the fleet a change speaks of.
enum class Reach : std::uint8_t {
  kOther,    // of another knob
  kFleet,    // "pool.knob", or a knob that the document itself gives to one replica
  kReplica,  // "pool/N.knob" where the knob is "pool.knob": tried on one replica first
};
Reach reach_of(std::string_view address, const Parameter& knob);

// Value in force on the fleet: one point per move, the first at 0. `slot` is the knob's slot in a
// setting (a simplex has several). A run without changes of the knob is told by its windows.
std::vector<Point> fleet_path(const control::RunRecord& record, const Parameter& knob,
                              std::size_t slot);
// One path for each time the knob was tried on one replica: from the first such change to the next
// change of the whole fleet, which ends the trial; the last point is that end.
std::vector<std::vector<Point>> replica_paths(const control::RunRecord& record,
                                              const Parameter& knob);

}  // namespace arqon::report
