// The demo's fleet and traffic in code, for benches and tests of the twin alone.
#pragma once

#include <memory>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/sim/twin.h"
#include "arqon/workload/generate.h"

namespace arqon::sim {

// Four 8B replicas; chat turns into code in thirds of `seconds`. Knobs: prefill_token_budget,
// batch_size, speculative_decoding_k.
inline TwinOptions mix_migration(std::uint64_t seed, double seconds) {
  TwinOptions options;
  PoolSpec pool{.name = "main", .model = "llama-3.1-8b", .gpu = "h100-sxm-80g", .replicas = 4};
  options.fleet.pools = {pool};
  options.fleet.router.state_age_ms = 250;
  options.classes = {
      {.name = "chat", .ttft_ms = 300, .ttft_ms_per_prompt_token = 0.1, .tpot_ms = 50},
      {.name = "code",
       .ttft_ms = 500,
       .ttft_ms_per_prompt_token = 0.2,
       .tpot_ms = 30,
       .max_gap_ms = 200}};
  options.knobs = Space(
      {Parameter{.name = "main.prefill_token_budget",
                 .type = ParamType::kInt,
                 .scale = Scale::kLog,
                 .min = 256,
                 .max = 8192,
                 .step = 64},
       Parameter{.name = "main.batch_size",
                 .type = ParamType::kInt,
                 .scale = Scale::kLog,
                 .min = 8,
                 .max = 1024},
       Parameter{
           .name = "main.speculative_decoding_k", .type = ParamType::kInt, .min = 0, .max = 5}});
  options.seed = seed;
  workload::Spec spec;
  spec.source = workload::GeneratorSource{.name = "azure-conv", .rate_per_s = 44};
  spec.segments = {{.at_s = 0, .mix = {{"chat", 1}}},
                   {.at_s = seconds / 3, .mix = {{"chat", 0.5}, {"code", 0.5}}, .rate = 0.85},
                   {.at_s = seconds * 2 / 3, .mix = {{"code", 1}}, .rate = 0.9}};
  auto trace = workload::generate(
      {spec}, {.duration_s = seconds, .seed = seed, .classes = {"chat", "code"}});
  ARQON_ASSERT(trace.has_value());
  options.trace = std::make_shared<const workload::Trace>(std::move(*trace));
  return options;
}

}  // namespace arqon::sim
