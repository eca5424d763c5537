// TensorRT-LLM (trtllm-serve 1.x): no knob can be written to a running server, so the knobs move by
// the user's restart command; outcomes come from the histograms of /prometheus/metrics. Written
// after the project's public sources and documents, which docs/reference/engines/tensorrt_llm.md
// names; not run against a server.
#pragma once

#include <memory>
#include <string_view>

#include "arqon/adapters/adapter.h"

namespace arqon::adapters::tensorrt_llm {

// target: {"engine": "tensorrt_llm", "url": ..., "metrics": URL/prometheus/metrics,
//          "started_with": {"max_batch_size": 64, ...}, "restart": [WORD, ...],
//          "restart_s": 120, "restart_timeout_s": 900, "iteration_stats": "leave" or "drain",
//          and what scraped_engine.h shares}
Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request);
Result<Probe> probe(std::string_view url, Clock& clock);

}  // namespace arqon::adapters::tensorrt_llm
