// What a twin is made of, checked before it is built.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "arqon/base/result.h"
#include "arqon/sim/fleet.h"
#include "arqon/workload/request.h"

namespace arqon::sim {

// What is wrong with a pool's memory, in words: weights that do not fit, or leave nothing to the KV
// cache. Empty when nothing is. Model, gpu, tp and dtype must be known ones.
std::string memory_fault(const PoolSpec& pool);
// Why `tp` GPUs cannot share `model`: they must divide its heads. Empty when they can.
std::string split_fault(const ModelData& model, int tp);
// kInvalidConfig names the pool or the router, what is wrong and what is known.
Status check_fleet(const FleetSpec& fleet);
// Requests sorted, with tokens, of one of `classes` classes; kInvalidConfig names the first that is
// not.
Status check_trace(const workload::Trace& trace, std::size_t classes);

}  // namespace arqon::sim
