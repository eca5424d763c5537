// Against a real Triton; tests/engines/test_triton.py starts it and names it in the environment:
//   ARQON_TRITON_URL         its HTTP port; gRPC and metrics are the next two
//   ARQON_TRITON_DOOR        the same HTTP through a proxy, and
//   ARQON_TRITON_GRPC        its gRPC through a relay: what the battery's adapter is given
//   ARQON_TRITON_CONTROL     words of a command that takes a verb of test_triton.py as its last
//   ARQON_TRITON_REPOSITORY  its model repository, with the model "sleeper" (8 + 1 * batch ms)
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <thread>
#include <utility>

#include "arqon/adapters/triton/model_config.h"
#include "arqon/adapters/triton/triton.h"
#include "arqon/os/file.h"
#include "arqon/os/process.h"
#include "arqon/testing/engine_suite.h"
#include "arqon/testing/replay_server.h"
#include "bench/triton_load.h"

namespace arqon::adapters::triton {
namespace {

namespace fs = std::filesystem;
using serving::Health;
using testing::Fault;

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct Place {
  std::string url = from_environment("ARQON_TRITON_URL");
  std::string control = from_environment("ARQON_TRITON_CONTROL");
  std::string door = from_environment("ARQON_TRITON_DOOR");
  std::string grpc = from_environment("ARQON_TRITON_GRPC");
  fs::path repository = from_environment("ARQON_TRITON_REPOSITORY");
  bool there() const {
    return !url.empty() && !control.empty() && !repository.empty() && !door.empty() &&
           !grpc.empty();
  }
  fs::path config() const { return repository / "sleeper/config.pbtxt"; }
};
constexpr const char* kAbsent = "no Triton: ARQON_TRITON_URL and the others are not set";

Status control(const Place& place, const std::string& verb) {
  std::vector<std::string> words;
  std::istringstream split(place.control);
  for (std::string word; split >> word;) words.push_back(word);
  words.push_back(verb);
  os::RunOptions options;
  options.timeout = std::chrono::seconds(60);
  const auto done = os::run(words, options);
  if (!done) return tl::unexpected(done.error());
  if (done->exit_code == 0) return {};
  return fail(ErrorCode::kUnavailable, verb + ": " + done->out + done->err);
}

Status edit(const fs::path& file, std::string_view from, std::string_view to) {
  auto text = os::read_file(file, 1u << 20);
  if (!text) return tl::unexpected(text.error());
  const std::size_t at = text->find(from);
  if (at == std::string::npos)
    return fail(ErrorCode::kInternal, file.string() + ": no " + std::string(from));
  text->replace(at, from.size(), to);
  return os::write_file(file, *text);
}

// What adapters see of the metrics, so that a test can spoil it.
class MetricsProxy {
 public:
  explicit MetricsProxy(std::string target)
      : server_([this, target](const testing::ReplayRequest&) { return pass(target); }) {}
  std::string url() const { return server_.url(); }
  std::function<void(std::string&)> spoil;

 private:
  testing::ReplayAnswer pass(const std::string& target) {
    const auto answer = client_.get(target + "/metrics");
    if (!answer) return {.fault = testing::ReplayFault::kHangUp};
    std::string body = answer->body;
    if (spoil) spoil(body);
    return {.status = answer->status, .headers = {}, .body = std::move(body)};
  }
  net::Client client_;
  testing::ReplayServer server_;
};

AttachRequest request_for(const Place& place, Clock& clock, double e2e_ms, wire::Object more = {}) {
  wire::Object target{
      {"engine", "triton"}, {"url", place.url}, {"model", "sleeper"}, {"load_timeout_s", 20}};
  for (auto& member : more) target.push_back(std::move(member));
  serving::Slo slo{.name = "all"};
  slo.e2e_ms = e2e_ms;
  return {
      .target = wire::Value(std::move(target)),
      .knobs = {{.name = "main.preferred_batch_size", .type = ParamType::kInt, .min = 1, .max = 32},
                {.name = "main.max_wait_ms", .min = 0, .max = 50}},
      .classes = {slo},
      .clock = clock};
}

// ---- The battery on the real thing

class RealTriton final : public testing::Rig {
 public:
  explicit RealTriton(Place place)
      : place_(std::move(place)), metrics_(guess_addresses(place_.url).metrics) {}

  Status attach() {
    AttachRequest request = request_for(
        place_, clock_, 1000,
        {{"metrics", metrics_.url()}, {"latency", "trace"}, {"grpc", place_.grpc}});
    for (auto& [key, value] : *request.target.as_object()) {
      if (key == "url") value = place_.door;
    }
    auto engine = triton::attach(request);
    if (!engine) return tl::unexpected(engine.error());
    engine_ = std::move(*engine);
    return {};
  }
  serving::Engine& engine() override { return *engine_; }
  Clock& clock() override { return clock_; }
  std::string_view kind() const override { return "real"; }
  Status drive(int requests) override {
    net::Client client;
    for (int i = 0; i < requests; ++i) {
      const auto answer = client.post_json(
          place_.url + "/v2/models/sleeper/infer",
          R"({"inputs":[{"name":"IN","shape":[1,1],"datatype":"INT32","data":[1]}]})");
      if (!answer) return tl::unexpected(answer.error());
    }
    return {};
  }
  std::set<Fault> supports() const override {
    return {Fault::kRefuse,       Fault::kCounterReset, Fault::kOtherFlags, Fault::kLessCapacity,
            Fault::kDown,         Fault::kGarbage,      Fault::kHalfWritten, Fault::kHang,
            Fault::kNoEffect,     Fault::kClamp};
  }
  std::string why_not(Fault fault) const override {
    switch (fault) {
      case Fault::kIdle:
        return "an idle Triton loads at once";
      default:
        return "Triton answers with tensors, not tokens";
    }
  }
  Status inject(Fault fault) override { return set(fault, true); }
  Status heal(Fault fault) override { return set(fault, false); }
  Duration patience() const override { return std::chrono::seconds(30); }

 private:
  Status restart(bool on) {
    if (!on) return {};
    if (const Status dead = control(place_, "kill"); !dead) return dead;
    return control(place_, "start");
  }
  Status restart_with(std::string_view from, std::string_view to) {
    if (const Status edited = edit(place_.config(), from, to); !edited) return edited;
    return restart(true);
  }
  // A model that fails to initialise: Triton keeps the old copy.
  Status refuse(bool on) {
    const fs::path model = place_.repository / "sleeper/1/model.py";
    constexpr std::string_view kFails = "raise RuntimeError('told to fail')\n";
    return on ? edit(model, "", kFails) : edit(model, kFails, "");
  }
  Status set(Fault fault, bool on) {
    switch (fault) {
      case Fault::kRefuse:
        return refuse(on);
      case Fault::kCounterReset:
        return restart(on);
      case Fault::kOtherFlags:
        return on ? restart_with("name: \"sleeper\"",
                                 "name: \"sleeper\" default_model_filename: \"model.py\" "
                                 "parameters { key: \"tag\" value { string_value: \"7\" } }")
                  : Status{};
      case Fault::kLessCapacity:
        return on ? restart_with("max_batch_size: 32", "max_batch_size: 16")
                  : restart_with("max_batch_size: 16", "max_batch_size: 32");
      case Fault::kDown:
        return control(place_, on ? "kill" : "start");
      case Fault::kHang:
        return control(place_, on ? "hang" : "pass");
      case Fault::kClamp:
        return control(place_, on ? "clamp" : "pass");
      case Fault::kNoEffect:  // another server says yes to the load
        return control(place_, on ? "elsewhere" : "here");
      case Fault::kGarbage:
        metrics_.spoil = [on](std::string& text) {
          if (on) text = "\x16\x03 nv_{{{";
        };
        return {};
      case Fault::kHalfWritten:
        metrics_.spoil = [on](std::string& text) {
          if (on) text.resize(text.size() / 2);
        };
        return {};
      default:
        return fail(ErrorCode::kUsage, why_not(fault));
    }
  }

  Place place_;
  os::SystemClock clock_;
  MetricsProxy metrics_;
  std::unique_ptr<serving::Engine> engine_;
};

Result<std::shared_ptr<testing::Rig>> make_rig() {
  Place place;
  if (!place.there()) return fail(ErrorCode::kUnavailable, kAbsent);
  // As it was installed, whatever the last check left behind.
  (void)edit(place.config(),
             " default_model_filename: \"model.py\" parameters { key: \"tag\" value { "
             "string_value: \"7\" } }",
             "");
  auto rig = std::make_shared<RealTriton>(place);
  Status attached = rig->attach();
  if (!attached) {
    if (const Status dead = control(place, "kill"); !dead) return tl::unexpected(dead.error());
    if (const Status up = control(place, "start"); !up) return tl::unexpected(up.error());
    attached = rig->attach();
  }
  if (!attached) return fail(ErrorCode::kInternal, attached.error().message);
  return rig;
}

ARQON_ENGINE_SUITE(TritonReal, make_rig);

// ---- Under load

// Programs that want a core, per core, over the last minute.
double load_per_core() {
  const auto text = os::read_file("/proc/loadavg", 200);
  const double load = text ? std::atof(text->c_str()) : 0;
  return load / std::max(1U, std::thread::hardware_concurrency());
}

class TritonLive : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!place_.there()) GTEST_SKIP() << kAbsent;
    const auto rig = make_rig();  // as installed, and up
    ASSERT_TRUE(rig.has_value()) << rig.error().message;
    ASSERT_TRUE((*rig)->engine().apply((*rig)->engine().capabilities().boot).has_value());
  }
  std::unique_ptr<serving::Engine> attach(double e2e_ms = 1000, wire::Object more = {}) {
    auto engine = triton::attach(request_for(place_, clock_, e2e_ms, std::move(more)));
    EXPECT_TRUE(engine.has_value()) << (engine ? "" : engine.error().message);
    return engine ? std::move(*engine) : nullptr;
  }
  bool await(const std::function<bool()>& holds, double seconds) {
    const TimePoint end = clock_.now() + from_seconds(seconds);
    while (!holds()) {
      if (clock_.now() > end) return false;
      clock_.wait_until(clock_.now() + std::chrono::milliseconds(50));
    }
    return true;
  }
  Place place_;
  os::SystemClock clock_;
};

TEST_F(TritonLive, forty_reloads_under_load_lose_nothing_and_stall_nobody) {
  const auto engine = attach();
  ASSERT_NE(engine, nullptr);
  bench::TritonLoad load(place_.url, "sleeper", 12);
  load.wait(1);
  // How long the machine holds a request up by itself, without any reload.
  const bench::LoadWindow still = load.measure(15, 1e9);
  const TimePoint from = load.now();
  const std::vector<Config> settings{{8, 20}, {12, 5}, {4, 5}, {6, 0}, {10, 10}, {2, 2}, {12, 20}};
  int reloads = 0;
  double slowest_s = 0;
  for (; reloads < 42; ++reloads) {
    const TimePoint begin = clock_.now();
    const auto effective =
        engine->apply(settings[static_cast<std::size_t>(reloads) % settings.size()]);
    ASSERT_TRUE(effective.has_value()) << effective.error().message;
    EXPECT_EQ(*effective, settings[static_cast<std::size_t>(reloads) % settings.size()]);
    slowest_s = std::max(slowest_s, to_seconds(clock_.now() - begin));
  }
  load.wait(0.5);
  const bench::LoadWindow during = load.between(from, load.now(), 1e9);
  // The longest wait that a setting of the list asks for: a batch of 2 for 12 clients.
  constexpr double kService_ms = 70;
  const double stall_ms = during.max_ms - kService_ms;
  const double stall_still_ms = still.max_ms - kService_ms;
  fmt::print(
      "reloads {} requests {} lost {} max {:.0f} ms (stall {:.0f} ms; without reloads {:.0f} "
      "ms) slowest reload {:.2f} s\n",
      reloads, during.requests, during.failed, during.max_ms, std::max(0.0, stall_ms),
      std::max(0.0, stall_still_ms), slowest_s);
  EXPECT_EQ(during.failed, 0u);
  EXPECT_GT(during.requests, 3000u);
  // A machine that keeps requests waiting by itself proves little; a reload that froze connections
  // (as one over HTTP does) would show there too: it takes seconds.
  const bool calm = still.p99_ms < kService_ms && load_per_core() < 1.5;
  EXPECT_LT(stall_ms, calm ? 150.0 : std::max(600.0, 1.5 * stall_still_ms))
      << (calm ? "" : "the machine was busy");
}

TEST_F(TritonLive, partial_and_failing_configs_never_reach_service) {
  const Addresses real = guess_addresses(place_.url);
  std::function<void(std::string&)> spoil;
  net::Client client;
  testing::ReplayServer between(
      [&](const testing::ReplayRequest& request) -> testing::ReplayAnswer {
        const auto answer = client.send({.method = request.method,
                                         .url = real.http + request.path,
                                         .headers = {},
                                         .body = request.body});
        if (!answer) return {.fault = testing::ReplayFault::kHangUp};
        std::string body = answer->body;
        if (spoil && request.path.ends_with("/config")) spoil(body);
        return {.status = answer->status, .headers = {}, .body = std::move(body)};
      });
  AttachRequest request = request_for(place_, clock_, serving::kNoLimit,
                                      {{"grpc", real.grpc}, {"metrics", real.metrics}});
  for (auto& [key, value] : *request.target.as_object()) {
    if (key == "url") value = between.url();
  }
  const auto engine = triton::attach(request);
  ASSERT_TRUE(engine.has_value()) << engine.error().message;
  const auto before = client.get(real.http + "/v2/models/sleeper/config");
  bench::TritonLoad load(place_.url, "sleeper", 4);
  const TimePoint from = load.now();
  const std::vector<std::function<void(std::string&)>> partial{
      [](std::string& text) { text.resize(text.size() / 2); },
      [](std::string& text) {
        text = R"({"name":"sleeper","backend":"python","max_batch_size":32})";
      },
      [](std::string& text) { text.replace(text.find("\"input\":"), 8, "\"inputs\":"); },
      [](std::string& text) { text = "<html>"; }};
  for (const auto& one : partial) {
    spoil = one;
    const auto effective = (*engine)->apply({8, 10});
    ASSERT_FALSE(effective.has_value());
    EXPECT_EQ(effective.error().code, ErrorCode::kRefused) << effective.error().message;
  }
  spoil = nullptr;
  // A model that fails to initialise: Triton keeps the old copy.
  const fs::path model = place_.repository / "sleeper/1/model.py";
  const auto text = os::read_file(model, 1u << 20);
  ASSERT_TRUE(os::write_file(model, "raise RuntimeError('told to fail')\n"));
  const auto effective = (*engine)->apply({8, 10});
  ASSERT_TRUE(os::write_file(model, *text));
  ASSERT_FALSE(effective.has_value());
  EXPECT_EQ(effective.error().code, ErrorCode::kRefused) << effective.error().message;
  fmt::print("failed load: {}\n", effective.error().message);
  load.wait(0.5);
  const bench::LoadWindow all = load.between(from, load.now(), 1e9);
  EXPECT_EQ(all.failed, 0u);
  EXPECT_GT(all.requests, 50u);
  EXPECT_EQ(client.get(real.http + "/v2/models/sleeper/config")->body, before->body);
  EXPECT_TRUE((*engine)->apply({8, 10}).has_value());
}

TEST_F(TritonLive, the_trace_judges_requests_as_their_client_does) {
  constexpr double kLimit_ms = 40;
  const auto engine = attach(kLimit_ms, {{"latency", "trace"}});
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->apply({4, 5}).has_value());
  const auto before = engine->observe().classes[0];
  bench::LoadWindow window;
  {
    bench::TritonLoad load(place_.url, "sleeper", 12);
    const TimePoint from = load.now();
    load.wait(4);
    window = load.between(from, load.now(), kLimit_ms);
  }
  serving::ClassCounters after;
  const auto all = [&] {
    after = engine->observe().classes[0];
    return after.arrived - before.arrived >= window.requests;
  };
  ASSERT_TRUE(await(all, 5)) << after.arrived - before.arrived << " of " << window.requests;
  const double client = static_cast<double>(window.over) / static_cast<double>(window.requests);
  const double traced = static_cast<double>(after.bad - before.bad) /
                        static_cast<double>(after.arrived - before.arrived);
  fmt::print("late: {:.2f} % by the client, {:.2f} % by the trace, of {}\n", 100 * client,
             100 * traced, window.requests);
  EXPECT_LE(after.arrived - before.arrived, window.requests + 12);
  // The client's own time on a shared machine comes on top.
  EXPECT_NEAR(client, traced, load_per_core() < 1.5 ? 0.08 : 0.25);
  EXPECT_GE(client, traced - 0.02);
}

TEST_F(TritonLive, a_stopped_server_is_down_and_comes_back_without_a_loss) {
  const auto engine = attach();
  ASSERT_NE(engine, nullptr);
  bench::TritonLoad load(place_.url, "sleeper", 4);
  load.wait(0.5);
  const serving::Observation before = engine->observe();
  const TimePoint from = load.now();
  ASSERT_TRUE(control(place_, "stop"));
  EXPECT_EQ(engine->health(), Health::kDown);
  EXPECT_FALSE(engine->observe().fresh);
  const auto effective = engine->apply({8, 10});
  ASSERT_FALSE(effective.has_value());
  EXPECT_EQ(effective.error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE(control(place_, "cont"));
  EXPECT_TRUE(await([&] { return engine->health() == Health::kOk; }, 10));
  const serving::Observation after = engine->observe();
  EXPECT_TRUE(after.fresh);
  EXPECT_EQ(after.epoch, before.epoch);
  EXPECT_EQ(after.effective, before.effective);
  load.wait(0.5);
  EXPECT_EQ(load.between(from, load.now(), 1e9).failed, 0u);
}

TEST_F(TritonLive, killed_in_the_middle_of_a_load_it_comes_back_with_its_file_and_a_new_epoch) {
  const auto engine = attach();
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->apply({8, 10}).has_value());
  std::uint64_t epoch = 0;
  {
    bench::TritonLoad load(place_.url, "sleeper", 2);
    load.wait(0.5);
    epoch = engine->observe().epoch;
  }
  std::thread killer([&] {
    os::SystemClock clock;
    clock.wait_until(clock.now() + std::chrono::milliseconds(400));
    EXPECT_TRUE(control(place_, "kill"));
  });
  const auto effective = engine->apply({12, 20});
  killer.join();
  ASSERT_FALSE(effective.has_value());
  EXPECT_EQ(effective.error().code, ErrorCode::kUnavailable) << effective.error().message;
  EXPECT_EQ(engine->health(), Health::kDown);
  ASSERT_TRUE(control(place_, "start"));
  serving::Observation seen;
  ASSERT_TRUE(await([&] { return (seen = engine->observe()).fresh; }, 10));
  EXPECT_EQ(seen.epoch, epoch + 1);
  EXPECT_EQ(seen.effective, (Config{4, 5}));
  EXPECT_EQ(engine->health(), Health::kOk);
  EXPECT_TRUE(engine->apply({8, 10}).has_value());
}

TEST_F(TritonLive, a_service_curve_of_one_epoch_is_the_models_own) {
  const auto engine = attach();
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->apply({12, 20}).has_value());
  {
    bench::TritonLoad load(place_.url, "sleeper", 12);
    load.wait(2);
  }
  const Server server(real_transport(), guess_addresses(place_.url), "sleeper");
  const auto curve = server.service_curve();
  ASSERT_TRUE(curve.has_value());
  const auto full = std::ranges::find(*curve, 12, &ServicePoint::batch);
  ASSERT_NE(full, curve->end());
  fmt::print("batch 12: {:.1f} ms over {} executions\n", full->mean_ms, full->executions);
  EXPECT_GT(full->mean_ms, 19.5);  // 8 + 12 ms of sleep
  EXPECT_LT(full->mean_ms, load_per_core() < 1.5 ? 25 : 80);
  ASSERT_TRUE(engine->apply({8, 20}).has_value());
  EXPECT_TRUE(server.service_curve()->empty());  // a reload begins a new one
}

}  // namespace
}  // namespace arqon::adapters::triton
