#include "arqon/agent/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "arqon/agent/near.h"
#include "arqon/os/socket.h"
#include "arqon/serving/second_hand.h"

namespace arqon::agent {
namespace {

constexpr Duration kPatience = std::chrono::seconds(10);
constexpr wire::JsonLimits kAnswerLimits{.bytes_max = 1u << 20, .depth_max = 8};

ErrorCode code_named(std::string_view name) {
  for (const ErrorCode code : {ErrorCode::kUsage, ErrorCode::kInvalidConfig, ErrorCode::kRefused,
                               ErrorCode::kConflict, ErrorCode::kUnavailable}) {
    if (to_string(code) == name) return code;
  }
  return ErrorCode::kInternal;
}

std::string text(const wire::Value& object, std::string_view key) {
  const wire::Value* value = object.find(key);
  const std::string* out = value == nullptr ? nullptr : value->as_string();
  return out == nullptr ? std::string() : *out;
}

// An answer that is none: what may have been done is unknown.
tl::unexpected<Error> garbage(const std::filesystem::path& socket) {
  return fail(ErrorCode::kUnavailable,
              fmt::format("{}: whoever listens there is no agent", socket.string()));
}

Result<Config> values_of(const wire::Value& answer, std::string_view key, std::size_t slots) {
  const wire::Value* values = answer.find(key);
  const wire::Array* array = values == nullptr ? nullptr : values->as_array();
  Config out;
  for (const wire::Value& value : array == nullptr ? wire::Array{} : *array) {
    if (value.is_number()) out.push_back(value.number());
  }
  if (array != nullptr && out.size() == array->size() && out.size() == slots) return out;
  return fail(ErrorCode::kUnavailable, fmt::format("the agent's answer has no \"{}\"", key));
}

}  // namespace

namespace {

// The agent's answer to a request, or the refusal that it is.
Result<wire::Value> read_answer(const std::filesystem::path& socket,
                                const Result<std::string>& answer) {
  if (!answer) return tl::unexpected(answer.error().with_context("agent"));
  auto value = wire::parse_json(*answer, kAnswerLimits);
  const wire::Value* ok = value ? value->find("ok") : nullptr;
  if (ok == nullptr || ok->as_bool() == nullptr) return garbage(socket);
  if (*ok->as_bool()) return std::move(*value);
  return fail(code_named(text(*value, "code")), "agent: " + text(*value, "error"));
}

}  // namespace

Result<wire::Value> ask(const std::filesystem::path& socket, const wire::Object& request,
                        Duration patience) {
  return read_answer(socket, os::ask_unix(socket, wire::write_json(request) + "\n", patience,
                                          kAnswerLimits.bytes_max));
}

Result<wire::Value> Client::ask_once(const wire::Object& request, Duration patience) const {
  if (!options_.transport) return agent::ask(options_.socket, request, patience);
  return read_answer(options_.socket,
                     options_.transport(wire::write_json(request) + "\n", patience));
}

Result<std::unique_ptr<Client>> Client::connect(serving::Engine& local, ClientOptions options) {
  auto client = std::unique_ptr<Client>(new Client(local, std::move(options)));
  if (Status good = client->greet(); !good) return tl::unexpected(good.error());
  return client;
}

Status Client::greet() {
  const auto answer = ask_once({{"do", "status"}}, kPatience);
  if (!answer) return tl::unexpected(answer.error());
  const wire::Value* knobs = answer->find("knobs");
  const wire::Array* names = knobs == nullptr ? nullptr : knobs->as_array();
  const wire::Value* generation = answer->find("generation");
  if (names == nullptr || generation == nullptr || generation->as_int() == nullptr) {
    return garbage(options_.socket);
  }
  const std::vector<Parameter>& ours = local_.capabilities().knobs;
  const bool same = std::equal(names->begin(), names->end(), ours.begin(), ours.end(),
                               [](const wire::Value& name, const Parameter& p) {
                                 return name.as_string() != nullptr && *name.as_string() == p.name;
                               });
  if (!same) {
    return fail(ErrorCode::kConflict,
                fmt::format("{}: that agent looks after other knobs; start it with this scenario",
                            options_.socket.string()));
  }
  generation_ = std::max(generation_, static_cast<std::uint64_t>(*generation->as_int()));
  return {};
}

Duration Client::patience() const {
  Duration cost = kPatience;
  for (const serving::KnobFacts& facts : local_.capabilities().facts) {
    cost = std::max(cost, kPatience + 2 * facts.apply_cost);
  }
  return cost;
}

Result<wire::Value> Client::ask(const wire::Object& request) {
  auto answer = ask_once(request, patience());
  reached_ = answer || answer.error().code != ErrorCode::kUnavailable;
  if (reached_ || !options_.revive) return answer;
  // Is it the agent that is gone, or the engine behind it?
  if (ask_once({{"do", "status"}}, kPatience)) {
    reached_ = true;
    return answer;
  }
  if (options_.revive()) reached_ = greet().has_value();
  // The new one puts back what was confirmed: the question is no longer the same.
  return answer;
}

Result<Config> Client::apply(const Config& setting, serving::Scope scope) {
  wire::Array values;
  for (const double v : setting) values.emplace_back(v);
  const auto answer = ask({{"do", "apply"},
                           {"generation", generation_ + 1},
                           {"values", std::move(values)},
                           {"replica", scope.replica},
                           {"lease_s", to_seconds(options_.lease)}});
  // Refused means that nothing was written; everything else may have reached the engine.
  const bool refused = !answer && (answer.error().code == ErrorCode::kRefused ||
                                   answer.error().code == ErrorCode::kInvalidConfig ||
                                   answer.error().code == ErrorCode::kUsage);
  auto* second = dynamic_cast<serving::SecondHand*>(&local_);
  if (second != nullptr && !refused) second->written_for_us(setting, scope);
  if (!answer) {
    // It may have taken the number before it failed.
    if (answer.error().code != ErrorCode::kConflict) (void)greet();
    return tl::unexpected(answer.error());
  }
  ++generation_;
  auto effective = values_of(*answer, "effective", setting.size());
  if (effective && scope.replica < 0) shown_ = *effective;
  return effective;
}

serving::Observation Client::observe(serving::Scope scope) {
  serving::Observation now = local_.observe(scope);
  if (scope.replica < 0 && near(space_, now.effective, shown_)) now.effective = shown_;
  return now;
}

Status Client::confirm() {
  const auto answer = ask({{"do", "confirm"}, {"generation", generation_}});
  if (!answer) return tl::unexpected(answer.error());
  return {};
}

Status Client::renew(Duration lease) {
  const auto answer = ask({{"do", "renew"}, {"lease_s", to_seconds(lease)}});
  if (!answer) return tl::unexpected(answer.error());
  return {};
}

Status Client::requalify() {
  // Whoever writes must agree first: else we would go on and be refused.
  const auto answer = ask({{"do", "requalify"}});
  if (!answer) return tl::unexpected(answer.error());
  return local_.requalify();
}

Status Client::release() {
  const auto answer = ask_once({{"do", "release"}}, kPatience);
  if (!answer) return tl::unexpected(answer.error());
  return {};
}

serving::Health Client::health() {
  const serving::Health health = local_.health();
  return health == serving::Health::kOk && !reached_ ? serving::Health::kDegraded : health;
}

}  // namespace arqon::agent
