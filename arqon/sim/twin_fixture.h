// Small fleets and traces for the tests of the twin.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arqon/base/assert.h"
#include "arqon/sim/twin.h"

namespace arqon::sim {

// One replica of 8B on H100, no noise, one class without limits, no requests.
inline TwinOptions small_twin() {
  TwinOptions options;
  PoolSpec pool;
  pool.name = "main";
  pool.model = "llama-3.1-8b";
  pool.gpu = "h100-sxm-80g";
  options.fleet.pools = {pool};
  options.fleet.noise = false;
  options.classes = {{.name = "any"}};
  return options;
}

inline workload::Request request_at(double seconds, std::uint32_t prompt, std::uint32_t output) {
  workload::Request request;
  request.arrival = from_seconds(seconds);
  request.prompt_tokens = prompt;
  request.output_tokens = output;
  return request;
}

inline void set_trace(TwinOptions& options, workload::Trace trace) {
  options.trace = std::make_shared<const workload::Trace>(std::move(trace));
}

inline void add_knob(TwinOptions& options, const std::string& name, double min, double max,
                     double step = 1) {
  std::vector<Parameter> knobs = options.knobs.parameters();
  knobs.push_back({.name = name,
                   .type = step == 1 ? ParamType::kInt : ParamType::kFloat,
                   .min = min,
                   .max = max,
                   .step = step});
  options.knobs = Space(std::move(knobs));
}

inline std::unique_ptr<Twin> make_twin(TwinOptions options) {
  Result<std::unique_ptr<Twin>> twin = Twin::create(std::move(options));
  ARQON_ASSERT(twin.has_value());
  return std::move(*twin);
}

// All requests sent and ended, or ten minutes after the last.
inline std::unique_ptr<Twin> finished_twin(TwinOptions options) {
  std::unique_ptr<Twin> twin = make_twin(std::move(options));
  twin->drain();
  return twin;
}

}  // namespace arqon::sim
