// Engine flags of a replica as numbers, and the knob names that address them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/sim/fleet.h"
#include "arqon/sim/kv_pool.h"
#include "arqon/sim/model_data.h"
#include "arqon/space/space.h"

namespace arqon::sim {

// Act at the next step. 0 switches off whatever can be off.
struct LiveSettings {
  std::int64_t batch_size = 1;
  std::int64_t prefill_token_budget = 1;
  std::int64_t long_prefill_threshold = 0;
  std::int64_t queued_token_limit = 0;
  std::int64_t speculative_decoding_k = 0;
  std::int64_t max_tokens = 0;
  double max_wait_ms = 0;
  double deadline_shed = 0;
};

// Act when the engine boots.
struct BootSettings {
  std::int64_t block_size = 16;
  double gpu_memory_utilization = 0.92;
  std::int64_t kv_cache_blocks = 0;  // 0 = from the memory model
  bool operator==(const BootSettings&) const = default;
};

struct EngineSettings {
  LiveSettings live;
  BootSettings boot;
};

// Flags given, vLLM's defaults for that GPU elsewhere.
EngineSettings initial_settings(const EngineSpec& spec, const GpuData& gpu);
// kInvalidConfig naming the flag that is out of its range.
Status check_settings(const EngineSettings& settings, std::string_view where);

// One flag of the engine that can be a knob.
struct EngineKnob {
  std::string_view name;
  bool restart;
  double (*read)(const EngineSettings&);
  void (*write)(EngineSettings&, double);
};
std::span<const EngineKnob> engine_knobs();

// What a knob of the space moves.
enum class KnobKind : std::uint8_t {
  kEngine,           // a flag of some replicas' engine
  kRouterWeights,    // router.weights
  kPoolWeights,      // router.pool_weights
  kSpillDepth,       // router.spill_depth
  kThreshold,        // router.cascade_threshold
  kReplicas,         // pool.replicas
  kPrefillReplicas,  // pool.prefill_replicas
};

// A knob of the space bound to the replicas it moves.
struct KnobBinding {
  KnobKind kind = KnobKind::kEngine;
  const EngineKnob* knob = nullptr;  // kEngine only
  std::size_t pool = 0;              // kReplicas, kPrefillReplicas
  std::size_t first_replica = 0;     // fleet-wide index
  std::size_t replicas = 0;
  std::size_t offset = 0;  // first slot in a Config
  std::size_t slots = 1;

  bool covers(int replica) const {
    return knob != nullptr && replica >= static_cast<int>(first_replica) &&
           replica < static_cast<int>(first_replica + replicas);
  }
};

// Binds "pool.knob", "pool/N.knob" and "router.knob". kInvalidConfig names what is known.
Result<std::vector<KnobBinding>> bind_knobs(const Space& knobs, const FleetSpec& fleet);

}  // namespace arqon::sim
