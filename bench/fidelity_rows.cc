#include "bench/fidelity_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/base/rng.h"
#include "arqon/os/file.h"
#include "arqon/sim/twin.h"
#include "arqon/wire/csv.h"

namespace arqon::bench {
namespace {

constexpr int kRequestsPerSlot = 10;
constexpr std::size_t kFileMax = 1 << 20;
constexpr std::array<std::string_view, 11> kColumns = {
    "backend",     "backend_version", "model_path", "precision", "isl",   "osl",
    "concurrency", "tp_size",         "ttft_ms",    "tpot_ms",   "system"};

struct Word {
  std::string_view word, name;
};
// The first whose word is part of a row's text, in lower case.
constexpr auto kModels = std::to_array<Word>({{"qwen3-32b", "qwen3-32b"},
                                              {"llama-3.1-70b", "llama-3.1-70b"},
                                              {"llama-3.1-8b", "llama-3.1-8b"},
                                              {"llama-2-7b", "llama-2-7b"},
                                              {"llama-2-70b", "llama-2-70b"},
                                              {"codellama-34b", "codellama-34b"}});
constexpr auto kGpus = std::to_array<Word>(
    {{"h100_sxm", "h100-sxm-80g"}, {"h200_sxm", "h200-sxm-141g"}, {"a100_sxm", "a100-sxm-80g"}});
constexpr auto kBackends =
    std::to_array<Word>({{"vllm", "vllm-v1"}, {"sglang", "vllm-v1"}, {"trt", "tensorrt-llm"}});

template <std::size_t N>
std::string name_of(const std::array<Word, N>& words, std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const Word& word : words) {
    if (text.find(word.word) != std::string::npos) return std::string(word.name);
  }
  return "";
}

Row parse_row(const std::vector<std::string>& fields) {
  Row row;
  row.backend = name_of(kBackends, fields[0]);
  row.version = fields[1];
  row.model = name_of(kModels, fields[2]);
  row.dtype = fields[3].empty() ? "bf16" : fields[3];
  row.gpu = name_of(kGpus, fields[10]);
  const auto number = [&](std::size_t i) { return std::strtod(fields[i].c_str(), nullptr); };
  row.isl = static_cast<std::uint32_t>(number(4));
  row.osl = static_cast<std::uint32_t>(number(5));
  row.concurrency = static_cast<int>(number(6));
  row.tp = static_cast<int>(number(7));
  row.ttft_ms = number(8);
  row.tpot_ms = number(9);
  return row;
}

bool known(const Row& row) {
  return !row.backend.empty() && !row.model.empty() && !row.gpu.empty() &&
         (row.dtype == "bf16" || row.dtype == "fp8");
}

bool measured(const Row& row) {
  return row.isl >= 1 && row.osl >= 2 && row.concurrency >= 1 && row.tp >= 1 && row.ttft_ms > 0 &&
         row.tpot_ms > 0;
}

// vLLM before 0.14 plans a step when the one before is over, unless told otherwise. The rows
// without a version are of a bench that told it (InferenceMAX runs --async-scheduling).
bool schedules_ahead(const Row& row) {
  const bool old = row.version.starts_with("0.") && row.version.size() > 3 &&
                   std::strtod(row.version.c_str() + 2, nullptr) < 14;
  return !old;
}

// Lengths relative to the nominal, uniform between two shares. The rows without a version come from
// a bench that draws them so; the others were sent with fixed lengths, but slots that start
// together and answer in equal time would stay in step for ever in a twin without noise, and do
// not on a real machine.
struct Spread {
  double low, high;
};
Spread spread_of(const Row& row) {
  return row.version.empty() ? Spread{0.8, 1} : Spread{0.97, 1.03};
}

}  // namespace

Result<Rows> read_rows(const std::string& file) {
  const Result<std::string> text = os::read_file(file, kFileMax);
  if (!text) return tl::unexpected<Error>(text.error());
  wire::CsvReader reader(*text);
  std::vector<std::string> cells, fields(kColumns.size());
  std::vector<std::size_t> at;
  Rows out;
  while (reader.next(cells)) {
    const std::string where = fmt::format("{}:{}", file, reader.line());
    if (at.empty()) {
      for (const std::string_view column : kColumns) {
        const auto found = std::find(cells.begin(), cells.end(), column);
        if (found == cells.end()) {
          return fail(ErrorCode::kInvalidConfig, fmt::format("{}: no column {}", where, column));
        }
        at.push_back(static_cast<std::size_t>(found - cells.begin()));
      }
      continue;
    }
    for (std::size_t i = 0; i < at.size(); ++i) {
      if (at[i] >= cells.size()) return fail(ErrorCode::kInvalidConfig, where + ": short row");
      fields[i] = cells[at[i]];
    }
    Row row = parse_row(fields);
    if (!measured(row)) return fail(ErrorCode::kInvalidConfig, where + ": not a measured row");
    if (known(row)) {
      out.rows.push_back(std::move(row));
    } else {
      ++out.skipped;
    }
  }
  if (reader.error()) return fail(ErrorCode::kInvalidConfig, reader.error()->message);
  return out;
}

Predicted predict(const Row& row, const sim::Calibration& calibration) {
  sim::TwinOptions options;
  sim::PoolSpec pool;
  pool.name = "main";
  pool.model = row.model;
  pool.gpu = row.gpu;
  pool.tp = row.tp;
  pool.dtype = row.dtype;
  pool.calibration = calibration;
  pool.engine.scheduler = row.backend;
  pool.engine.async_scheduling = schedules_ahead(row);
  pool.engine.gpu_memory_utilization = 0.9;
  // Random prompts share nothing; whoever is evicted finds his own text where it is on (vLLM's
  // default). The bench of the rows without a version switches it off.
  pool.engine.prefix_caching = !row.version.empty();
  options.fleet.pools = {pool};
  options.fleet.noise = false;
  options.classes = {{.name = "all"}};
  options.closed_loop_concurrency = row.concurrency;
  Rng rng = Rng(1).stream("lengths");
  const Spread spread = spread_of(row);
  workload::Trace trace;
  for (int i = 0; i < kRequestsPerSlot * row.concurrency; ++i) {
    const auto length = [&](double nominal) {
      return static_cast<std::uint32_t>(nominal * rng.uniform(spread.low, spread.high));
    };
    workload::Request request;
    request.prompt_tokens = length(row.isl);
    request.output_tokens = length(row.osl);
    trace.push_back(request);
  }
  options.trace = std::make_shared<const workload::Trace>(std::move(trace));
  auto twin = sim::Twin::create(options);
  ARQON_ASSERT(twin.has_value());
  sim::Totals totals;
  do {
    (*twin)->drain();
    totals = (*twin)->totals();
  } while (totals.ledger.unfinished > 0 || totals.ledger.arrived < options.trace->size());
  return {totals.ttft_ms.mean, totals.tpot_ms.mean, totals.kv_use_max, totals.preemptions};
}

double throughput(const Row& row, double ttft_ms, double tpot_ms) {
  return 1e3 * row.concurrency * row.osl / (ttft_ms + tpot_ms * (row.osl - 1.0));
}

}  // namespace arqon::bench
