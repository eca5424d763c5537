#include "arqon/calibrate/predict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/sim/settings.h"

namespace arqon::calibrate {

Result<Predictor> Predictor::create(const sim::PoolSpec& pool) {
  const sim::ModelData* model = sim::model_of(pool);
  const sim::GpuData* gpu = sim::gpu_of(pool);
  if (model == nullptr || gpu == nullptr) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("pool \"{}\": unknown {} \"{}\"", pool.name,
                                                       model == nullptr ? "model" : "gpu",
                                                       model == nullptr ? pool.model : pool.gpu));
  }
  const sim::EngineSettings settings = sim::initial_settings(pool.engine, *gpu);
  return Predictor(sim::StepTime(*model, *gpu,
                                 {.tp = pool.tp,
                                  .dtype = pool.dtype,
                                  .async_scheduling = pool.engine.async_scheduling,
                                  .calibration = pool.calibration}),
                   static_cast<double>(settings.live.prefill_token_budget),
                   pool.calibration.front_end_ms);
}

double Predictor::step_ms(double decodes, double context, double chunks, double chunk_tokens,
                          double completed) const {
  const auto at = [&](double n) {
    sim::StepShape shape;
    shape.decodes = std::llround(n);
    shape.chunks = chunks > 0 ? std::max<std::int64_t>(1, std::llround(chunks)) : 0;
    shape.chunk_tokens = std::llround(chunks * chunk_tokens);
    shape.chunk_attention = chunks * chunk_tokens * chunk_tokens / 2;
    shape.chunks_completed = std::llround(completed);
    return static_cast<double>(step_time_.base(shape));
  };
  // The model knows whole sequences; a mean batch lies between two of them.
  const double below = std::floor(std::max(0.0, decodes)), share = std::max(0.0, decodes) - below;
  double ps = at(below);
  if (share > 0) ps += share * (at(below + 1) - ps);
  ps += static_cast<double>(step_time_.ps_per_context_unit()) * double{sim::kContextUnit} * context;
  return ps / static_cast<double>(sim::kPsPerMs);
}

Pace Predictor::predict(const Observation& window) const {
  Pace out;
  const double prompt = window.prompt_length(), output = window.output_length();
  if (!(prompt >= 1) || !(output >= 1)) return out;
  double n = window.steps > 0 ? window.output_tokens / window.steps : window.running;
  n = std::max(1.0, n);
  const double budget = window.prefill_token_budget > 0 ? window.prefill_token_budget : budget_;
  const double parts = std::max(1.0, std::ceil(prompt / std::max(1.0, budget - n)));
  const double joins = n / output * parts;
  const double q = 1 - std::exp(-joins), m = joins / q;
  const double context = prompt + output / 2;
  const double beside = std::max(0.0, n - m);
  const double plain = step_ms(n, n * context, 0, 0, 0);
  const double mixed = step_ms(beside, beside * context, m, prompt / parts, m / parts);
  out.step_ms = (1 - q) * plain + q * mixed;
  const double waiting_plain = (1 - q) * n, waiting_mixed = q * beside;
  out.gap_ms = (waiting_plain * plain + waiting_mixed * mixed) /
               std::max(1e-9, waiting_plain + waiting_mixed);
  out.output_tokens_per_s = 1e3 * n / out.step_ms;
  // A request arrives in the middle of a step, when there is one under way.
  const double others = std::max(0.0, n - 1);
  const double alone = step_ms(others, others * context, 1, prompt / parts, 1);
  const double residual = others > 0 ? std::min(1.0, others) * plain / 2 : 0;
  out.ttft_ms = front_end_ms_ + residual + parts * alone;
  out.e2e_ms = out.ttft_ms + (output - 1) * out.gap_ms;
  return out;
}

}  // namespace arqon::calibrate
