// The simulated fleet as a document describes it. What each part does: docs/reference/simulator.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arqon/sim/calibration.h"

namespace arqon::sim {

// Engine flags; an absent value means the engine's own default for that GPU.
struct EngineSpec {
  std::string scheduler = "vllm-v1";  // "tensorrt-llm", "triton": scheduler.h
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
  std::optional<double> deadline_shed;  // give up in the queue at so many TTFT limits; 0 = off
  bool prefix_caching = true;
  double watermark = 0;                             // share of blocks that admission leaves free
  std::vector<std::int64_t> preferred_batch_sizes;  // scheduler "triton" only
  struct SpeculationStep {
    std::int64_t batch_max = 1, k = 0;
  };
  // At most k drafts while so many sequences decode, none beyond the last row; empty = always k.
  std::vector<SpeculationStep> speculation_by_batch;
};

struct ModelData;
struct GpuData;

struct PoolSpec {
  std::string name;
  std::string model;  // "llama-3.1-8b", "llama-3.1-70b", or the name of own_model
  std::string gpu;    // "a100-sxm-80g", "h100-sxm-80g", or the name of own_gpu
  // A model and a GPU that the owner of the fleet describes; null = the known one of that name.
  std::shared_ptr<const ModelData> own_model;
  std::shared_ptr<const GpuData> own_gpu;
  std::string own_gpu_like;  // whose efficiencies it was given; "" = not said
  int tp = 1;
  std::string dtype = "bf16";
  int replicas = 1;          // up at the start
  int replicas_max = 0;      // that the knob `replicas` may start; 0 = replicas
  int prefill_replicas = 0;  // the first so many only prefill, the others only decode; 0 = all both
  double price_per_gpu_hour = 2.5;      // of every replica that is up, busy or idle
  double price_per_million_tokens = 0;  // prompt and answer of every request that ended here
  double quality = 1;
  EngineSpec engine;
  Calibration calibration;
};

// A classifier sends easy requests to a small model and hard ones to a large one; what the small
// one answers with low confidence goes to the large one as well. The classifier's score is normal
// with mean 0 for easy requests and `separation` for hard ones: with a threshold t it takes
// Phi(separation - t) of the hard and Phi(-t) of the easy ones for hard: its confusion matrix.
struct CascadeSpec {
  std::string small, large;  // pools
  double threshold = 1;      // scores above it go to the large pool at once
  double separation = 2;
  double hard_share = 0.3;    // of requests: the small model's answer to them is not good
  double caught = 0.7;        // share of those answers that show low confidence
  double false_alarms = 0.1;  // share of good answers that show it as well
};

struct RouterSpec {
  // "least_request" | "round_robin" | "random" | "weighted" | "prefix_affine"
  std::string policy = "least_request";
  double state_age_ms = 0;           // how old the router's view of replicas is
  std::vector<double> weights;       // "weighted": one per replica, all pools in order
  std::vector<double> pool_weights;  // share of the requests per pool; empty = by quality and load
  // Requests waiting at every replica of the pools that are good enough, from which on a request
  // goes to a lesser pool; 0 = never. Not with pool_weights.
  double spill_depth = 0;
  std::optional<CascadeSpec> cascade;
};

enum class FleetEventKind : std::uint8_t {
  kThrottle,
  kFail,
  kRecover,
  kStop,
  kStart,
  kSleep,
  kWake
};

// What happens to a part of the fleet, whoever tunes it.
struct FleetEvent {
  double at_s = 0;
  FleetEventKind kind = FleetEventKind::kThrottle;
  std::string pool;
  int replica = -1;  // -1 = all of the pool
  double speed = 1;  // kThrottle: share of the healthy pace, in [0.05, 1]
};

// The way of a KV cache from a prefill to a decode replica.
struct KvTransferSpec {
  double gb_per_s = 50;
  double latency_ms = 4;
};

// What a class of requests asks of the models that answer it.
struct QualityRule {
  double min = 0;            // least quality of a pool
  double below_per_day = 0;  // share of the day's requests so far that a lesser pool may answer
  bool operator==(const QualityRule&) const = default;
};

struct FleetSpec {
  std::vector<PoolSpec> pools;
  RouterSpec router;
  std::vector<FleetEvent> events;  // sorted by time
  KvTransferSpec kv_transfer;
  // Accepted drafts are drawn at every step instead of taken at their mean: real spread, but no
  // run-length steps while anything is drafted.
  bool sampled_speculation = false;
  bool noise = true;           // step-time noise and stalls; off = bit-exact closed forms
  double restart_load_s = 60;  // load time of a start, and of a restart after the drain
  double wake_s = 5;           // from sleep to serving: the weights are in host memory
};

// Seats of a pool: replicas that are up or may come up.
constexpr int seats_of(const PoolSpec& pool) {
  return pool.replicas_max > pool.replicas ? pool.replicas_max : pool.replicas;
}

}  // namespace arqon::sim
