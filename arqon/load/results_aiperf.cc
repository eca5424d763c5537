#include "arqon/load/results_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace arqon::load::results {

using wire::Value;

namespace {

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

}  // namespace

bool is_aiperf_record(const Value& root) {
  const Value* metadata = root.find("metadata");
  return metadata != nullptr && metadata->find("request_start_ns") != nullptr;
}
bool is_aiperf_summary(const Value& root) {
  const Value* latency = root.find("request_latency");
  return latency != nullptr && latency->find("unit") != nullptr;
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

}  // namespace arqon::load::results
