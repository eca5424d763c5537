// How many KV blocks a replica has, and how many a sequence needs.
#pragma once

#include <cstdint>
#include <string_view>

#include "arqon/sim/model_data.h"

namespace arqon::sim {

// The engine's own default.
constexpr double kMemoryUtilization = 0.92;

struct KvMemoryOptions {
  int tp = 1;
  std::string_view dtype = "bf16";
  double gpu_memory_utilization = kMemoryUtilization;
  std::int64_t block_size = 16;  // tokens
  double other_memory_gb = 5;    // neither weights nor KV
};

// Blocks that fit beside the weights and what activations, graphs and communication buffers take;
// 0 when the weights alone do not fit. An engine's own count overrides this whenever it is known.
std::int64_t kv_blocks(const ModelData& model, const GpuData& gpu, const KvMemoryOptions& options);

// Weights that each GPU of a replica holds; embeddings in bf16 whatever the dtype.
double weight_bytes_per_gpu(const ModelData& model, int tp, std::string_view dtype);
// Bytes of KV cache per token over all GPUs of a replica, at two bytes an element.
double kv_bytes_per_token(const ModelData& model);

// Blocks that `tokens` >= 0 tokens take.
constexpr std::int64_t blocks_of(std::int64_t tokens, std::int64_t block_size) {
  return (tokens + block_size - 1) / block_size;
}

}  // namespace arqon::sim
