#include "arqon/load/results_format.h"

#include <fmt/format.h>

#include <utility>

namespace arqon::load::results {

using wire::Value;

namespace {

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

}  // namespace

bool is_guidellm(const Value& root) {
  const Value* list = root.find("benchmarks");
  return list != nullptr && list->as_array() != nullptr && root.find("metadata") != nullptr;
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

}  // namespace arqon::load::results
