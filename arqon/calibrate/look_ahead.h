// A minute ahead from the present state, through the twin: what control asks before a risky change,
// and what the trust score compares with what then happened.
//
// The state is not copied out of the engine, it is grown: the twin is fed the recent arrivals and
// so reaches batch, queue and cache of its own; requests that wait in the real queue beyond those
// are added at "now". Deterministic in its arguments.
#pragma once

#include <cstdint>

#include "arqon/base/result.h"
#include "arqon/serving/forecast.h"
#include "arqon/serving/outcome.h"
#include "arqon/sim/fleet.h"
#include "arqon/space/space.h"
#include "arqon/workload/request.h"

namespace arqon::calibrate {

// What serves: the fleet as calibrated, and the setting to look at.
struct Deployment {
  sim::FleetSpec fleet;
  std::vector<serving::Slo> classes;
  Space knobs{{}};
  Config setting;  // empty = the fleet's own
  double draft_ms_base = 0.3, draft_ms_per_k = 0.6;
};

// What came in during the last `seconds`: arrivals in [0, seconds), sorted; "now" is the end.
struct Situation {
  workload::Trace recent;
  double seconds = 60;
  double waiting = -1;  // requests queued now, all replicas; below 0 = not told
};

// Arrivals go on at the recent rate, memoryless, with lengths and classes drawn from the recent
// requests. kInvalidConfig from the twin; also when nothing arrived recently.
Result<serving::Forecast> look_ahead(const Deployment& deployment, const Situation& situation,
                                     double horizon_s, std::uint64_t seed = 0);

// What the twin would have expected of the last `window_s` of the situation, given its arrivals:
// arrivals are causes and are taken as they were; all else is the twin's own. 0 < window_s <=
// seconds.
Result<serving::Forecast> hindcast(const Deployment& deployment, const Situation& situation,
                                   double window_s);

}  // namespace arqon::calibrate
