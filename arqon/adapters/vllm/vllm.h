// vLLM's row of the registry.
#pragma once

#include <memory>
#include <string_view>

#include "arqon/adapters/adapter.h"
#include "arqon/base/result.h"
#include "arqon/serving/engine.h"

namespace arqon::adapters::vllm {

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request);

// `url`: http://host:port, with #NAME behind it where ARQONHPO_VLLM_NAME is not "default". Writes
// nothing to the engine.
Result<Probe> probe(std::string_view url, Clock& clock);

}  // namespace arqon::adapters::vllm
