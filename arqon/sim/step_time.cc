#include "arqon/sim/step_time.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::sim {
namespace {

// One-shot and staged all-reduce: fixed bandwidth of the first, fixed latency of the second.
constexpr double kOneShotBandwidth = 110e9;
constexpr double kStagedLatency = 22e-6;
constexpr double kHeadMemoryEfficiency = 0.85;
constexpr double kKvElementBytes = 2;

std::size_t reduce_index(int tp) { return tp == 2 ? 0 : tp == 4 ? 1 : 2; }

}  // namespace

double host_overlap(std::string_view scheduler, bool async_scheduling) {
  const EngineData* engine = find_engine(scheduler);
  ARQON_ASSERT(engine != nullptr);
  return async_scheduling ? engine->overlap_async : engine->overlap_sync;
}

StepTime::StepTime(const ModelData& m, const GpuData& gpu, const StepTimeOptions& options)
    : knots_(linear_knots(m, gpu, options.tp, options.dtype, options.calibration)) {
  const Calibration& c = options.calibration;
  const double t = options.tp;
  const double heads = m.query_heads / t;
  const double beta = gpu.bandwidth, phi = gpu.matmul_rate;
  const double width = m.mlp_width * std::max(1.0, m.experts_active);  // that a token passes
  layers_ = m.layers;
  hidden_ = m.hidden;
  elementwise_ = m.layers * gpu.elementwise_launch;
  elementwise_per_token_ =
      m.layers * 2 * (6 * m.hidden + 3 * width / t) / (beta * gpu.elementwise);
  decode_ = m.layers * gpu.decode_launch;
  decode_per_sequence_ = m.layers * (4 * heads * m.head_dim / (0.3 * beta) + 3e-9 * heads);
  const double context_s = m.layers * 2 * std::max(m.kv_heads / t, 1.0) * m.head_dim *
                           kKvElementBytes / (beta * gpu.decode * c.decode_kv);
  ps_per_context_unit_ =
      std::llround(context_s * static_cast<double>(kPsPerSecond) / double{kContextUnit});
  prefill_ = m.layers * gpu.prefill_launch;
  prefill_per_token_ = m.layers * 4 * (m.query_heads + m.kv_heads) * m.head_dim / (0.4 * beta * t);
  prefill_per_attention_ = m.layers * 4 * heads * m.head_dim / (phi * gpu.prefill);
  if (options.tp > 1) {
    reduce_latency_ = gpu.reduce_latency[reduce_index(options.tp)];
    reduce_bandwidth_ = gpu.reduce_bandwidth[reduce_index(options.tp)];
  }
  const double head = m.vocabulary * m.hidden / t;
  head_memory_ = 2 * head / (beta * kHeadMemoryEfficiency);
  head_per_output_ = 2 * head / (phi * gpu.linear_compute * c.linear_compute);
  const double overlap =
      c.host_overlap.value_or(host_overlap(options.scheduler, options.async_scheduling));
  const double exposed = 1 - overlap;
  host_ = exposed * c.host_ms * 1e-3;
  host_per_sequence_ = exposed * c.host_ms_per_sequence * 1e-3;
  draft_base_ = options.draft_ms_base * 1e-3;
  draft_per_k_ = options.draft_ms_per_k * 1e-3;
  ARQON_ASSERT(ps_per_context_unit_ > 0);
}

double StepTime::linear_ms(double tokens) const {
  const auto after = std::upper_bound(knots_.begin() + 1, knots_.end() - 1, tokens,
                                      [](double n, const LinearKnot& k) { return n < k.tokens; });
  const LinearKnot& b = *after;
  const LinearKnot& a = *(after - 1);
  return a.ms + (b.ms - a.ms) * (tokens - a.tokens) / (b.tokens - a.tokens);
}

double StepTime::all_reduce_s(double tokens) const {
  if (reduce_bandwidth_ == 0) return 0;
  const double bytes = 2 * tokens * hidden_;
  return 2 * layers_ *
         std::min(reduce_latency_ + bytes / kOneShotBandwidth,
                  kStagedLatency + bytes / reduce_bandwidth_);
}

Ps StepTime::base(const StepShape& shape) const {
  const auto decodes = static_cast<double>(shape.decodes);
  const auto verified = static_cast<double>(shape.decodes * (shape.speculation + 1));
  const auto chunk_tokens = static_cast<double>(shape.chunk_tokens);
  const auto chunks = static_cast<double>(shape.chunks);
  const double tokens = verified + chunk_tokens;
  const double outputs = verified + static_cast<double>(shape.chunks_completed);
  double s = linear_ms(tokens) * 1e-3 + elementwise_ + elementwise_per_token_ * tokens +
             all_reduce_s(tokens) + std::max(head_memory_, head_per_output_ * outputs) + host_ +
             host_per_sequence_ * (decodes + chunks);
  if (shape.decodes > 0) {
    s += decode_ + decode_per_sequence_ * decodes;
    if (shape.speculation > 0) {
      s += draft_base_ + draft_per_k_ * static_cast<double>(shape.speculation);
    }
  }
  if (shape.chunks > 0) {
    s += prefill_ + prefill_per_token_ * chunk_tokens +
         prefill_per_attention_ * shape.chunk_attention;
  }
  return std::llround(s * static_cast<double>(kPsPerSecond));
}

}  // namespace arqon::sim
