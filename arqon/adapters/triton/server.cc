#include "arqon/adapters/triton/server.h"

#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <utility>

#include "arqon/adapters/triton/model_config.h"
#include "arqon/net/grpc.h"

namespace arqon::adapters::triton {
namespace {

using wire::Value;

constexpr Duration kReadTimeout = std::chrono::seconds(2);
constexpr Duration kProbeTimeout = std::chrono::seconds(1);
constexpr std::size_t kWordsMax = 300;  // of a foreign text that we repeat
constexpr std::string_view kLoad = "/inference.GRPCInferenceService/RepositoryModelLoad";

std::string shortened(std::string_view text) { return wire::shortened(text, kWordsMax); }

// "error" of Triton's JSON errors, else the text itself.
std::string words_of(const net::Response& response) {
  if (const auto json = wire::parse_json(response.body)) {
    const Value* error = json->find("error");
    if (error != nullptr && error->as_string() != nullptr) return shortened(*error->as_string());
  }
  return shortened(response.body);
}

tl::unexpected<Error> nonsense(std::string_view url, std::string_view what) {
  return fail(ErrorCode::kRefused, fmt::format("{}: the answer makes no sense: {}", url, what));
}

std::int64_t whole_text(const Value* value) {
  std::int64_t number = 0;
  if (value == nullptr) return 0;
  if (const std::string* text = value->as_string()) {
    std::from_chars(text->data(), text->data() + text->size(), number);
  } else if (const std::int64_t* there = value->as_int()) {
    number = *there;
  }
  return number;
}

double mean_ms(const Value& row, std::uint64_t& executions) {
  double ns = 0;
  for (const std::string_view part : {"compute_input", "compute_infer", "compute_output"}) {
    const Value* stat = row.find(part);
    if (stat == nullptr) continue;
    const Value* count = stat->find("count");
    const Value* total = stat->find("ns");
    if (count == nullptr || total == nullptr || count->number() < 1) continue;
    ns += total->number() / count->number();
    executions = static_cast<std::uint64_t>(count->number());
  }
  return ns * 1e-6;
}

}  // namespace

Transport real_transport() {
  // Loads on a connection of their own: they block for seconds.
  const auto reads = std::make_shared<net::Client>();
  const auto loads = std::make_shared<net::Client>();
  return {.http = [reads](const net::Request& request) { return reads->send(request); },
          .grpc =
              [loads](std::string_view target, std::string_view method, std::string_view message,
                      Duration timeout) {
                return net::grpc_call(*loads, target, method, message, timeout);
              }};
}

Addresses guess_addresses(std::string_view http) {
  Addresses all{.http = std::string(http), .grpc = {}, .metrics = {}};
  const std::size_t colon = http.rfind(':');
  unsigned port = 0;
  if (colon == std::string_view::npos) return all;
  const std::string_view digits = http.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port > 65533) return all;
  all.grpc = fmt::format("{}:{}", http.substr(0, colon), port + 1);
  all.metrics = fmt::format("{}:{}", http.substr(0, colon), port + 2);
  return all;
}

std::string load_message(std::string_view model, std::string_view config) {
  std::string text;  // ModelRepositoryParameter.string_param
  net::append_bytes_field(text, 3, config);
  std::string entry;  // map<string, ModelRepositoryParameter>
  net::append_bytes_field(entry, 1, "config");
  net::append_bytes_field(entry, 2, text);
  std::string message;
  net::append_bytes_field(message, 2, model);
  if (!config.empty()) net::append_bytes_field(message, 3, entry);
  return message;
}

Result<net::Response> Server::get(const std::string& url, Duration timeout) const {
  net::Request request;
  request.url = url;
  request.timeout = timeout;
  return transport_.http(request);
}

Result<Value> Server::get_json(std::string_view path) const {
  const std::string url = addresses_.http + std::string(path);
  const auto response = get(url, kReadTimeout);
  if (!response) return tl::unexpected(response.error());
  if (response->status != 200) {
    return fail(ErrorCode::kRefused,
                fmt::format("{}: status {}: {}", url, response->status, words_of(*response)));
  }
  wire::JsonLimits limits;
  limits.string_bytes_max = 1u << 20;  // models carry whole templates in their parameters
  auto json = wire::parse_json(response->body, limits);
  if (!json) {
    return nonsense(url, fmt::format("line {}, column {}: {}", json.error().line,
                                     json.error().column, json.error().message));
  }
  return std::move(*json);
}

Result<std::string> Server::version() const {
  const auto about = get_json("/v2");
  if (!about) return tl::unexpected(about.error());
  const Value* name = about->find("name");
  const Value* version = about->find("version");
  if (name == nullptr || name->as_string() == nullptr || *name->as_string() != "triton" ||
      version == nullptr || version->as_string() == nullptr) {
    return nonsense(addresses_.http + "/v2", "it does not say that it is a Triton");
  }
  return *version->as_string();
}

Result<std::vector<std::string>> Server::versions() const {
  const auto about = get_json("/v2/models/" + model_);
  if (!about) return tl::unexpected(about.error());
  const Value* list = about->find("versions");
  if (list == nullptr || list->as_array() == nullptr) {
    return nonsense(addresses_.http + "/v2/models/" + model_, "no versions");
  }
  std::vector<std::string> names;
  for (const Value& version : *list->as_array()) {
    if (version.as_string() != nullptr) names.push_back(*version.as_string());
  }
  return names;
}

Result<std::vector<std::string>> Server::models() const {
  net::Request request;
  request.method = "POST";
  request.url = addresses_.http + "/v2/repository/index";
  request.timeout = kReadTimeout;
  request.body = R"({"ready":true})";
  const auto response = transport_.http(request);
  if (!response) return tl::unexpected(response.error());
  const auto list = wire::parse_json(response->body);
  if (response->status != 200 || !list || list->as_array() == nullptr) {
    return nonsense(request.url, words_of(*response));
  }
  std::vector<std::string> names;
  for (const Value& model : *list->as_array()) {
    const Value* name = model.find("name");
    if (name != nullptr && name->as_string() != nullptr) names.push_back(*name->as_string());
  }
  return names;
}

Result<Value> Server::config() const {
  auto config = get_json("/v2/models/" + model_ + "/config");
  if (!config) return config;
  if (const Status whole = check_whole(*config, model_); !whole) {
    return tl::unexpected(whole.error());
  }
  return config;
}

Result<wire::Exposition> Server::metrics() const {
  const std::string url = addresses_.metrics + "/metrics";
  const auto response = get(url, kReadTimeout);
  if (!response) return tl::unexpected(response.error());
  if (response->status != 200) {
    return fail(ErrorCode::kRefused, fmt::format("{}: status {}", url, response->status));
  }
  auto exposition = wire::parse_prometheus(response->body);
  if (!exposition) {
    return nonsense(url, fmt::format("line {}, column {}: {}", exposition.error().line,
                                     exposition.error().column, exposition.error().message));
  }
  return std::move(*exposition);
}

Result<TraceSetting> Server::trace_setting() const {
  const auto json = get_json("/v2/models/" + model_ + "/trace/setting");
  if (!json) return tl::unexpected(json.error());
  TraceSetting setting;
  if (const Value* levels = json->find("trace_level"); levels != nullptr && levels->as_array()) {
    for (const Value& level : *levels->as_array()) {
      setting.timestamps = setting.timestamps || level == Value("TIMESTAMPS");
    }
  }
  setting.rate = whole_text(json->find("trace_rate"));
  setting.log_frequency = whole_text(json->find("log_frequency"));
  const Value* file = json->find("trace_file");
  if (file != nullptr && file->as_string() != nullptr) setting.file = *file->as_string();
  return setting;
}

Result<std::vector<ServicePoint>> Server::service_curve() const {
  const auto json = get_json("/v2/models/" + model_ + "/stats");
  if (!json) return tl::unexpected(json.error());
  std::vector<ServicePoint> curve;
  const Value* models = json->find("model_stats");
  if (models == nullptr || models->as_array() == nullptr || models->as_array()->empty()) {
    return nonsense(addresses_.http + "/v2/models/" + model_ + "/stats", "no model_stats");
  }
  const Value* rows = models->as_array()->back().find("batch_stats");
  if (rows == nullptr || rows->as_array() == nullptr) return curve;
  for (const Value& row : *rows->as_array()) {
    ServicePoint point;
    point.batch = static_cast<int>(whole_text(row.find("batch_size")));
    point.mean_ms = mean_ms(row, point.executions);
    if (point.batch >= 1 && point.executions >= 1) curve.push_back(point);
  }
  return curve;
}

Result<bool> Server::ready(std::string_view path) const {
  const auto response = get(addresses_.http + std::string(path), kProbeTimeout);
  if (!response) return tl::unexpected(response.error());
  return response->status == 200;
}

Result<bool> Server::server_ready() const { return ready("/v2/health/ready"); }

Result<bool> Server::model_ready() const { return ready("/v2/models/" + model_ + "/ready"); }

Result<std::string> Server::load_call(std::string_view model, std::string_view config,
                                      Duration timeout) const {
  return transport_.grpc(addresses_.grpc, kLoad, load_message(model, config), timeout);
}

Status Server::load(const Value& config, Duration timeout) const {
  const auto answer = load_call(model_, wire::write_json(config), timeout);
  if (answer) return {};
  return tl::unexpected(Error{answer.error().code, shortened(answer.error().message)});
}

Status Server::check_control() const {
  const auto answer = load_call("arqonhpo-asks-whether-loads-are-allowed", "", kReadTimeout);
  if (answer) return {};
  const Error& error = answer.error();
  if (error.code == ErrorCode::kUnavailable) {
    return fail(error.code, fmt::format("gRPC at {} does not answer: {}; loads go by gRPC because "
                                        "a load over HTTP freezes requests; name the port as "
                                        "target.grpc",
                                        addresses_.grpc, shortened(error.message)));
  }
  if (error.message.find("polling is enabled") != std::string::npos) {
    return fail(ErrorCode::kRefused,
                "the server does not take loads: start it with --model-control-mode=explicit "
                "--load-model=" +
                    model_);
  }
  if (error.message.find("restricted") != std::string::npos) {
    return fail(ErrorCode::kRefused,
                "the server restricts its model-repository protocol (" + shortened(error.message) +
                    "): leave it out of --grpc-restricted-protocol on a loopback address");
  }
  return {};  // it looked for the model and did not find it: loads are allowed
}

}  // namespace arqon::adapters::triton
