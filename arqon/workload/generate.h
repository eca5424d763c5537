// From a Spec to the requests of one run.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/workload/request.h"
#include "arqon/workload/spec.h"

namespace arqon::workload {

struct GenerateOptions {
  double duration_s = 3600;
  std::uint64_t seed = 0;
  std::vector<std::string> classes;  // class names in scenario order; a mix names one of them
  std::filesystem::path folder;      // where relative trace paths start
};

// All workloads merged and sorted by arrival. Streams are named (arrivals, lengths, mix,
// acceptance), so a change of one never shifts another. kUnavailable when a trace cannot be read,
// kInvalidConfig with file, line and reason when it is malformed.
Result<Trace> generate(const std::vector<Spec>& workloads, const GenerateOptions& options);

// Concurrency of a single closed-loop workload, for TwinOptions; 0 when arrivals are open. The
// trace of a closed loop holds its requests in the order of sending, all at time 0.
int closed_loop_concurrency(const std::vector<Spec>& workloads);

}  // namespace arqon::workload
