// What a twin is made of, checked before it is built.
#pragma once

#include <cstddef>

#include "arqon/base/result.h"
#include "arqon/sim/fleet.h"
#include "arqon/workload/request.h"

namespace arqon::sim {

// kInvalidConfig names the pool or the router, what is wrong and what is known.
Status check_fleet(const FleetSpec& fleet);
// Requests sorted, with tokens, of one of `classes` classes; kInvalidConfig names the first that is
// not.
Status check_trace(const workload::Trace& trace, std::size_t classes);

}  // namespace arqon::sim
