#include "arqon/sim/scheduler.h"

#include <fmt/format.h>

#include <algorithm>

namespace arqon::sim {

std::optional<SchedulerKind> parse_scheduler(std::string_view name) {
  if (name == "vllm-v1") return SchedulerKind::kVllmV1;
  if (name == "tensorrt-llm") return SchedulerKind::kTensorRtLlm;
  if (name == "triton") return SchedulerKind::kTriton;
  return std::nullopt;
}

Result<SchedulerOptions> scheduler_options(const EngineSpec& spec, std::string_view where) {
  const auto invalid = [&](std::string_view what) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("{}: {}", where, what));
  };
  const std::optional<SchedulerKind> kind = parse_scheduler(spec.scheduler);
  if (!kind) {
    return invalid(fmt::format("unknown scheduler \"{}\"; known: vllm-v1, tensorrt-llm, triton",
                               spec.scheduler));
  }
  SchedulerOptions out{.kind = *kind,
                       .prefix_caching = spec.prefix_caching,
                       .watermark = spec.watermark,
                       .preferred_batch_sizes = spec.preferred_batch_sizes};
  if (!(out.watermark >= 0 && out.watermark <= 0.5)) {
    return invalid(fmt::format("watermark must lie in [0, 0.5] (got {})", out.watermark));
  }
  if (!out.preferred_batch_sizes.empty() && *kind != SchedulerKind::kTriton) {
    return invalid("preferred_batch_sizes goes with scheduler \"triton\" only");
  }
  for (const std::int64_t size : out.preferred_batch_sizes) {
    if (size < 1) return invalid("preferred_batch_sizes must be at least 1 each");
  }
  std::sort(out.preferred_batch_sizes.begin(), out.preferred_batch_sizes.end());
  std::int64_t before = 0;
  for (const EngineSpec::SpeculationStep& step : spec.speculation_by_batch) {
    if (step.batch_max <= before || step.k < 0 || step.k > 64) {
      return invalid("speculation_by_batch must rise in batch_max, each with k in [0, 64]");
    }
    before = step.batch_max;
    out.speculation.push_back({step.batch_max, step.k});
  }
  return out;
}

}  // namespace arqon::sim
