// What one scrape of vLLM's GET /metrics says, whatever the names of that version are.
// Names seen in 0.32.0, and the former names of engines since 0.6.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/wire/prometheus.h"

namespace arqon::adapters::vllm {

// A need and the name that met it; empty when none of its names is there.
struct MatchedName {
  std::string_view need;
  std::string_view name;
  bool former = false;  // not the present name
};

// Summed over data-parallel ranks. Counters since the API process began; -1 = not exported.
struct Metrics {
  double running = 0;
  double waiting = 0;
  double kv_use = 0;  // [0, 1], mean over ranks
  double finished = 0;
  double finished_badly = 0;  // error
  double preemptions = -1;
  double rejected = -1;  // by the admission limits
  double prompt_tokens = 0, generation_tokens = 0;
  double process_start_s = -1;  // seconds since 1970
  double gpu_memory_utilization = -1;
  double kv_cache_bytes = -1;
  double kv_blocks = -1;
  wire::Buckets ttft_s, gap_s, tpot_s, e2e_s;  // bounds as the engine has them
  std::vector<MatchedName> names;
};

// kUnavailable when the text is no whole exposition, or lacks what every vLLM exports, or holds a
// number that cannot be; the message says which. `_created` series are ignored.
Result<Metrics> read_metrics(std::string_view text);
Result<Metrics> read_metrics(const wire::Exposition& exposition);
Result<wire::Exposition> parse_metrics(std::string_view text);

}  // namespace arqon::adapters::vllm
