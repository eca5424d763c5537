// Constants of models, GPUs and engines that the step-time and memory models are made of. The rows
// are arqon/sim/data/*.csv, each with its source.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string_view>
#include <vector>

#include "arqon/sim/calibration.h"
#include "arqon/sim/fleet.h"

namespace arqon::sim {

// A decoder-only transformer with grouped-query attention, dense or a mixture of experts.
struct ModelData {
  std::string_view name;
  double layers = 0, hidden = 0, query_heads = 0, kv_heads = 0, head_dim = 0;
  double mlp_width = 0;  // of one expert
  double vocabulary = 0;
  double experts = 0, experts_active = 0;  // per layer, and per token of those; 0 = dense
  bool calibrated = false;  // step times were checked against measurements

  double attention_weights() const {
    return (query_heads + 2 * kv_heads) * head_dim * hidden + query_heads * head_dim * hidden;
  }
  double mlp_weights() const { return 3 * hidden * mlp_width; }
  // Weights of one layer's linear operators, over all GPUs: stored, used by one token, and read by
  // a step with `tokens` tokens that choose their experts independently.
  double layer_weights() const {
    return attention_weights() + std::max(experts, 1.0) * mlp_weights();
  }
  double active_weights() const {
    return attention_weights() + (experts > 0 ? experts_active : 1) * mlp_weights();
  }
  double streamed_weights(double tokens) const {
    if (experts <= 0) return layer_weights();
    const double touched = experts * (1 - std::pow(1 - experts_active / experts, tokens));
    return attention_weights() + touched * mlp_weights();
  }
  // Input embedding and output head, kept in bf16 whatever the dtype.
  double embedding_weights() const { return 2 * vocabulary * hidden; }
};

// One accelerator. Rates in bytes or operations per second, times in seconds. Efficiencies are
// fractions of the data-sheet rates. In brackets: the symbol of docs/reference/simulator.md.
struct GpuData {
  std::string_view name;
  double memory_bytes = 0;
  double bandwidth = 0, matmul_rate = 0;                // beta, Phi (bf16)
  double linear_memory = 0, linear_compute = 0;         // e_m, e_c
  double linear_power = 0, launch = 0;                  // p, tk
  double elementwise_launch = 0, elementwise = 0;       // te, e_e
  double decode_launch = 0, decode = 0;                 // td, e_kv
  double prefill_launch = 0, prefill = 0;               // tp, e_p
  std::array<double, 3> reduce_latency{};               // a_t for TP 2, 4, 8
  std::array<double, 3> reduce_bandwidth{};             // B_t for TP 2, 4, 8
  double fp8_speedup = 1;  // matmul rate of fp8 over bf16; 1 = the GPU has no fp8
  double fp8_launch = 0;   // quantising the activations of one linear operator
  // Engine defaults of vLLM 0.3x on this GPU.
  int batch_size = 0, prefill_token_budget = 0;
};

// Total time of the linear operators of a step with `tokens` new tokens.
struct LinearKnot {
  double tokens;
  double ms;
};

// What an engine does beside the GPU's work: defaults that hold without fitting.
struct EngineData {
  std::string_view name;
  Calibration calibration;                   // host and front end
  double overlap_async = 0, overlap_sync = 0;  // omega by scheduling mode
};

std::span<const ModelData> known_models();
std::span<const GpuData> known_gpus();
// Null when unknown.
const ModelData* find_model(std::string_view name);
const GpuData* find_gpu(std::string_view name);
const EngineData* find_engine(std::string_view scheduler);
// Described in the pool or known by name; null when neither.
const ModelData* model_of(const PoolSpec& pool);
const GpuData* gpu_of(const PoolSpec& pool);

// T_lin. Measured knots where a table exists, else the closed form sampled on a grid dense enough
// for linear interpolation; a calibration scales both, the measured ones by what it does to the
// closed form there. A GPU with the H100's chip and another memory takes the H100's knots, scaled
// in the same way. Rising in tokens. `tp` in {1, 2, 4, 8}; dtype "bf16" or "fp8".
std::vector<LinearKnot> linear_knots(const ModelData& model, const GpuData& gpu, int tp,
                                     std::string_view dtype,
                                     const Calibration& calibration = {});

}  // namespace arqon::sim
