// Measured rows of real engines and what the twin says about each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/sim/calibration.h"

namespace arqon::bench {

// Closed loop at a fixed concurrency, times in ms. ttft and tpot are means over requests.
struct Row {
  std::string backend, version, model, gpu, dtype;
  // Rows of one deployment share its constants.
  std::string deployment() const { return backend + " " + version; }
  int tp = 1;
  std::uint32_t isl = 1, osl = 1;
  int concurrency = 1;
  double ttft_ms = 0, tpot_ms = 0;
};

struct Predicted {
  double ttft_ms = 0, tpot_ms = 0;
  double kv_use = 0;  // of the steps' most
  std::uint64_t preemptions = 0;
};

struct Rows {
  std::vector<Row> rows;
  std::size_t skipped = 0;  // of models, GPUs or dtypes that the twin does not know
};

// Columns backend, backend_version, model_path, system, precision, isl, osl, concurrency, tp_size,
// ttft_ms, tpot_ms in any order. kUnavailable, kInvalidConfig with the line.
Result<Rows> read_rows(const std::string& file);

// Runs 10 x concurrency requests through the twin.
Predicted predict(const Row& row, const sim::Calibration& calibration);

// Output tokens per second as the measurements imply it.
double throughput(const Row& row, double ttft_ms, double tpot_ms);

}  // namespace arqon::bench
