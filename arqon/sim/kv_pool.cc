#include "arqon/sim/kv_pool.h"

#include <algorithm>
#include <cmath>

namespace arqon::sim {
namespace {
// Set from two KV-starved measured rows (70B fp8 TP2, 8k/1k at concurrency 32 and 64).
constexpr double kOtherBytes = 5.0e9;
}  // namespace

std::int64_t kv_blocks(const ModelData& m, const GpuData& gpu, const KvMemoryOptions& options) {
  const double weight_bytes = options.dtype == "fp8" ? 1 : 2;
  const double weights =
      (m.layers * m.layer_weights() * weight_bytes + 2 * m.embedding_weights()) / options.tp;
  const double heads = std::max(m.kv_heads / options.tp, 1.0);
  const double block_bytes =
      2 * m.layers * heads * m.head_dim * 2 * static_cast<double>(options.block_size);
  const double left = options.gpu_memory_utilization * gpu.memory_bytes - weights - kOtherBytes;
  return left <= 0 ? 0 : static_cast<std::int64_t>(std::floor(left / block_bytes));
}

double kv_bytes_per_token(const ModelData& m) { return 2 * m.layers * m.kv_heads * m.head_dim * 2; }

}  // namespace arqon::sim
