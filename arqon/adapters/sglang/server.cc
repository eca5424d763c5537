#include "arqon/adapters/sglang/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace arqon::adapters::sglang {
namespace {

using wire::Value;

// What was measured under one of these does not hold under another.
constexpr std::array<std::string_view, 26> kFlags = {"tp_size",
                                                     "dp_size",
                                                     "pp_size",
                                                     "ep_size",
                                                     "nnodes",
                                                     "dtype",
                                                     "quantization",
                                                     "kv_cache_dtype",
                                                     "context_length",
                                                     "page_size",
                                                     "mem_fraction_static",
                                                     "max_total_tokens",
                                                     "max_total_num_tokens",
                                                     "max_running_requests",
                                                     "cuda_graph_max_bs",
                                                     "disable_cuda_graph",
                                                     "disable_radix_cache",
                                                     "disable_overlap_schedule",
                                                     "enable_mixed_chunk",
                                                     "attention_backend",
                                                     "sampling_backend",
                                                     "disaggregation_mode",
                                                     "enable_dp_attention",
                                                     "speculative_algorithm",
                                                     "speculative_num_steps",
                                                     "speculative_num_draft_tokens"};

const Value* there(const Value* value) {
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string text(const Value* value) {
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  return text == nullptr ? "" : *text;
}

}  // namespace

const Value* Info::state(std::size_t rank) const {
  const Value* states = document_.find("internal_states");
  const wire::Array* list = states == nullptr ? nullptr : states->as_array();
  return list == nullptr || rank >= list->size() ? nullptr : &(*list)[rank];
}

std::size_t Info::ranks() const {
  std::size_t count = 0;
  while (state(count) != nullptr) ++count;
  return count;
}

const Value* Info::from_scheduler(std::string_view key, std::size_t rank) const {
  const Value* own = state(rank);
  if (own == nullptr) return nullptr;
  const Value* live = own->find("trimtab");
  const Value* value = live == nullptr ? nullptr : there(live->find(key));
  return value != nullptr ? value : there(own->find(key));
}

const Value* Info::in_force(std::string_view key, std::size_t rank) const {
  const Value* value = from_scheduler(key, rank);
  return value != nullptr ? value : at_start(key);
}

const Value* Info::at_start(std::string_view key) const { return there(document_.find(key)); }

const Value* Info::ceiling(std::string_view key) const {
  const Value* own = state(0);
  const Value* live = own == nullptr ? nullptr : own->find("trimtab");
  const Value* ceilings = live == nullptr ? nullptr : live->find("ceilings");
  return ceilings == nullptr ? nullptr : there(ceilings->find(key));
}

bool Info::has_live_knobs() const {
  const Value* own = state(0);
  return own != nullptr && own->find("trimtab") != nullptr;
}

double Info::number(std::string_view key, double fallback) const {
  const Value* value = at_start(key);
  return value != nullptr && value->is_number() ? value->number() : fallback;
}

serving::Identity Info::identity() const {
  const std::string version = text(at_start("version"));
  std::string model = text(at_start("served_model_name"));
  if (model.empty()) model = text(at_start("model_path"));
  return {.engine = "sglang " + (version.empty() ? "of unknown version" : version),
          .model = std::move(model),
          .hardware = text(at_start("device"))};
}

std::string Info::flags() const {
  std::string out;
  for (const std::string_view key : kFlags) {
    const Value* value = at_start(key);
    if (value != nullptr) out += fmt::format("{}={} ", key, wire::write_json(*value));
  }
  return out;
}

net::Request Server::request(std::string method, std::string_view path) const {
  net::Request out{.method = std::move(method),
                   .url = address_.url + std::string(path),
                   .timeout = address_.timeout};
  if (!address_.api_key.empty()) {
    out.headers.emplace_back("Authorization", "Bearer " + address_.api_key);
  }
  return out;
}

Result<Info> Server::info() {
  const net::Request asked = request("GET", old_name_ ? "/get_server_info" : "/server_info");
  auto answer = client_.send(asked);
  if (answer && answer->status == 404 && !old_name_) {
    old_name_ = true;
    auto other = info();
    if (!other) old_name_ = false;
    return other;
  }
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (answer->status != 200) {
    return fail(
        ErrorCode::kUnavailable,
        fmt::format(
            "{}: HTTP status {}{}", asked.url, answer->status,
            answer->status == 401 || answer->status == 403 ? "; give target.api_key_file" : ""));
  }
  auto document = wire::parse_json(answer->body);
  if (!document) {
    return fail(ErrorCode::kUnavailable, wire::to_string(document.error(), asked.url));
  }
  Info info(std::move(*document));
  if (info.ranks() == 0) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: no internal_states in the answer: not an SGLang, or older than "
                            "0.4.6",
                            asked.url));
  }
  return info;
}

Result<bool> all_updated(const Value& reply) {
  if (const bool* yes = reply.as_bool()) return *yes;
  if (const wire::Array* ranks = reply.as_array(); ranks != nullptr && !ranks->empty()) {
    bool all = true;
    for (const Value& rank : *ranks) {
      const auto one = all_updated(rank);
      if (!one) return one;
      all = all && *one;
    }
    return all;
  }
  for (const std::string_view key : {"updated", "success"}) {
    const Value* value = reply.find(key);
    if (value != nullptr && value->as_bool() != nullptr) return *value->as_bool();
  }
  return fail(ErrorCode::kUnavailable, "an answer that says neither yes nor no: " +
                                           wire::shortened(wire::write_json(reply)));
}

Status Server::set(const wire::Object& server_args) {
  net::Request asked = request("POST", "/set_internal_state");
  asked.headers.emplace_back("Content-Type", "application/json");
  asked.body = wire::write_json(Value(wire::Object{{"server_args", Value(server_args)}}));
  const auto answer = client_.send(asked);
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (answer->status >= 400 && answer->status < 500) {
    const bool key = answer->status == 401 || answer->status == 403;
    return fail(ErrorCode::kRefused, fmt::format("{}: HTTP status {}{}", asked.url, answer->status,
                                                 key ? ": give the admin key in target.api_key_file"
                                                     : ": " + wire::shortened(answer->body)));
  }
  const auto reply = wire::parse_json(answer->body);
  if (answer->status != 200 || !reply) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: HTTP status {}, no answer to read", asked.url, answer->status));
  }
  const auto updated = all_updated(*reply);
  if (!updated) return tl::unexpected<Error>(updated.error());
  if (*updated) return {};
  return fail(ErrorCode::kRefused,
              fmt::format("the engine does not accept {} (its log says why)", asked.body));
}

Result<wire::Exposition> Server::metrics() {
  return scrape(client_, address_.metrics, address_.timeout);
}

Result<bool> Server::healthy() {
  const auto answer = client_.send(request("GET", "/health"));
  if (!answer) return tl::unexpected<Error>(answer.error());
  return answer->status == 200;
}

HistogramSources sources() {
  return {.prefixes = {"sglang:"},
          .ttft = {"sglang:time_to_first_token_seconds"},
          // sglang:inter_token_latency_seconds has a sample per token and cannot judge a request.
          .tpot = {},
          .e2e = {"sglang:e2e_request_latency_seconds"},
          .failed = {"sglang:num_aborted_requests_total"},
          .prompt_tokens = {"sglang:prompt_tokens_total"},
          .output_tokens = {"sglang:generation_tokens_total"},
          .started = {"sglang:startup_time_seconds", "process_start_time_seconds"},
          .running = {"sglang:num_running_reqs"},
          .waiting = {"sglang:num_queue_reqs"},
          .kv_use = {"sglang:token_usage"},
          .rank_label = "dp_rank",
          .bucket_help =
              "the bounds are set at its start with --bucket-time-to-first-token and "
              "--bucket-e2e-request-latency"};
}

}  // namespace arqon::adapters::sglang
