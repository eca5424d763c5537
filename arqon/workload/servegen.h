// Clients as ServeGen records them (alibaba/ServeGen, arXiv 2505.09999): no requests, but for each
// window of ten minutes a rate and a law of gaps, and for each few hours the distribution of
// lengths. Of a client NAME there are two files:
//   NAME-trace.csv     start_s,rate,cv,family,shape,scale   no header; rate 0 = not active
//   NAME-dataset.json  {"0": {"input_tokens": "{45: 0.01, 46: 0.99}", "output_tokens": "{}"}, ..}
// by the second from which on it holds, lengths as Python writes a dictionary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/rng.h"
#include "arqon/workload/trace_reader.h"

namespace arqon::workload {

struct ServeGenWindow {
  double start_s = 0;
  double rate_per_s = 0;  // 0 = not active
  bool weibull = false;   // else Gamma
  double shape = 1, scale = 1;
};
// Lengths by cumulative share.
struct ServeGenLengths {
  std::vector<std::uint32_t> tokens;
  std::vector<double> share;
};
struct ServeGenHours {
  double start_s = 0;
  ServeGenLengths input, output;
};
struct ServeGenClient {
  std::vector<ServeGenWindow> windows;  // sorted, not empty
  std::vector<ServeGenHours> hours;     // sorted, not empty
};

// kInvalidConfig with file, line and reason.
Result<ServeGenClient> parse_servegen(std::string_view trace, std::string_view trace_file,
                                      std::string_view dataset, std::string_view dataset_file);
// Requests of all clients in the first `span_s` seconds; lengths are drawn independently.
// kInvalidConfig beyond 20 million.
Result<TraceRows> servegen_rows(const std::vector<ServeGenClient>& clients, double span_s,
                                const Rng& rng);
// `path`: the trace file of one client, or a folder with those of several. kUnavailable when
// something cannot be read.
Result<TraceRows> read_servegen(const std::filesystem::path& path, double span_s, const Rng& rng);

}  // namespace arqon::workload
