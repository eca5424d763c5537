#include "arqon/adapters/llamacpp/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "arqon/wire/diagnostic.h"
#include "arqon/wire/json.h"
#include "arqon/wire/prometheus.h"

namespace arqon::adapters::llamacpp {
namespace {

constexpr std::size_t kAnswerBytesMax = 4u << 20;
constexpr std::size_t kSlotsMax = 4096;

tl::unexpected<Error> strange(std::string_view what, std::string_view why) {
  return fail(ErrorCode::kUnavailable, fmt::format("llama.cpp's {} makes no sense: {}", what, why));
}

double whole(const wire::Value* value) {
  return value != nullptr && value->as_int() != nullptr && *value->as_int() >= 0 ? value->number()
                                                                                 : -1;
}

bool is_true(const wire::Value* value) {
  return value != nullptr && value->as_bool() != nullptr && *value->as_bool();
}

std::string text_of(const wire::Value& value, std::string_view key) {
  const wire::Value* found = value.find(key);
  if (found == nullptr || found->as_string() == nullptr) return {};
  return wire::shortened(*found->as_string(), 200);
}

}  // namespace

Result<Slots> parse_slots(std::string_view json) {
  const auto value = wire::parse_json(json);
  if (!value) return strange("/slots", value.error().message);
  const wire::Array* array = value->as_array();
  if (array == nullptr) return strange("/slots", "it is no list");
  if (array->empty() || array->size() > kSlotsMax) {
    return strange("/slots", "no slots, or too many");
  }
  Slots slots{.count = static_cast<int>(array->size())};
  double held = 0;
  for (const wire::Value& slot : *array) {
    const double context = whole(slot.find("n_ctx"));
    if (context < 1) return strange("/slots", "a slot has no n_ctx");
    const bool first = &slot == &array->front();
    if (!first && context != static_cast<double>(slots.context)) {
      return strange("/slots", "slots of different n_ctx");
    }
    slots.context = static_cast<std::int64_t>(context);
    slots.speculative = slots.speculative || is_true(slot.find("speculative"));
    if (!is_true(slot.find("is_processing"))) continue;
    ++slots.busy;
    held += std::clamp(whole(slot.find("n_prompt_tokens")), 0.0, context);
  }
  slots.kv_use = held / (static_cast<double>(slots.context) * slots.count);
  return slots;
}

Result<Metrics> parse_metrics(std::string_view text) {
  const auto exposition = wire::parse_prometheus(text);
  if (!exposition) return strange("/metrics", exposition.error().message);
  Metrics metrics;
  const auto read = [&](std::string_view name, double& to) {
    const std::string full = fmt::format("llamacpp:{}", name);
    to = exposition->has(full) ? exposition->sum(full) : 0;
    return exposition->has(full) && std::isfinite(to) && to >= 0;
  };
  if (!read("requests_processing", metrics.processing) ||
      !read("requests_deferred", metrics.deferred) || !read("n_decode_total", metrics.decodes) ||
      !read("n_busy_slots_per_decode", metrics.busy_slots_mean) ||
      !read("tokens_predicted_total", metrics.tokens_predicted)) {
    return strange("/metrics", "a series is missing or negative");
  }
  (void)read("spec_decode_num_draft_tokens_total", metrics.drafted);
  (void)read("spec_decode_num_accepted_tokens_total", metrics.accepted);
  return metrics;
}

double busy_slots_between(const Metrics& from, const Metrics& to) {
  const double decodes = to.decodes - from.decodes;
  if (!(decodes > 0)) return 0;
  return std::max(
      0.0, (to.busy_slots_mean * to.decodes - from.busy_slots_mean * from.decodes) / decodes);
}

Result<Props> parse_props(std::string_view json) {
  const auto value = wire::parse_json(json);
  if (!value) return strange("/props", value.error().message);
  if (value->as_object() == nullptr) return strange("/props", "it is no object");
  Props props{.build = text_of(*value, "build_info"), .model = text_of(*value, "model_path")};
  if (props.build.empty()) return strange("/props", "build_info is missing");
  return props;
}

Server::Server(std::string url, std::string model, Duration timeout)
    : url_(std::move(url)), model_(std::move(model)), timeout_(timeout) {}

Result<std::string> Server::get(std::string_view path, Duration timeout) {
  auto answer = client_.send(net::Request{.method = "GET",
                                          .url = url_ + std::string(path),
                                          .headers = {},
                                          .body = {},
                                          .timeout = timeout,
                                          .bytes_max = kAnswerBytesMax,
                                          .unix_socket = {}});
  if (!answer) return tl::unexpected(answer.error());
  if (answer->status != 200) {
    const std::string hint =
        answer->status == 501 || answer->status == 404
            ? " (start llama.cpp with --metrics, --slots and --props)"
            : "";
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}{} answered {}: {}{}", url_, path, answer->status,
                            wire::shortened(answer->body, 200), hint));
  }
  return std::move(answer->body);
}

Result<Slots> Server::slots() {
  const auto body = get("/slots" + query(), timeout_);
  if (!body) return tl::unexpected(body.error());
  return parse_slots(*body);
}

Result<Metrics> Server::metrics() {
  const auto body = get("/metrics" + query(), timeout_);
  if (!body) return tl::unexpected(body.error());
  return parse_metrics(*body);
}

Result<Props> Server::props() {
  const auto body = get("/props" + query(), timeout_);
  if (!body) return tl::unexpected(body.error());
  return parse_props(*body);
}

bool Server::healthy() { return get("/health", timeout_).has_value(); }

Status Server::reload(Duration timeout) {
  if (const auto body = get("/models?reload=1", timeout); !body) {
    return tl::unexpected(body.error());
  }
  net::Request load{.method = "POST",
                    .url = url_ + "/models/load",
                    .headers = {{"Content-Type", "application/json"}},
                    .body = wire::write_json(wire::Object{{"model", model_}}),
                    .timeout = timeout,
                    .bytes_max = kAnswerBytesMax,
                    .unix_socket = {}};
  const auto answer = client_.send(load);
  if (!answer) return tl::unexpected(answer.error());
  // 400 "already running": loading on start was quicker than we are.
  if (answer->status == 200 || answer->status == 400) return {};
  return fail(ErrorCode::kUnavailable,
              fmt::format("{}/models/load answered {}: {}", url_, answer->status,
                          wire::shortened(answer->body, 200)));
}

}  // namespace arqon::adapters::llamacpp
