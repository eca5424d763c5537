#include "arqon/adapters/tensorrt_llm/server.h"

#include <fmt/format.h>

#include <utility>

namespace arqon::adapters::tensorrt_llm {
namespace {

using wire::Value;

double number(const Value* value) {
  return value != nullptr && value->is_number() ? value->number() : -1;
}

std::string text(const Value* value) {
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  return text == nullptr ? "" : *text;
}

std::string first_model(const Value& models) {
  const Value* data = models.find("data");
  const wire::Array* list = data == nullptr ? nullptr : data->as_array();
  return list == nullptr || list->empty() ? "" : text(list->front().find("id"));
}

}  // namespace

const std::vector<Setting>& settings() {
  static const std::vector<Setting> table = {
      {"batch_size", "max_batch_size", ParamType::kInt, 1, 8192, "trtllm_max_batch_size_static",
       "requests per step; an engine built ahead of time has a limit of its own"},
      {"max_wait_ms", "batch_wait_timeout_ms", ParamType::kFloat, 0, 1000, "",
       "how long a step waits to be filled (PyTorch backend)"},
      {"prefill_token_budget", "max_num_tokens", ParamType::kInt, 1, 1 << 20, "",
       "tokens per step; an engine built ahead of time has a limit of its own"}};
  return table;
}

Result<serving::Identity> Server::identity() {
  const auto version =
      get_json(client_, {.url = address_.url + "/version", .timeout = address_.timeout});
  if (!version) return tl::unexpected<Error>(version.error());
  const auto models =
      get_json(client_, {.url = address_.url + "/v1/models", .timeout = address_.timeout});
  if (!models) return tl::unexpected<Error>(models.error());
  const std::string number = text(version->find("version"));
  if (number.empty()) {
    return fail(ErrorCode::kUnavailable,
                address_.url + "/version names no version: not a trtllm-serve");
  }
  return serving::Identity{.engine = "tensorrt_llm " + number, .model = first_model(*models)};
}

Result<wire::Exposition> Server::metrics() {
  auto scraped = scrape(client_, address_.metrics, address_.timeout);
  if (!scraped || !address_.drain_iterations) return scraped;
  const auto records =
      get_json(client_, {.url = address_.url + "/metrics", .timeout = address_.timeout});
  if (!records) return tl::unexpected<Error>(records.error());
  if (records->as_array() == nullptr) {
    return fail(ErrorCode::kUnavailable, address_.url + "/metrics: not a list of records");
  }
  std::vector<wire::Series> series = scraped->series();
  for (wire::Series& added : from_iterations(*records)) {
    if (!scraped->has(added.name)) series.push_back(std::move(added));
  }
  return wire::Exposition(std::move(series));
}

Result<bool> Server::healthy() {
  const auto answer = client_.send({.url = address_.url + "/health", .timeout = address_.timeout});
  if (!answer) return tl::unexpected<Error>(answer.error());
  return answer->status == 200;
}

std::vector<wire::Series> from_iterations(const Value& records) {
  std::vector<wire::Series> out;
  const wire::Array* list = records.as_array();
  if (list == nullptr || list->empty()) return out;
  const Value& newest = list->back();
  const auto add = [&](std::string_view name, double value) {
    if (value >= 0) out.push_back({.name = std::string(name), .labels = {}, .value = value});
  };
  add("trtllm_num_requests_running", number(newest.find("numActiveRequests")));
  add("trtllm_num_requests_waiting", number(newest.find("numQueuedRequests")));
  add("trtllm_max_batch_size_static", number(newest.find("maxBatchSizeStatic")));
  if (const Value* kv = newest.find("kvCacheStats")) {
    const double used = number(kv->find("usedNumBlocks")), all = number(kv->find("maxNumBlocks"));
    // Fields that the runtime does not fill in are 0.
    if (used >= 0 && all > 0) add("trtllm_kv_cache_utilization", used / all);
  }
  return out;
}

HistogramSources sources() {
  return {.prefixes = {"trtllm_", "time_to_first_token_seconds", "request_success"},
          .ttft = {"trtllm_time_to_first_token_seconds", "time_to_first_token_seconds"},
          .tpot = {"trtllm_time_per_output_token_seconds", "time_per_output_token_seconds"},
          .e2e = {"trtllm_e2e_request_latency_seconds", "e2e_request_latency_seconds"},
          .ttft_at_end = true,
          .failed = {"trtllm_request_error_total"},
          .prompt_tokens = {"trtllm_prompt_tokens_total"},
          .output_tokens = {"trtllm_generation_tokens_total"},
          .started = {"process_start_time_seconds"},
          .running = {"trtllm_num_requests_running"},
          .waiting = {"trtllm_num_requests_waiting"},
          .kv_use = {"trtllm_kv_cache_utilization"},
          .rank_label = "",
          .bucket_help =
              "take one of its bounds: TTFT 0.1 0.25 0.5 0.75 1 s, TPOT 0.01 0.025 "
              "0.05 0.075 0.1 s, E2E 1 1.5 2 2.5 5 10 s"};
}

}  // namespace arqon::adapters::tensorrt_llm
