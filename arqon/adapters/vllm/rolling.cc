#include "arqon/adapters/vllm/rolling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "arqon/wire/diagnostic.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::vllm {
namespace {

constexpr Duration kPoll = std::chrono::milliseconds(100);
constexpr Duration kAsk = std::chrono::seconds(2);
constexpr Duration kWarmUp = std::chrono::minutes(2);

// True when `done` said yes before the deadline.
bool wait_for(const RollingTools& tools, Duration patience, const std::function<bool()>& done) {
  const TimePoint end = tools.clock->now() + patience;
  while (!done()) {
    if (tools.clock->now() >= end) return false;
    if (tools.meanwhile) tools.meanwhile();
    tools.clock->wait_until(tools.clock->now() + kPoll);
  }
  return true;
}

Status drain(const RollingRequest& request, const RollingTools& tools, Duration patience) {
  if (auto drained = tools.router->drain(request.replica); !drained) return drained;
  Error last{ErrorCode::kUnavailable, "requests are still open"};
  const bool idle = wait_for(tools, patience, [&] {
    const auto idle_now = tools.router->is_idle(request.replica);
    if (!idle_now) last = idle_now.error();
    return idle_now && *idle_now;
  });
  if (idle) return {};
  (void)tools.router->ready(request.replica);
  return tl::unexpected(last.with_context(fmt::format("replica {} did not empty within {:.0f} s",
                                                      request.replica, to_seconds(patience))));
}

Status run_command(const RollingRequest& request, const RestartValues& values,
                   const RollingTools& tools, Duration patience) {
  os::RunOptions options;
  options.timeout = patience;
  for (const auto& [name, value] : values) {
    std::string key = "ARQONHPO_" + name;
    std::ranges::transform(key, key.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    options.environment.emplace_back(std::move(key), value);
  }
  const auto result = tools.run(filled(request.command, values), options);
  if (!result) return tl::unexpected(result.error().with_context("the restart command"));
  if (result->exit_code == 0) return {};
  return fail(ErrorCode::kUnavailable,
              fmt::format("the restart command ended with {}: {}", result->exit_code,
                          wire::shortened(result->err, 200)));
}

bool is_ready(const RollingRequest& request, const RollingTools& tools) {
  return get_text(tools.http, request.url + "/health", kAsk).has_value() && tools.is_new();
}

// The first request pays for what an engine builds at its first request.
Status warm_up(const RollingRequest& request, const RollingTools& tools) {
  const auto models = get_text(tools.http, request.url + "/v1/models", kAsk);
  if (!models) return tl::unexpected(models.error());
  const auto list = wire::parse_json(*models);
  const wire::Value* data = list ? list->find("data") : nullptr;
  const wire::Array* all = data == nullptr ? nullptr : data->as_array();
  const wire::Value* id = all == nullptr || all->empty() ? nullptr : all->front().find("id");
  if (id == nullptr) return fail(ErrorCode::kUnavailable, "/v1/models names no model");
  net::Request ask;
  ask.method = "POST";
  ask.url = request.url + "/v1/completions";
  ask.headers = {{"content-type", "application/json"}};
  ask.body =
      wire::write_json(wire::Object{{"model", *id}, {"prompt", "warm up"}, {"max_tokens", 4}});
  ask.timeout = kWarmUp;
  const auto answer = tools.http(ask);
  if (!answer) return tl::unexpected(answer.error());
  if (answer->status == 200) return {};
  return fail(ErrorCode::kUnavailable,
              fmt::format("the warm-up request was answered with HTTP {}", answer->status));
}

Status bring_up(const RollingRequest& request, const RestartValues& values,
                const RollingTools& tools, const RollingDeadlines& deadlines) {
  if (auto run = run_command(request, values, tools, deadlines.command); !run) return run;
  if (!wait_for(tools, deadlines.ready, [&] { return is_ready(request, tools); })) {
    return fail(ErrorCode::kUnavailable, fmt::format("{} was not ready within {:.0f} s",
                                                     request.url, to_seconds(deadlines.ready)));
  }
  return warm_up(request, tools);
}

}  // namespace

std::vector<std::string> filled(const std::vector<std::string>& command,
                                const RestartValues& values) {
  std::vector<std::string> out = command;
  for (std::string& word : out) {
    for (const auto& [name, value] : values) {
      const std::string slot = "{" + name + "}";
      for (std::size_t at = 0; (at = word.find(slot, at)) != std::string::npos;) {
        word.replace(at, slot.size(), value);
        at += value.size();
      }
    }
  }
  return out;
}

Status roll(const RollingRequest& request, const RollingTools& tools,
            const RollingDeadlines& deadlines) {
  if (auto drained = drain(request, tools, deadlines.drain); !drained) {
    return fail(ErrorCode::kRefused, drained.error().message);
  }
  const Status up = bring_up(request, request.wanted, tools, deadlines);
  if (up) return tools.router->ready(request.replica);
  const Status back = bring_up(request, request.former, tools, deadlines);
  if (!back) {
    return fail(
        ErrorCode::kUnavailable,
        fmt::format("replica {} is out of service, drained: {}; nor did it come back with "
                    "its former values: {}. Start {} by hand and set it ready at the "
                    "router",
                    request.replica, up.error().message, back.error().message, request.url));
  }
  if (auto ready = tools.router->ready(request.replica); !ready) return ready;
  return fail(ErrorCode::kRefused, fmt::format("replica {} serves with its former values: {}",
                                               request.replica, up.error().message));
}

}  // namespace arqon::adapters::vllm
