// Constants of models and GPUs that the step-time and memory models are made of.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/sim/calibration.h"
#include "arqon/sim/fleet.h"

namespace arqon::sim {

// A decoder-only transformer with grouped-query attention.
struct ModelData {
  std::string_view name;
  double layers, hidden, query_heads, kv_heads, head_dim, mlp_width, vocabulary;

  // Weights of one layer's linear operators, over all GPUs.
  double layer_weights() const {
    return (query_heads + 2 * kv_heads) * head_dim * hidden + query_heads * head_dim * hidden +
           3 * hidden * mlp_width;
  }
  // Input embedding and output head, kept in bf16 whatever the dtype.
  double embedding_weights() const { return 2 * vocabulary * hidden; }
};

// One accelerator. Rates in bytes or operations per second, times in seconds. Efficiencies are
// fractions of the data-sheet rates, fitted on public kernel tables (Vidur linear layers,
// AIConfigurator attention and collectives).
struct GpuData {
  std::string_view name;
  double memory_bytes;
  double bandwidth, matmul_rate;                               // beta, Phi (bf16)
  double linear_memory, linear_compute, linear_power, launch;  // e_m, e_c, p, tk
  double elementwise_launch, elementwise;                      // te, e_e
  double decode_launch, decode;                                // td, e_kv
  double prefill_launch, prefill;                              // tp, e_p
  std::array<double, 3> reduce_latency;                        // a_t for TP 2, 4, 8
  std::array<double, 3> reduce_bandwidth;                      // B_t for TP 2, 4, 8
  double fp8_speedup;                                          // matmul rate of fp8 over bf16
  double fp8_launch;  // quantising the activations of one linear operator, s; from the fp8 knots
  // Engine defaults of vLLM 0.3x on this GPU.
  int batch_size, prefill_token_budget;
};

// Total time of the linear operators of a step with `tokens` new tokens.
struct LinearKnot {
  double tokens;
  double ms;
};

std::span<const ModelData> known_models();
std::span<const GpuData> known_gpus();
// Null when unknown.
const ModelData* find_model(std::string_view name);
const GpuData* find_gpu(std::string_view name);
// A pool's own, or the known one it names; null when unknown.
const ModelData* model_of(const PoolSpec& pool);
const GpuData* gpu_of(const PoolSpec& pool);

// Measured knots where a table exists, else the closed form sampled on a grid dense enough for
// linear interpolation; a calibration scales both, the measured ones by what it does to the closed
// form there. Rising in tokens. `tp` in {1, 2, 4, 8}; dtype "bf16" or "fp8".
std::vector<LinearKnot> linear_knots(const ModelData& model, const GpuData& gpu, int tp,
                                     std::string_view dtype,
                                     const Calibration& calibration = {});

}  // namespace arqon::sim
