// The scalars of a calibration, as a pool and as the calibration document write them.
#pragma once

#include <filesystem>

#include "arqon/documents/internal/reader.h"
#include "arqon/sim/calibration.h"
#include "arqon/sim/fleet.h"

namespace arqon::documents::internal {

// {"host_ms": 1.2, ...} into `out`; what is left out stays.
void read_scalars(const Node& node, sim::Calibration& out);
// Those that differ from the defaults; empty when none does.
wire::Object scalars_object(const sim::Calibration& calibration);

// "calibration" of a pool: scalars, or the name of a calibration document, relative to `folder`. A
// document's number of KV blocks and block size hold where the pool's engine names none.
void read_pool_calibration(const Node& node, const std::filesystem::path& folder,
                           sim::PoolSpec& pool);

}  // namespace arqon::documents::internal
