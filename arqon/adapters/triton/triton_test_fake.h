// A Triton made of recorded answers (tests/recorded/triton, Triton 2.51.0) with just enough life:
// loads replace its config as the real one does, requests move its counters, faults on demand.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/adapters/triton/server.h"
#include "arqon/os/file.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::triton {

inline std::string recorded(std::string_view name) {
  const auto path = std::filesystem::path(ARQON_SOURCE_DIR) / "tests/recorded/triton" / name;
  return os::read_file(path, 1u << 20).value_or("");
}

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

class FakeTriton {
 public:
  std::string config = recorded("config.json");
  std::string boot_config = config;
  std::string server = recorded("server.json");
  std::string trace_setting =
      R"({"trace_level":["OFF"],"trace_rate":"1000","log_frequency":"0","trace_file":""})";
  double success = 0, rejected = 0, backend = 0, pending = 0;
  double p99_ms = 20;  // of the summary; the median is half of it
  bool summaries = true;
  int loads = 0;  // that named a config
  // Faults.
  bool down = false, mute = false, explicit_control = true, no_effect = false, refuse = false;
  std::string load_breaks;                  // put in place of a load's empty parameters
  std::function<void(std::string&)> clamp;  // changes what a load puts in force
  std::function<void(std::string&)> mangle_config, mangle_metrics;

  Transport transport() {
    return {.http = [this](const net::Request& request) { return answer(request); },
            .grpc = [this](std::string_view, std::string_view, std::string_view message,
                           Duration) { return load(message); }};
  }
  // A new process: the file's config, counters from nothing.
  void restart() {
    config = boot_config;
    success = rejected = backend = 0;
  }

 private:
  static net::Response ok(std::string body) {
    return {.status = 200, .headers = {}, .body = std::move(body)};
  }

  Result<net::Response> answer(const net::Request& request) {
    const auto ends = [&](std::string_view tail) { return request.url.ends_with(tail); };
    if (down) return fail(ErrorCode::kUnavailable, request.url + ": connection refused");
    if (ends("/ready")) return ok("");
    if (mute) return fail(ErrorCode::kUnavailable, request.url + ": no answer within 2 s");
    if (ends("/metrics")) return ok(metrics());
    if (ends("/v2")) return ok(server);
    if (ends("/config")) return ok(mangled(config, mangle_config));
    if (ends("/trace/setting")) return ok(trace_setting);
    if (ends("/stats")) return ok(recorded("stats.json"));
    if (ends("/repository/index")) return ok(recorded("index.json"));
    if (ends("/v2/models/sleeper")) return ok(recorded("model.json"));
    return net::Response{
        .status = 404, .headers = {}, .body = R"({"error":"Request for unknown model"})"};
  }

  static std::string mangled(std::string text, const std::function<void(std::string&)>& mangle) {
    if (mangle) mangle(text);
    return text;
  }

  std::string metrics() const {
    std::string text = fmt::format(
        "nv_inference_request_success{{model=\"sleeper\",version=\"1\"}} {0}\n"
        "nv_inference_request_failure{{model=\"sleeper\",reason=\"REJECTED\",version=\"1\"}} {1}\n"
        "nv_inference_request_failure{{model=\"sleeper\",reason=\"BACKEND\",version=\"1\"}} {2}\n"
        "nv_inference_count{{model=\"sleeper\",version=\"1\"}} {0}\n"
        "nv_inference_exec_count{{model=\"sleeper\",version=\"1\"}} {0}\n"
        "nv_inference_request_duration_us{{model=\"sleeper\",version=\"1\"}} {3}\n"
        "nv_inference_queue_duration_us{{model=\"sleeper\",version=\"1\"}} {0}\n"
        "nv_inference_pending_request_count{{model=\"sleeper\",version=\"1\"}} {4}\n"
        "nv_inference_request_success{{model=\"other\",version=\"1\"}} 77\n",
        success, rejected, backend, success * 1000, pending);
    const std::string head = "nv_inference_request_summary_us{model=\"sleeper\",version=\"1\",";
    if (summaries) {
      text += head + fmt::format("quantile=\"0.5\"}} {}\n", success > 0 ? p99_ms * 500 : 0.0);
      text += head + fmt::format("quantile=\"0.99\"}} {}\n", success > 0 ? p99_ms * 1000 : 0.0);
    }
    return mangled(text, mangle_metrics);
  }

  Result<std::string> load(std::string_view message) {
    if (down || mute) return fail(ErrorCode::kUnavailable, "gRPC: no answer");
    const std::string prefix = "gRPC: ";
    if (!explicit_control) {
      return fail(ErrorCode::kRefused,
                  prefix + "explicit model load / unload is not allowed if polling is enabled");
    }
    const std::size_t begin = message.find('{');
    if (message.find("sleeper") == std::string_view::npos || begin == std::string_view::npos) {
      return fail(ErrorCode::kRefused, prefix +
                                           "failed to load 'x', failed to poll from model "
                                           "repository (gRPC status 13)");
    }
    ++loads;
    if (refuse) return fail(ErrorCode::kRefused, prefix + "load failed: told to fail");
    if (!no_effect) config = std::string(message.substr(begin));
    replace_all(config, "\"preferred_batch_size\":[]", "\"preferred_batch_size\":[32]");
    if (clamp) clamp(config);
    if (!load_breaks.empty()) replace_all(config, "\"parameters\":{}", load_breaks);
    return std::string();
  }
};

}  // namespace arqon::adapters::triton
