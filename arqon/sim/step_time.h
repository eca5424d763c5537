// How long one engine step takes (equation page 2.1): closed form over the batch, per GPU of one
// replica. The sum of
//   T_lin   linear operators, a knot table over new tokens        model_data.h
//   T_elt   norms, rotary embedding, activation, residual         per new token
//   T_dec   attention of decoding sequences                       linear in their total context
//   T_pre   attention of prefill chunks                           exact per chunk
//   T_comm  two all-reduces per layer                             per new token; 0 on one GPU
//   T_head  output head                                           per sampled token
//   T_draft draft tokens of speculation                           linear in k
//   T_host  the host's work that does not hide behind the GPU     per step and per sequence
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "arqon/sim/calibration.h"
#include "arqon/sim/model_data.h"

namespace arqon::sim {

// Simulated time: integer picoseconds, so that sums are exact whatever their order.
using Ps = std::int64_t;
constexpr Ps kPsPerMs = 1'000'000'000;
constexpr Ps kPsPerSecond = 1000 * kPsPerMs;
// Contexts are counted in 64ths of a token: speculation accepts fractions on average.
constexpr std::int64_t kContextUnit = 64;

struct StepTimeOptions {
  int tp = 1;
  std::string_view dtype = "bf16";
  std::string_view scheduler = "vllm-v1";
  bool async_scheduling = true;
  double draft_ms_base = 0, draft_ms_per_k = 0;
  Calibration calibration = {};
};

// Share of the host's work that hides behind the GPU unless a calibration says otherwise.
double host_overlap(std::string_view scheduler, bool async_scheduling);

// What one step works on, apart from the total decode context.
struct StepShape {
  std::int64_t decodes = 0;           // sequences that decode
  std::int64_t speculation = 0;       // draft tokens per decoding sequence
  std::int64_t chunks = 0;            // prefill chunks
  std::int64_t chunk_tokens = 0;      // new tokens in them
  double chunk_attention = 0;         // sum of n * (cached + n / 2)
  std::int64_t chunks_completed = 0;  // chunks that end their prompt and sample a token
};

// Immutable; safe to share.
class StepTime {
 public:
  StepTime(const ModelData& model, const GpuData& gpu, const StepTimeOptions& options);

  // Everything but the context-dependent part of decode attention.
  Ps base(const StepShape& shape) const;
  // Decode attention per kContextUnit-th of a token of total context.
  std::int64_t ps_per_context_unit() const { return ps_per_context_unit_; }
  // Linear operators alone, in ms.
  double linear_ms(double tokens) const;

 private:
  double all_reduce_s(double tokens) const;

  std::vector<LinearKnot> knots_;
  std::int64_t ps_per_context_unit_ = 0;
  // Seconds, or seconds per unit named.
  double layers_ = 0, hidden_ = 0;
  double elementwise_ = 0, elementwise_per_token_ = 0;
  double decode_ = 0, decode_per_sequence_ = 0;
  double prefill_ = 0, prefill_per_token_ = 0, prefill_per_attention_ = 0;
  double reduce_latency_ = 0, reduce_bandwidth_ = 0;  // bandwidth 0: one GPU
  double head_memory_ = 0, head_per_output_ = 0;
  double host_ = 0, host_per_sequence_ = 0;
  double draft_base_ = 0, draft_per_k_ = 0;
};

}  // namespace arqon::sim
