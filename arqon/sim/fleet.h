// The simulated fleet as a document describes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arqon/sim/calibration.h"

namespace arqon::sim {

// Engine flags; an absent value means the engine's own default for that GPU.
struct EngineSpec {
  std::string scheduler = "vllm-v1";
  std::optional<std::int64_t> batch_size;              // running cap (max_num_seqs)
  std::optional<std::int64_t> prefill_token_budget;    // max_num_batched_tokens
  std::optional<std::int64_t> long_prefill_threshold;  // 0 = off
  std::optional<std::int64_t> queued_token_limit;      // admission: prompt tokens waiting; 0 = off
  std::optional<std::int64_t> speculative_decoding_k;  // 0 = off
  std::optional<std::int64_t> max_tokens;              // cap on output; 0 = off
  std::optional<double> max_wait_ms;                   // batch wait; 0 = off
  std::optional<std::int64_t> block_size;
  std::optional<double> gpu_memory_utilization;
  std::optional<std::int64_t> kv_cache_blocks;  // overrides the memory model
  bool async_scheduling = true;
};

struct PoolSpec {
  std::string name;
  std::string model;  // "llama-3.1-8b", "llama-3.1-70b"
  std::string gpu;    // "a100-sxm-80g", "h100-sxm-80g"
  int tp = 1;
  std::string dtype = "bf16";
  int replicas = 1;
  double price_per_gpu_hour = 2.5;
  double quality = 1;
  EngineSpec engine;
  Calibration calibration;
};

struct RouterSpec {
  std::string policy = "least_request";  // "least_request" | "round_robin" | "random" | "weighted"
  double state_age_ms = 0;               // how old the router's view of replicas is
  std::vector<double> weights;           // "weighted": one per replica, all pools in order
};

struct FleetSpec {
  std::vector<PoolSpec> pools;
  RouterSpec router;
  bool noise = true;           // step-time noise and stalls; off = bit-exact closed forms
  double restart_load_s = 60;  // load time a restart knob costs, after the drain
};

}  // namespace arqon::sim
