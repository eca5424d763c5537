// Result files of other load clients, as rows and totals of the same shape as our own:
//   vllm bench serve   --save-result, with --save-detailed per request (vLLM 0.32); appended files
//   AIPerf             profile_export.jsonl (per request), profile_export_aiperf.json (0.13)
//   GuideLLM           benchmarks.json (0.8), each benchmark of the file a run of its own
// What a file does not say stays unmeasured and unjudged, and a remark says so.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/load/load.h"

namespace arqon::load {

struct ForeignRun {
  std::string tool;   // "aiperf 0.13.0", "guidellm 0.8.1", "vllm bench serve"
  std::string label;  // what the file calls this run; may be empty
  std::string model;
  double seconds = 0;
  std::vector<Row> rows;   // empty when the file has summaries alone; all of class 0
  serving::Totals totals;  // one class
  std::vector<std::string> remarks;  // whole sentences
};

constexpr std::size_t kResultBytesMax = 128u << 20;

// Judges every request by `slo`. kInvalidConfig with "FILE: PLACE: reason" when the text is no such
// file or holds what cannot be; nothing is half-read. Bounded: 128 MiB, 4 million values.
Result<std::vector<ForeignRun>> read_results(std::string_view text, std::string_view file,
                                             const serving::Slo& slo);

}  // namespace arqon::load
