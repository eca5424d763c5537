#include "arqon/adapters/generic/promql.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "arqon/adapters/generic/call.h"

namespace arqon::adapters::generic {
namespace {

using wire::Value;

// [time, "value"]
std::optional<double> sample(const Value* pair) {
  const wire::Array* both = pair == nullptr ? nullptr : pair->as_array();
  if (both == nullptr || both->size() != 2 || both->back().as_string() == nullptr) return {};
  std::string_view text = *both->back().as_string();
  if (text.starts_with('+')) text.remove_prefix(1);
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return out;
}

std::string word(const Value* value) {
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  return text == nullptr ? "" : *text;
}

tl::unexpected<Error> senseless() {
  return fail(ErrorCode::kUnavailable, "an answer that is none of Prometheus's /api/v1/query");
}

}  // namespace

Result<std::vector<wire::Series>> samples_of(const Value& answer, std::string_view name) {
  const Value* data = answer.find("data");
  if (word(answer.find("status")) != "success" || data == nullptr) return senseless();
  const Value* result = data->find("result");
  const wire::Array* list = result == nullptr ? nullptr : result->as_array();
  if (list == nullptr) return senseless();
  std::vector<wire::Series> out;
  if (word(data->find("resultType")) == "scalar") {
    const auto value = sample(result);
    if (!value) return senseless();
    out.push_back({.name = std::string(name), .labels = {}, .value = *value});
    return out;
  }
  for (const Value& entry : *list) {
    const auto value = sample(entry.find("value"));
    const Value* metric = entry.find("metric");
    if (!value || metric == nullptr || metric->as_object() == nullptr) return senseless();
    wire::Series series{.name = std::string(name), .labels = {}, .value = *value};
    for (const auto& [key, text] : *metric->as_object()) {
      if (key != "__name__") series.labels.emplace_back(key, word(&text));
    }
    out.push_back(std::move(series));
  }
  return out;
}

Result<std::vector<wire::Series>> query(net::Client& client, const std::string& prometheus,
                                        std::string_view promql, std::string_view name,
                                        Duration timeout) {
  const auto answer = client.send(
      {.url = fmt::format("{}/api/v1/query?query={}", prometheus, percent_encoded(promql)),
       .timeout = timeout});
  if (!answer) return tl::unexpected<Error>(answer.error());
  auto document = wire::parse_json(answer->body);
  if (answer->status == 400 || answer->status == 422) {
    return fail(ErrorCode::kRefused,
                fmt::format("{}: {}", promql,
                            document ? word(document->find("error")) : "refused by Prometheus"));
  }
  if (answer->status != 200 || !document) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}/api/v1/query: HTTP status {}", prometheus, answer->status));
  }
  auto samples = samples_of(*document, name);
  if (!samples) return tl::unexpected<Error>(samples.error().with_context(promql));
  return samples;
}

}  // namespace arqon::adapters::generic
