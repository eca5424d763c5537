#include "arqon/load/read_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "arqon/wire/json.h"

namespace arqon::load {
namespace {

using wire::Value;

constexpr wire::JsonLimits kLimits{kResultBytesMax, 64, 4u << 20, 16u << 20};
constexpr double kTokensMax = 1e9;
constexpr double kSecondsMax = 1e7;  // a run is shorter than a hundred days

// Reads members and remembers the first thing that is wrong.
class Reader {
 public:
  const std::string& error() const { return error_; }
  bool good() const { return error_.empty(); }
  void complain(const Value* at, std::string_view path, std::string_view what) {
    if (!error_.empty()) return;
    error_ = at != nullptr && at->line > 0 ? fmt::format("{}:{}: {}: {}", at->line + line_offset_,
                                                         at->column, path, what)
                                           : fmt::format("{}: {}", path, what);
  }
  // Lines of a file that is read line by line.
  void set_line_offset(int offset) { line_offset_ = offset; }

  const Value* need(const Value& object, std::string_view key, std::string_view path) {
    const Value* value = object.find(key);
    if (value == nullptr) complain(&object, join(path, key), "is missing");
    return value;
  }
  // Absent and null are nothing.
  std::optional<double> number(const Value& object, std::string_view key, std::string_view path,
                               double min, double max) {
    const Value* value = object.find(key);
    if (value == nullptr || value->is_null()) return std::nullopt;
    if (value->is_number() && value->number() >= min && value->number() <= max) {
      return value->number();
    }
    complain(value, join(path, key), fmt::format("must be a number from {} to {}", min, max));
    return std::nullopt;
  }
  double need_number(const Value& object, std::string_view key, std::string_view path, double min,
                     double max) {
    if (need(object, key, path) == nullptr) return 0;
    const auto value = number(object, key, path, min, max);
    if (!value) complain(object.find(key), join(path, key), "must be a number");
    return value.value_or(0);
  }
  const wire::Array* array(const Value& object, std::string_view key, std::string_view path) {
    static const wire::Array kNone;
    const Value* value = object.find(key);
    if (value == nullptr || value->is_null()) return &kNone;
    if (value->as_array() == nullptr) complain(value, join(path, key), "must be a list");
    return value->as_array() == nullptr ? &kNone : value->as_array();
  }
  static std::string text(const Value& object, std::string_view key) {
    const Value* value = object.find(key);
    return value != nullptr && value->as_string() != nullptr ? *value->as_string() : "";
  }
  static std::string join(std::string_view path, std::string_view key) {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
  }

 private:
  std::string error_;
  int line_offset_ = 0;
};

// One JSON document of a file and how many lines stand before it.
struct Document {
  Value value;
  int line_offset = 0;
};

std::uint32_t tokens(std::optional<double> n) { return static_cast<std::uint32_t>(n.value_or(0)); }

// Judges the rows, puts the first arrival at 0 and adds them up.
void finish(ForeignRun& run, const serving::Slo& slo) {
  double first = std::numeric_limits<double>::infinity(), last = 0, prompt = 0, output = 0;
  for (const Row& row : run.rows) first = std::min(first, row.warmup ? first : row.arrival_s);
  if (!std::isfinite(first)) first = 0;
  for (Row& row : run.rows) {
    for (double* t : {&row.arrival_s, &row.sent_s, &row.first_token_s, &row.last_token_s,
                      &row.end_s}) {
      if (*t != Row::kNever) *t -= first;
    }
    row.broke = serving::judge(outcome_of(row), slo);
    if (row.warmup) continue;
    last = std::max({last, row.arrival_s, row.end_s});
    prompt += row.prompt_tokens;
    if (row.ended && row.failure == Failure::kNone) output += row.output_tokens;
  }
  std::stable_sort(run.rows.begin(), run.rows.end(),
                   [](const Row& a, const Row& b) { return a.arrival_s < b.arrival_s; });
  constexpr double kAlways = std::numeric_limits<double>::infinity();
  run.totals = totals_of(run.rows, {slo}, -kAlways, kAlways);
  if (run.seconds <= 0) run.seconds = last;
  if (run.seconds <= 0) return;
  run.totals.output_tokens_per_s = output / run.seconds;
  run.totals.input_tokens_per_s = prompt / run.seconds;
}

// A summary alone: nobody can be judged.
void finish_summary(ForeignRun& run, const serving::Slo& slo, double good, double failed) {
  serving::ClassResult result;
  result.name = slo.name;
  result.ledger.good = static_cast<std::uint64_t>(good);
  result.ledger.rejected = static_cast<std::uint64_t>(failed);
  result.ledger.arrived = result.ledger.good + result.ledger.rejected;
  result.ttft_ms = run.totals.ttft_ms;
  result.tpot_ms = run.totals.tpot_ms;
  result.max_gap_ms = run.totals.max_gap_ms;
  result.e2e_ms = run.totals.e2e_ms;
  run.totals.ledger = result.ledger;
  run.totals.attainment = result.ledger.attainment();
  run.totals.classes = {std::move(result)};
  run.remarks.emplace_back(
      "The file has summaries alone: no request is judged by a limit, and good means finished.");
}

// --- vllm bench serve ---------------------------------------------------------------------------

bool is_vllm(const Value& root) {
  return root.find("completed") != nullptr && root.find("total_output_tokens") != nullptr &&
         root.find("request_throughput") != nullptr;
}

Row vllm_row(Reader& in, const Value& root, std::size_t i) {
  const auto item = [&](std::string_view key, double max) {
    const wire::Array& list = *in.array(root, key, "");
    if (i >= list.size()) return std::optional<double>();
    const Value& value = list[i];
    if (value.is_number() && std::fabs(value.number()) <= max) return std::optional(value.number());
    in.complain(&value, fmt::format("{}[{}]", key, i), "must be a number within bounds");
    return std::optional<double>();
  };
  Row row;
  row.ended = true;
  row.arrival_s = row.sent_s = item("start_times", 1e18).value_or(0);
  row.prompt_tokens = tokens(item("input_lens", kTokensMax));
  row.output_tokens = tokens(item("output_lens", kTokensMax));
  row.output_asked = row.output_tokens;
  const wire::Array& errors = *in.array(root, "errors", "");
  const std::string* error = i < errors.size() ? errors[i].as_string() : nullptr;
  const double ttft_s = item("ttfts", kSecondsMax).value_or(0);
  if ((error != nullptr && !error->empty()) || row.output_tokens == 0) {
    row.failure = error != nullptr && !error->empty() ? Failure::kError : Failure::kNoTokens;
    row.end_s = row.sent_s + ttft_s;
    return row;
  }
  row.first_token_s = row.last_token_s = row.sent_s + ttft_s;
  row.pieces = 1;
  const wire::Array& itls = *in.array(root, "itls", "");
  const wire::Array* gaps = i < itls.size() ? itls[i].as_array() : nullptr;
  for (const Value& gap : gaps != nullptr ? *gaps : wire::Array{}) {
    if (!gap.is_number() || gap.number() < 0 || gap.number() > kSecondsMax) {
      in.complain(&gap, fmt::format("itls[{}]", i), "must be times in seconds");
      break;
    }
    row.last_token_s += gap.number();
    row.max_gap_ms = std::max(row.max_gap_ms, gap.number() * 1e3);
    ++row.pieces;
  }
  row.end_s = row.last_token_s;
  return row;
}

serving::Quantiles vllm_quantiles(Reader& in, const Value& root, const std::string& metric,
                                  std::uint64_t n) {
  const auto get = [&](const std::string& what) {
    return in.number(root, fmt::format("{}_{}_ms", what, metric), "", 0, kSecondsMax * 1e3);
  };
  serving::Quantiles q;
  const auto mean = get("mean");
  if (!mean) return q;
  q.mean = *mean;
  q.p50 = get("median").value_or(0);
  q.p90 = get("p90").value_or(0);
  q.p95 = get("p95").value_or(0);
  q.p99 = get("p99").value_or(0);
  q.n = n;
  return q;
}

ForeignRun read_vllm(Reader& in, const Value& root, const serving::Slo& slo) {
  ForeignRun run;
  run.tool = "vllm bench serve";
  run.label = Reader::text(root, "label");
  run.model = Reader::text(root, "model_id");
  run.seconds = in.need_number(root, "duration", "", 0, kSecondsMax);
  const double completed = in.need_number(root, "completed", "", 0, kTokensMax);
  const double failed = in.number(root, "failed", "", 0, kTokensMax).value_or(0);
  const wire::Array& ttfts = *in.array(root, "ttfts", "");
  for (const std::string_view key : {"input_lens", "output_lens", "itls", "errors"}) {
    const Value* list = root.find(key);
    if (list == nullptr || ttfts.empty() || in.array(root, key, "")->size() == ttfts.size()) {
      continue;
    }
    in.complain(list, key, fmt::format("must have {} items as ttfts has", ttfts.size()));
  }
  if (!ttfts.empty()) {
    for (std::size_t i = 0; i < ttfts.size() && in.good(); ++i) {
      run.rows.push_back(vllm_row(in, root, i));
    }
    run.remarks.emplace_back(
        root.find("start_times") != nullptr
            ? "Latencies count from sending, not from the moment a request was due."
            : "The file does not say when requests were sent; latencies count from sending.");
    finish(run, slo);
    return run;
  }
  const auto n = static_cast<std::uint64_t>(completed);
  run.totals.ttft_ms = vllm_quantiles(in, root, "ttft", n);
  run.totals.tpot_ms = vllm_quantiles(in, root, "tpot", n);
  run.totals.e2e_ms = vllm_quantiles(in, root, "e2el", n);
  run.totals.output_tokens_per_s =
      in.number(root, "output_throughput", "", 0, 1e12).value_or(0);
  if (run.seconds > 0) {
    run.totals.input_tokens_per_s =
        in.number(root, "total_input_tokens", "", 0, 1e15).value_or(0) / run.seconds;
  }
  run.totals.good_tokens = static_cast<std::uint64_t>(
      in.number(root, "total_output_tokens", "", 0, 1e15).value_or(0));
  finish_summary(run, slo, completed, failed);
  run.remarks.emplace_back("vllm bench serve keeps requests with --save-detailed.");
  return run;
}

// --- AIPerf -------------------------------------------------------------------------------------

bool is_aiperf_record(const Value& root) {
  const Value* metadata = root.find("metadata");
  return metadata != nullptr && metadata->find("request_start_ns") != nullptr;
}
bool is_aiperf_summary(const Value& root) {
  const Value* latency = root.find("request_latency");
  return latency != nullptr && latency->find("unit") != nullptr;
}

// Factor to milliseconds.
std::optional<double> unit_ms(std::string_view unit) {
  constexpr std::array<std::pair<std::string_view, double>, 6> kUnits = {
      {{"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1e3}, {"sec", 1e3}, {"seconds", 1e3}}};
  for (const auto& [name, factor] : kUnits) {
    if (name == unit) return factor;
  }
  return std::nullopt;
}

// {"value": 3.1, "unit": "ms"} in ms; nothing when absent.
std::optional<double> aiperf_ms(Reader& in, const Value& metrics, std::string_view key) {
  const Value* metric = metrics.find(key);
  if (metric == nullptr || metric->is_null()) return std::nullopt;
  const std::string path = Reader::join("metrics", key);
  const auto unit = unit_ms(Reader::text(*metric, "unit"));
  if (!unit) in.complain(metric, path, "must have a unit of time");
  const auto value = in.number(*metric, "value", path, 0, 1e18);
  return value ? std::optional(*value * unit.value_or(1)) : std::nullopt;
}

std::optional<double> aiperf_count(Reader& in, const Value& metrics, std::string_view key) {
  const Value* metric = metrics.find(key);
  if (metric == nullptr || metric->is_null()) return std::nullopt;
  return in.number(*metric, "value", Reader::join("metrics", key), 0, kTokensMax);
}

double aiperf_largest_gap(Reader& in, const Value& metrics) {
  const Value* metric = metrics.find("inter_chunk_latency");
  if (metric == nullptr || metric->is_null()) return -1;
  const auto unit = unit_ms(Reader::text(*metric, "unit"));
  double most = -1;
  for (const Value& gap : *in.array(*metric, "value", "metrics.inter_chunk_latency")) {
    if (!gap.is_number() || gap.number() < 0 || !unit) {
      in.complain(&gap, "metrics.inter_chunk_latency", "must be times with a unit");
      return -1;
    }
    most = std::max(most, gap.number() * *unit);
  }
  return most;
}

double aiperf_seconds(Reader& in, const Value& metadata, std::string_view key, double fallback,
                      std::int64_t origin) {
  const Value* value = metadata.find(key);
  if (value == nullptr || value->is_null()) return fallback;
  const std::int64_t* ns = value->as_int();
  if (ns == nullptr || *ns < 0) {
    in.complain(value, Reader::join("metadata", key), "must be whole nanoseconds");
    return fallback;
  }
  return static_cast<double>(*ns - origin) * 1e-9;
}

Row aiperf_row(Reader& in, const Value& record, std::int64_t origin) {
  static const Value kNothing{wire::Object{}};
  const Value& metadata = *record.find("metadata");
  const Value* found = record.find("metrics");
  const Value& metrics = found != nullptr && found->as_object() != nullptr ? *found : kNothing;
  Row row;
  row.sent_s = aiperf_seconds(in, metadata, "request_start_ns", 0, origin);
  row.arrival_s = aiperf_seconds(in, metadata, "credit_issued_ns", row.sent_s, origin);
  row.end_s = aiperf_seconds(in, metadata, "request_end_ns", row.sent_s, origin);
  row.ended = true;
  row.warmup = Reader::text(metadata, "benchmark_phase") == "warmup";
  const auto first_of = [&](std::string_view a, std::string_view b) {
    const auto counted = aiperf_count(in, metrics, a);
    return tokens(counted ? counted : aiperf_count(in, metrics, b));
  };
  row.prompt_tokens = first_of("usage_prompt_tokens", "input_sequence_length");
  row.output_tokens = first_of("usage_completion_tokens", "output_sequence_length");
  row.output_asked = row.output_tokens;
  const Value* cancelled = metadata.find("was_cancelled");
  const Value* error = record.find("error");
  if (cancelled != nullptr && cancelled->as_bool() != nullptr && *cancelled->as_bool()) {
    row.failure = Failure::kCancelled;
    row.ended = false;
    return row;
  }
  if (error != nullptr && !error->is_null()) {
    row.failure = Failure::kError;
    const double code = in.number(*error, "code", "error", -1e9, 1e9).value_or(0);
    row.status = static_cast<int>(code);
    return row;
  }
  if (row.output_tokens == 0) {
    row.failure = Failure::kNoTokens;
    return row;
  }
  const auto latency = aiperf_ms(in, metrics, "request_latency");
  row.last_token_s = latency ? row.sent_s + *latency * 1e-3 : row.end_s;
  if (const auto ttft = aiperf_ms(in, metrics, "time_to_first_token")) {
    row.first_token_s = row.sent_s + *ttft * 1e-3;
  }
  row.max_gap_ms = aiperf_largest_gap(in, metrics);
  return row;
}

serving::Quantiles aiperf_quantiles(Reader& in, const Value& root, std::string_view key) {
  serving::Quantiles q;
  const Value* metric = root.find(key);
  if (metric == nullptr || metric->is_null()) return q;
  const auto unit = unit_ms(Reader::text(*metric, "unit"));
  if (!unit) in.complain(metric, key, "must have a unit of time");
  const auto get = [&](std::string_view what) {
    return in.number(*metric, what, key, 0, 1e18).value_or(0) * unit.value_or(1);
  };
  q.mean = get("avg");
  q.p50 = get("p50");
  q.p90 = get("p90");
  q.p95 = get("p95");
  q.p99 = get("p99");
  q.n = tokens(in.number(*metric, "count", key, 0, kTokensMax));
  return q;
}

ForeignRun read_aiperf_summary(Reader& in, const Value& root, const serving::Slo& slo) {
  ForeignRun run;
  run.tool = fmt::format("aiperf {}", Reader::text(root, "aiperf_version"));
  const auto average = [&](std::string_view key) {
    const Value* metric = root.find(key);
    return metric == nullptr || metric->is_null()
               ? 0.0
               : in.number(*metric, "avg", key, 0, 1e15).value_or(0);
  };
  run.totals.ttft_ms = aiperf_quantiles(in, root, "time_to_first_token");
  run.totals.tpot_ms = aiperf_quantiles(in, root, "inter_token_latency");
  run.totals.e2e_ms = aiperf_quantiles(in, root, "request_latency");
  run.totals.output_tokens_per_s = average("output_token_throughput");
  run.totals.good_tokens = static_cast<std::uint64_t>(average("total_output_tokens"));
  run.seconds = average("benchmark_duration");
  if (run.seconds > 0) run.totals.input_tokens_per_s = average("total_isl") / run.seconds;
  finish_summary(run, slo, average("request_count"), average("error_request_count"));
  run.remarks.emplace_back("AIPerf keeps requests in profile_export.jsonl.");
  return run;
}

ForeignRun read_aiperf_records(Reader& in, const std::vector<Document>& records,
                               const serving::Slo& slo) {
  ForeignRun run;
  run.tool = "aiperf";
  std::int64_t origin = std::numeric_limits<std::int64_t>::max();
  for (const Document& record : records) {
    const Value* start = record.value.find("metadata")->find("request_start_ns");
    if (start->as_int() == nullptr) continue;
    origin = std::min(origin, std::max<std::int64_t>(0, *start->as_int()));
  }
  if (origin == std::numeric_limits<std::int64_t>::max()) origin = 0;
  bool credited = true;
  for (std::size_t i = 0; i < records.size() && in.good(); ++i) {
    const Value& record = records[i].value;
    in.set_line_offset(records[i].line_offset);
    run.rows.push_back(aiperf_row(in, record, origin));
    credited = credited && record.find("metadata")->find("credit_issued_ns") != nullptr;
  }
  run.remarks.emplace_back(
      credited ? "Latencies count from the moment AIPerf wanted to send (credit_issued_ns)."
               : "Latencies count from sending, not from the moment a request was due.");
  finish(run, slo);
  return run;
}

// --- GuideLLM -----------------------------------------------------------------------------------

bool is_guidellm(const Value& root) {
  const Value* list = root.find("benchmarks");
  return list != nullptr && list->as_array() != nullptr && root.find("metadata") != nullptr;
}

Row guidellm_row(Reader& in, const Value& request, const std::string& path) {
  Row row;
  const Value* info = in.need(request, "info", path);
  const Value* timings = info == nullptr ? nullptr : in.need(*info, "timings", path + ".info");
  if (timings == nullptr) return row;
  const std::string where = path + ".info.timings";
  const auto at = [&](std::string_view key) { return in.number(*timings, key, where, 0, 1e12); };
  const auto started = at("request_start");
  const auto targeted = at("targeted_start");
  row.sent_s = started.value_or(targeted.value_or(0));
  row.arrival_s = targeted.value_or(row.sent_s);
  row.first_token_s = at("first_token_iteration").value_or(Row::kNever);
  row.last_token_s = at("last_token_iteration").value_or(Row::kNever);
  row.end_s = at("request_end").value_or(at("resolve_end").value_or(row.sent_s));
  row.pieces = tokens(in.number(*timings, "token_iterations", where, 0, kTokensMax));
  const auto count = [&](std::string_view metrics) {
    const Value* object = request.find(metrics);
    if (object == nullptr || object->is_null()) return std::optional<double>();
    return in.number(*object, "total_tokens", Reader::join(path, metrics), 0, kTokensMax);
  };
  row.prompt_tokens = tokens(count("input_metrics"));
  row.output_tokens = tokens(count("output_metrics").value_or(row.pieces));
  row.output_asked = row.output_tokens;
  row.ended = true;
  return row;
}

ForeignRun read_guidellm_benchmark(Reader& in, const Value& benchmark, std::size_t index,
                                   const serving::Slo& slo) {
  ForeignRun run;
  run.label = fmt::format("benchmark {}", index);
  const std::string path = fmt::format("benchmarks[{}]", index);
  const Value* requests = in.need(benchmark, "requests", path);
  if (requests == nullptr) return run;
  const auto read = [&](std::string_view status, Failure failure) {
    const wire::Array& list = *in.array(*requests, status, path + ".requests");
    for (std::size_t i = 0; i < list.size() && in.good(); ++i) {
      Row row = guidellm_row(in, list[i], fmt::format("{}.requests.{}[{}]", path, status, i));
      row.failure = failure;
      if (failure == Failure::kNone && row.output_tokens == 0) row.failure = Failure::kNoTokens;
      if (row.last_token_s == Row::kNever) row.last_token_s = row.end_s;
      row.ended = failure != Failure::kCancelled;
      run.rows.push_back(row);
    }
  };
  read("successful", Failure::kNone);
  read("errored", Failure::kError);
  read("incomplete", Failure::kCancelled);
  run.seconds = in.number(benchmark, "duration", path, 0, kSecondsMax).value_or(0);
  const Value* metrics = benchmark.find("metrics");
  const Value* made = metrics == nullptr ? nullptr : metrics->find("request_totals");
  const auto total = made == nullptr
                         ? std::nullopt
                         : in.number(*made, "total", path + ".metrics.request_totals", 0, 1e9);
  if (total && *total > static_cast<double>(run.rows.size())) {
    run.remarks.push_back(fmt::format("The file keeps a sample: {} of {} requests.",
                                      run.rows.size(), *total));
  }
  run.remarks.emplace_back(
      "Latencies count from the moment a request was due; GuideLLM keeps no largest gap.");
  finish(run, slo);
  return run;
}

std::vector<ForeignRun> read_guidellm(Reader& in, const Value& root, const serving::Slo& slo) {
  std::vector<ForeignRun> runs;
  const std::string version = Reader::text(*root.find("metadata"), "guidellm_version");
  const wire::Array& list = *root.find("benchmarks")->as_array();
  if (list.empty()) in.complain(&root, "benchmarks", "is empty");
  for (std::size_t i = 0; i < list.size() && in.good(); ++i) {
    runs.push_back(read_guidellm_benchmark(in, list[i], i, slo));
    runs.back().tool = fmt::format("guidellm {}", version);
  }
  return runs;
}

// --- Which file is it ---------------------------------------------------------------------------

tl::unexpected<Error> refuse(std::string_view file, std::string_view why) {
  return fail(ErrorCode::kInvalidConfig, fmt::format("{}: {}", file, why));
}

constexpr std::string_view kNoneOfThem =
    "is no result file this program knows: vllm bench serve (--save-result), AIPerf "
    "(profile_export.jsonl, profile_export_aiperf.json), GuideLLM (benchmarks.json)";

// One JSON document a line; empty lines are nothing.
Result<std::vector<Document>> lines_of(std::string_view text, std::string_view file) {
  std::vector<Document> out;
  std::size_t values = 0;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    auto value = wire::parse_json(line, kLimits);
    if (!value) {
      return refuse(fmt::format("{}:{}", file, number),
                    fmt::format("column {}: {}", value.error().column, value.error().message));
    }
    values += 1 + line.size() / 8;
    if (values > kLimits.values_max * 4) return refuse(file, "holds too much");
    out.push_back({std::move(*value), number - 1});
  }
  return out;
}

Result<std::vector<ForeignRun>> dispatch(Reader& in, const std::vector<Document>& documents,
                                         std::string_view file, const serving::Slo& slo) {
  const auto all = [&](bool (*is)(const Value&)) {
    return !documents.empty() &&
           std::all_of(documents.begin(), documents.end(),
                       [is](const Document& document) { return is(document.value); });
  };
  std::vector<ForeignRun> runs;
  if (all(&is_aiperf_record)) {
    runs.push_back(read_aiperf_records(in, documents, slo));
  } else if (all(&is_vllm)) {
    for (const Document& document : documents) {
      in.set_line_offset(document.line_offset);
      runs.push_back(read_vllm(in, document.value, slo));
    }
  } else if (documents.size() == 1 && is_guidellm(documents[0].value)) {
    runs = read_guidellm(in, documents[0].value, slo);
  } else if (documents.size() == 1 && is_aiperf_summary(documents[0].value)) {
    runs.push_back(read_aiperf_summary(in, documents[0].value, slo));
  } else {
    return refuse(file, kNoneOfThem);
  }
  if (!in.good()) return refuse(file, in.error());
  return runs;
}

}  // namespace

Result<std::vector<ForeignRun>> read_results(std::string_view text, std::string_view file,
                                             const serving::Slo& slo) {
  if (text.size() > kResultBytesMax) return refuse(file, "is larger than 128 MiB");
  Reader in;
  auto whole = wire::parse_json(text, kLimits);
  if (whole) {
    std::vector<Document> documents;
    documents.push_back({std::move(*whole), 0});
    return dispatch(in, documents, file, slo);
  }
  // A pretty-printed document that is broken is told as one; documents line by line come next.
  auto lines = lines_of(text, file);
  if (!lines || lines->size() < 2) {
    return refuse(fmt::format("{}:{}:{}", file, whole.error().line, whole.error().column),
                  whole.error().message + " (result files are JSON)");
  }
  return dispatch(in, *lines, file, slo);
}

}  // namespace arqon::load
