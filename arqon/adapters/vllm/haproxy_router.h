// HAProxy as the router of a rolling restart.
#pragma once

#include <cstddef>
#include <memory>

#include "arqon/adapters/router.h"
#include "arqon/base/result.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::vllm {

// `options`: {"engine": "haproxy", "socket": PATH, "backend": NAME, "servers": [NAME, ...]}, one
// server per replica in their order, and what else a haproxy target takes. kInvalidConfig when that
// is not what HAProxy runs, kUnavailable when it does not answer.
Result<std::unique_ptr<Router>> open_haproxy_router(const wire::Value& options,
                                                    std::size_t replicas);

}  // namespace arqon::adapters::vllm
