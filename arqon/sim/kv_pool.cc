#include "arqon/sim/kv_pool.h"

#include <algorithm>
#include <cmath>

namespace arqon::sim {

double weight_bytes_per_gpu(const ModelData& m, int tp, std::string_view dtype) {
  const double weight_bytes = dtype == "fp8" ? 1 : 2;
  return (m.layers * m.layer_weights() * weight_bytes + 2 * m.embedding_weights()) / tp;
}

std::int64_t kv_blocks(const ModelData& m, const GpuData& gpu, const KvMemoryOptions& options) {
  const double weights = weight_bytes_per_gpu(m, options.tp, options.dtype);
  const double heads = std::max(m.kv_heads / options.tp, 1.0);
  const double block_bytes =
      2 * m.layers * heads * m.head_dim * 2 * static_cast<double>(options.block_size);
  const double left = options.gpu_memory_utilization * gpu.memory_bytes - weights -
                      options.other_memory_gb * 1e9;
  return left <= 0 ? 0 : static_cast<std::int64_t>(std::floor(left / block_bytes));
}

double kv_bytes_per_token(const ModelData& m) { return 2 * m.layers * m.kv_heads * m.head_dim * 2; }

}  // namespace arqon::sim
