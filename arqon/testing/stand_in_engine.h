// A serving engine as a process of its own, for tests of what happens when processes die: settings
// and counters behind a unix socket, one JSON line in, one out. Its traffic comes by the clock, and
// the share of bad requests depends on the setting, so that a tuner has something to find.
#pragma once

#include <poll.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arqon/os/file.h"
#include "arqon/os/process.h"
#include "arqon/os/socket.h"
#include "arqon/serving/engine.h"
#include "arqon/wire/json.h"

namespace arqon::testing {

// main.batch_size serves best at 16; main.wait_ms does nothing.
inline std::vector<Parameter> stand_in_knobs() {
  return {{.name = "main.batch_size", .type = ParamType::kInt, .min = 1, .max = 64},
          {.name = "main.wait_ms", .min = 0, .max = 8}};
}

struct StandInOptions {
  std::filesystem::path socket;
  std::map<std::string, double> boot{{"main.batch_size", 48}, {"main.wait_ms", 2}};
  double rate_per_s = 400;
  std::string version = "1";
};

// The engine's process. Never returns before it is killed or told {"do": "end"}. While the file
// SOCKET.hold is there, a write waits before it is put in force and SOCKET.held tells so; while
// SOCKET.mute is there, nothing is answered.
class StandInServer {
 public:
  explicit StandInServer(StandInOptions options)
      : options_(std::move(options)), values_(options_.boot), last_(clock_.now()) {}

  int run() {
    auto listener = os::UnixListener::open(options_.socket);
    if (!listener) return 1;
    while (!ended_) {
      pollfd p{listener->fd(), POLLIN, 0};
      poll(&p, 1, 1000);
      while (exists(".mute")) poll(nullptr, 0, 5);
      listener->serve([this](std::string_view line) { return answer(line); });
    }
    return 0;
  }

 private:
  bool exists(const char* suffix) const {
    std::error_code error;
    return std::filesystem::exists(options_.socket.string() + suffix, error);
  }

  std::string answer(std::string_view line) {
    const auto request = wire::parse_json(line);
    const wire::Value* verb = request ? request->find("do") : nullptr;
    const std::string what = verb != nullptr && verb->as_string() ? *verb->as_string() : "";
    serve_traffic();
    if (what == "end") ended_ = true;
    if (what == "set") set(*request);
    wire::Object values;
    for (const auto& [name, value] : values_) values.emplace_back(name, wire::Value(value));
    return wire::write_json(wire::Object{{"version", options_.version},
                                         {"epoch", epoch_},
                                         {"good", good_},
                                         {"bad", bad_},
                                         {"writes", writes_},
                                         {"values", std::move(values)}}) +
           "\n";
  }

  void set(const wire::Value& request) {
    if (exists(".hold")) {
      (void)os::write_file(options_.socket.string() + ".held", "");
      while (exists(".hold")) poll(nullptr, 0, 5);
    }
    const wire::Value* values = request.find("values");
    const wire::Object* members = values == nullptr ? nullptr : values->as_object();
    for (const wire::Member& m : members == nullptr ? wire::Object{} : *members) {
      values_[m.first] = m.second.number();
    }
    ++writes_;
  }

  void serve_traffic() {
    const TimePoint now = clock_.now();
    due_ += to_seconds(now - last_) * options_.rate_per_s;
    last_ = now;
    const double share = std::abs(values_["main.batch_size"] - 16) / 64;
    for (; due_ >= 1; due_ -= 1) {
      owed_ += share;
      if (owed_ >= 1) {
        owed_ -= 1;
        ++bad_;
      } else {
        ++good_;
      }
    }
  }

  StandInOptions options_;
  os::SystemClock clock_;
  std::map<std::string, double> values_;
  TimePoint last_;
  // Another number after each start, as the start time of a process is.
  std::int64_t epoch_ = clock_.now().time_since_epoch().count() / 1'000'000;
  std::uint64_t good_ = 0, bad_ = 0, writes_ = 0;
  double due_ = 0, owed_ = 0;
  bool ended_ = false;
};

// The adapter's side: what a tuner or an agent attaches to.
class StandInEngine final : public serving::Engine {
 public:
  // kUnavailable when nobody answers.
  static Result<std::unique_ptr<serving::Engine>> attach(std::filesystem::path socket,
                                                         std::vector<Parameter> knobs,
                                                         std::vector<serving::Slo> classes,
                                                         Clock& clock) {
    auto engine = std::unique_ptr<StandInEngine>(new StandInEngine(std::move(socket), clock));
    engine->capabilities_.knobs = knobs.empty() ? stand_in_knobs() : std::move(knobs);
    engine->capabilities_.classes = std::move(classes);
    engine->capabilities_.settle.assign(engine->capabilities_.knobs.size(),
                                        std::chrono::seconds(1));
    const auto state = engine->ask(wire::Object{{"do", "get"}});
    if (!state) return tl::unexpected(state.error());
    engine->capabilities_.engine = "stand_in";
    engine->capabilities_.identity = engine->identity_of(*state);
    engine->last_.classes.resize(engine->capabilities_.classes.size());
    engine->take(*state);
    engine->capabilities_.boot = engine->last_.effective;
    return std::unique_ptr<serving::Engine>(std::move(engine));
  }

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return capabilities_; }
  Result<Config> apply(const Config& setting, serving::Scope) override {
    wire::Object values;
    for (std::size_t k = 0; k < capabilities_.knobs.size(); ++k) {
      values.emplace_back(capabilities_.knobs[k].name, setting[k]);
    }
    const auto state = ask(wire::Object{{"do", "set"}, {"values", std::move(values)}});
    if (!state) return tl::unexpected(state.error());
    take(*state);
    return last_.effective;
  }
  serving::Observation observe(serving::Scope) override {
    const auto state = ask(wire::Object{{"do", "get"}});
    health_ = serving::Health::kOk;
    if (!state) {
      health_ = serving::Health::kDown;
    } else if (identity_of(*state) != capabilities_.identity) {
      health_ = serving::Health::kUnqualified;
    }
    if (state) take(*state);
    last_.fresh = state.has_value();
    last_.at = clock_.now();
    return last_;
  }
  serving::Health health() override { return health_; }
  Status requalify() override {
    const auto state = ask(wire::Object{{"do", "get"}});
    if (!state) return tl::unexpected(state.error());
    capabilities_.identity = identity_of(*state);
    health_ = serving::Health::kOk;
    return {};
  }

 private:
  StandInEngine(std::filesystem::path socket, Clock& clock)
      : socket_(std::move(socket)), clock_(clock) {}

  Result<wire::Value> ask(wire::Object request) {
    const auto text =
        os::ask_unix(socket_, wire::write_json(std::move(request)) + "\n", std::chrono::seconds(2));
    if (!text) return tl::unexpected(text.error());
    auto state = wire::parse_json(*text);
    if (state && state->find("values") != nullptr) return std::move(*state);
    return fail(ErrorCode::kUnavailable, "the stand-in engine answers garbage");
  }
  serving::Identity identity_of(const wire::Value& state) const {
    return {"stand_in " + *state.find("version")->as_string(), "model", "cpu"};
  }
  void take(const wire::Value& state) {
    const auto number = [&](const char* key) {
      return static_cast<std::uint64_t>(state.find(key)->number());
    };
    last_.epoch = number("epoch");
    for (serving::ClassCounters& c : last_.classes) {
      c.good = number("good");
      c.bad = number("bad");
      c.arrived = c.good + c.bad;
      c.good_tokens = 100 * c.good;
      c.output_tokens = 100 * c.arrived;
      c.bad_by[static_cast<std::size_t>(serving::Limit::kGap)] = c.bad;
    }
    last_.effective.clear();
    for (const Parameter& p : capabilities_.knobs) {
      last_.effective.push_back(state.find("values")->find(p.name)->number());
    }
  }

  std::filesystem::path socket_;
  Clock& clock_;
  serving::Capabilities capabilities_;
  serving::Observation last_;
  serving::Health health_ = serving::Health::kOk;
};

}  // namespace arqon::testing
