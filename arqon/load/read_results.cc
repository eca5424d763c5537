#include "arqon/load/read_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "arqon/load/results_format.h"
#include "arqon/wire/json.h"

namespace arqon::load {
namespace {

using wire::Value;
using namespace results;  // NOLINT(google-build-using-namespace): our own parts

constexpr wire::JsonLimits kLimits{kResultBytesMax, 64, 4u << 20, 16u << 20};

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
