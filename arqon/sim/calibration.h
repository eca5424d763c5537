// The few scalars of the twin that measurements of a deployment may set. Everything else about a
// model and a GPU is data (model_data.h). The defaults are those that hold without any fitting.
#pragma once

#include <optional>

namespace arqon::sim {

// Scales multiply a shipped efficiency: 1 = as shipped, above 1 = faster than shipped.
// h0, h1, linear_memory and linear_compute trade off against each other: fit them with priors.
struct Calibration {
  double host_ms = 1.5;                // h0: host work per step, in [0, 100]
  double host_ms_per_sequence = 8e-3;  // h1: host work per scheduled sequence, in [0, 1]
  // omega: share of the host's work hidden behind the GPU, in [0, 1]. Absent: by the engine and
  // its scheduling mode (host_overlap in step_time.h).
  std::optional<double> host_overlap;
  double front_end_ms = 4;            // client to replica queue, in [0.1, 10000]

  double linear_memory = 1;   // on e_m: streaming of weights, in [0.1, 10]
  double linear_compute = 1;  // on e_c: matrix products, in [0.1, 10]
  double linear_scale = 1;    // on the time of all linear operators, in [0.1, 10]; above 1 = slower
  double decode_kv = 1;       // on e_kv: reading the KV cache, in [0.1, 10]

  // Memory of a GPU that holds neither weights nor KV: activations, graphs, communication. An
  // engine's own block count (EngineSpec::kv_cache_blocks) overrides the memory model. 5 GB was set
  // from two KV-starved measured rows (70B fp8 TP2, 8k/1k at concurrency 32 and 64).
  double other_memory_gb = 5;  // 1e9 bytes, in [0, 1000]

  bool operator==(const Calibration&) const = default;
};

}  // namespace arqon::sim
