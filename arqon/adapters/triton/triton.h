// Triton Inference Server as an Engine: batching knobs of one model moved by reloads under load.
// docs/reference/engines/triton.md has the mapping, the limits and what was measured.
// Seen with Triton 2.51.0 (24.10).
#pragma once

#include <memory>
#include <string_view>

#include "arqon/adapters/adapter.h"
#include "arqon/adapters/triton/server.h"

namespace arqon::adapters::triton {

// target: {"engine": "triton", "url": "http://HOST:8000", "grpc": "http://HOST:8001",
//          "metrics": "http://HOST:8002", "model": NAME,
//          "latency": "auto" | "trace" | "summary" | "none", "trace_file": PATH,
//          "load_timeout_s": 60, "stall_s": 10, "dollars_per_hour": 0}
// kInvalidConfig for what the document says wrong, kRefused when the server is not set up for it
// (the message says what to do), kUnavailable when it does not answer.
Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request);
// The same over bytes of the caller's choice.
Result<std::unique_ptr<serving::Engine>> attach_over(const AttachRequest& request,
                                                     Transport transport);

// `url`: http://HOST:8000, or http://HOST:8000/v2/models/NAME where several models are served.
Result<Probe> probe(std::string_view url, Clock& clock);
Result<Probe> probe_over(std::string_view url, Transport transport);

}  // namespace arqon::adapters::triton
