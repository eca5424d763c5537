// SGLang (0.5): knobs through POST /set_internal_state where this build accepts them, read back
// from /server_info, outcomes from the histograms of /metrics. Written after the project's public
// sources and documents, which docs/reference/engines/sglang.md names; not run against a server.
#pragma once

#include <memory>
#include <string_view>

#include "arqon/adapters/adapter.h"

namespace arqon::adapters::sglang {

// target: {"engine": "sglang", "url": ..., "metrics": URL/metrics, "api_key_file": ..., and what
// scraped_engine.h shares}
Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request);
Result<Probe> probe(std::string_view url, Clock& clock);

}  // namespace arqon::adapters::sglang
