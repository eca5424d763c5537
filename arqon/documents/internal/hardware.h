// "model" and "gpu" of a pool: a known name, or a description of one's own.
#pragma once

#include "arqon/documents/internal/reader.h"
#include "arqon/sim/fleet.h"

namespace arqon::documents::internal {

// Fill pool.model and pool.own_model, or pool.gpu and pool.own_gpu.
void read_model(const Node& node, sim::PoolSpec& pool);
void read_gpu(const Node& node, sim::PoolSpec& pool);
wire::Value model_value(const sim::PoolSpec& pool);
wire::Value gpu_value(const sim::PoolSpec& pool);

}  // namespace arqon::documents::internal
