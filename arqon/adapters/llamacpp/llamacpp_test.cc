#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "arqon/adapters/haproxy/fake_haproxy_test_util.h"
#include "arqon/adapters/llamacpp/engine.h"
#include "arqon/adapters/llamacpp/preset.h"
#include "arqon/os/file.h"
#include "arqon/testing/replay_server.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::llamacpp {
namespace {

using haproxy::FakeHaproxy;
using haproxy::FakeServer;
using haproxy::FakeState;
using haproxy::ManualClock;
using testing::ReplayAnswer;
using testing::ReplayRequest;
using testing::ReplayServer;

// Recorded from xllamacpp 2026.10, cut to what matters.
constexpr std::string_view kRecordedSlots = R"([
  {"id":0,"n_ctx":1024,"speculative":false,"is_processing":false},
  {"id":1,"n_ctx":1024,"speculative":false,"is_processing":true,"id_task":108,
   "n_prompt_tokens":512,"params":{"seed":4294967295},"next_token":[{"n_decoded":3}]}])";
constexpr std::string_view kRecordedMetrics =
    "# HELP llamacpp:n_decode_total Total number of llama_decode() calls\n"
    "# TYPE llamacpp:n_decode_total counter\n"
    "llamacpp:n_decode_total 504\n"
    "llamacpp:tokens_predicted_total 504\n"
    "llamacpp:requests_processing 2\n"
    "llamacpp:requests_deferred 1\n"
    "llamacpp:n_busy_slots_per_decode 1.5\n";

TEST(Readings, SlotsGiveCountContextAndUse) {
  const auto slots = parse_slots(kRecordedSlots);
  ASSERT_TRUE(slots.has_value()) << slots.error().message;
  EXPECT_EQ(slots->count, 2);
  EXPECT_EQ(slots->busy, 1);
  EXPECT_EQ(slots->context, 1024);
  EXPECT_DOUBLE_EQ(slots->kv_use, 0.25);
  for (const char* bad : {"[]", "{}", "[{\"id\":0}]", "[{\"n_ctx\":-1}]", "[{\"n_ctx\":1024}"}) {
    EXPECT_FALSE(parse_slots(bad).has_value()) << bad;
  }
}

TEST(Readings, BusySlotsOfAWindowComeFromTheLifetimeMean) {
  const auto metrics = parse_metrics(kRecordedMetrics);
  ASSERT_TRUE(metrics.has_value()) << metrics.error().message;
  EXPECT_EQ(metrics->deferred, 1);
  Metrics later = *metrics;
  later.decodes = 604;
  later.busy_slots_mean = (1.5 * 504 + 4 * 100) / 604;
  EXPECT_NEAR(busy_slots_between(*metrics, later), 4, 1e-9);
  EXPECT_EQ(busy_slots_between(*metrics, *metrics), 0);
  EXPECT_FALSE(parse_metrics("llamacpp:n_decode_total 5\n").has_value());
  EXPECT_FALSE(parse_metrics("llamacpp:n_decode_total -5").has_value());
}

TEST(Preset, OnlyTheNamedKeysOfTheSectionChange) {
  const std::string text =
      "version = 1\n\n[*]\nparallel = 9\n; parallel = 3\n[m]\nmodel = a.gguf\nparallel=2\n\n[n]\n"
      "parallel = 1\n";
  EXPECT_EQ(with_values(text, "m", {{"parallel", "8"}, {"ctx-size", "4096"}}),
            "version = 1\n\n[*]\nparallel = 9\n; parallel = 3\n[m]\nmodel = a.gguf\nparallel = 8\n"
            "ctx-size = 4096\n\n[n]\nparallel = 1\n");
  EXPECT_EQ(with_values(text, "x", {}).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(with_values("[m]\na=1\na=2\n", "m", {{"a", "3"}}).error().code,
            ErrorCode::kInvalidConfig);
  EXPECT_EQ(with_values("[m]\n[m]\n", "m", {{"a", "3"}}).error().code, ErrorCode::kInvalidConfig);
}

// A llama.cpp whose flags stand in a file "SLOTS CONTEXT" that the restart command writes.
class FakeLlama {
 public:
  FakeLlama(std::filesystem::path flags, bool router_mode)
      : flags_(std::move(flags)), server_([this](const ReplayRequest& r) { return answer(r); }) {
    router_mode_ = router_mode;
  }
  std::string url() const { return server_.url(); }
  void stop() { server_.stop(); }
  std::atomic<bool> garbage{false};
  std::atomic<int> busy{0};
  std::atomic<bool> other_model{false};
  std::atomic<int> counted{504};  // decodes and tokens since it was started

 private:
  ReplayAnswer answer(const ReplayRequest& request) {
    const std::string path = request.path.substr(0, request.path.find('?'));
    if (path == "/health") return {.body = R"({"status":"ok"})"};
    if (garbage) return {.body = "<html>"};
    if (path == "/props") {
      return {.body = fmt::format(R"({{"build_info":"b11434","model_path":"{}.gguf"}})",
                                  other_model ? "tiny" : "small")};
    }
    if (path == "/models" || path == "/models/load") return {.body = "{}"};
    if (path == "/metrics") {
      std::string text(kRecordedMetrics);
      for (std::size_t at = 0; (at = text.find(" 504", at)) != std::string::npos; at += 2) {
        text.replace(at + 1, 3, std::to_string(counted));
      }
      return {.body = text};
    }
    const std::string text = os::read_file(flags_, 4096).value_or("1 1024");
    long slots = 1, context = 1024;
    if (router_mode_) {
      slots = std::strtol(text.substr(text.find("parallel = ") + 11).c_str(), nullptr, 10);
      context = std::strtol(text.substr(text.find("ctx-size = ") + 11).c_str(), nullptr, 10);
    } else {
      char* end = nullptr;
      slots = std::strtol(text.c_str(), &end, 10);
      context = std::strtol(end, nullptr, 10);
    }
    std::string out;
    for (long i = 0; i < slots; ++i) {
      out += fmt::format("{}{{\"id\":{},\"n_ctx\":{},\"speculative\":false,\"is_processing\":{}}}",
                         i == 0 ? "[" : ",", i, context / slots, i < busy);
    }
    return {.body = out + "]"};
  }
  std::filesystem::path flags_;
  bool router_mode_ = false;
  ReplayServer server_;
};

class Llama : public ::testing::Test {
 protected:
  Llama()
      : hap_(std::vector<FakeServer>{{.name = "s1", .maxconn = ""},
                                     {.name = "s2", .maxconn = ""}}) {}

  void start(bool router_mode = false) {
    for (int i = 0; i < 2; ++i) {
      files_[i] = hap_.folder() / fmt::format("flags{}", i);
      write(i, router_mode ? "[m]\nparallel = 2\nctx-size = 4096\n" : "2 4096");
      llama_[i] = std::make_unique<FakeLlama>(files_[i], router_mode);
    }
  }
  void write(int i, const std::string& text) {
    ASSERT_TRUE(os::write_file(files_[i], text).has_value());
  }
  AttachRequest request(const std::string& how, const std::string& more = "") {
    std::string replicas;
    for (int i = 0; i < 2; ++i) {
      replicas += fmt::format(R"({}{{"url": "{}", "server": "s{}", {}}})", i == 0 ? "" : ", ",
                              llama_[i]->url(), i + 1,
                              fmt::format(fmt::runtime(how), files_[i].string()));
    }
    const std::string text = fmt::format(
        R"({{"engine": "llamacpp", "replicas": [{}], "model": "m", "drain_s": 2, "ready_s": 2,
            "router": {{"socket": "{}", "backend": "be"}}{}}})",
        replicas, hap_.socket().string(), more);
    auto target = wire::parse_json(text);
    EXPECT_TRUE(target.has_value()) << text;
    return {.target = *target,
            .knobs = {{.name = "main.slots", .type = ParamType::kInt, .min = 1, .max = 8}},
            .classes = {{.name = "chat", .e2e_ms = 1000}},
            .clock = clock_};
  }
  static constexpr const char* kRestart =
      R"("restart": ["sh", "-c", "echo {{slots}} {{ctx}} > {}"])";
  std::unique_ptr<LlamaEngine> attach(const AttachRequest& request) {
    auto engine = LlamaEngine::attach(request);
    EXPECT_TRUE(engine.has_value()) << engine.error().message;
    return engine ? std::move(*engine) : nullptr;
  }
  std::vector<std::string> commands() {
    std::vector<std::string> out;
    hap_.with([&](FakeState& s) { out = std::exchange(s.commands, {}); });
    return out;
  }

  FakeHaproxy hap_;
  ManualClock clock_;
  std::filesystem::path files_[2];
  std::unique_ptr<FakeLlama> llama_[2];
};

TEST_F(Llama, FlagsChangeOneReplicaAtATimeOutOfTheRouter) {
  start();
  const auto engine = attach(request(kRestart));
  EXPECT_EQ(engine->capabilities().identity.engine, "llama.cpp b11434");
  EXPECT_EQ(engine->capabilities().boot, (Config{2}));
  EXPECT_EQ(engine->capabilities().knobs[0].change_class, ChangeClass::kRestart);
  EXPECT_EQ(engine->apply({8}), (Config{8}));
  EXPECT_EQ(commands(), (std::vector<std::string>{
                            "set server be/s1 state drain", "set server be/s1 state ready",
                            "set server be/s2 state drain", "set server be/s2 state ready"}));
  EXPECT_EQ(os::read_file(files_[0], 99), "8 4096\n");
  EXPECT_EQ(engine->observe().effective, (Config{8}));
  ASSERT_TRUE(engine->apply({8}).has_value());
  EXPECT_TRUE(commands().empty()) << "it was in force already";
}

TEST_F(Llama, ACanaryIsOneReplica) {
  start();
  const auto engine = attach(request(kRestart));
  EXPECT_EQ(engine->apply({4}, serving::Scope{1}), (Config{4}));
  EXPECT_EQ(engine->observe(serving::Scope{1}).effective, (Config{4}));
  EXPECT_EQ(engine->observe().effective, (Config{2}));
  EXPECT_EQ(engine->apply({2}), (Config{2}));
  EXPECT_EQ(engine->observe(serving::Scope{1}).effective, (Config{2}));
}

TEST_F(Llama, AContextThatIsRoundedForAnotherNumberOfSlotsIsStillTheOneItWasStartedWith) {
  start();
  const auto engine = attach(request(kRestart));
  for (int i = 0; i < 2; ++i) write(i, "3 4096");  // somebody else: 1365 tokens a slot
  EXPECT_EQ(engine->observe().effective, (Config{3}));
  ASSERT_EQ(engine->apply({2}), (Config{2}));
  EXPECT_EQ(os::read_file(files_[0], 99), "2 4096\n");
}

TEST_F(Llama, WhatAnAgentRestartsIsNoStrangersRestart) {
  start();
  const auto tuner = attach(request(kRestart));
  AttachRequest beside = request(kRestart);
  beside.actuator_only = true;
  const auto agent = attach(beside);
  const std::uint64_t epoch = tuner->observe().epoch;
  ASSERT_EQ(agent->apply({4}, serving::Scope{0}), (Config{4}));
  llama_[0]->counted = 7;  // it began anew
  tuner->written_for_us({4}, serving::Scope{0});
  const serving::Observation now = tuner->observe();
  EXPECT_EQ(now.epoch, epoch);
  EXPECT_EQ(now.effective, (Config{2})) << "the canary is not the fleet";
  EXPECT_EQ(tuner->observe(serving::Scope{0}).effective, (Config{4}));
  llama_[0]->counted = 1;  // and that was somebody else
  EXPECT_GT(tuner->observe().epoch, epoch);
}

TEST_F(Llama, AnAgentLeavesTheLogToTheTuner) {
  start();
  const std::string log = (hap_.folder() / "log.sock").string();
  AttachRequest beside = request(kRestart);
  for (auto& [key, value] : *beside.target.as_object()) {
    if (key != "router") continue;
    value.as_object()->emplace_back("log", wire::Object{{"unix", log}});
  }
  beside.actuator_only = true;
  ASSERT_NE(attach(beside), nullptr);
  EXPECT_FALSE(std::filesystem::exists(log));
  beside.actuator_only = false;
  const auto tuner = attach(beside);
  EXPECT_TRUE(std::filesystem::exists(log));
}

TEST_F(Llama, TokensAreChargedAlsoOverARestart) {
  start();
  AttachRequest priced = request(kRestart);
  for (auto& [key, value] : *priced.target.as_object()) {
    if (key != "router") continue;
    value.as_object()->emplace_back(
        "prices", wire::Object{{"s1", wire::Object{{"per_million_tokens", 2e6}}}});
  }
  const auto engine = attach(priced);
  EXPECT_DOUBLE_EQ(engine->observe().paid_dollars, 0);
  llama_[0]->counted = 514;
  llama_[1]->counted = 604;  // has no price
  EXPECT_DOUBLE_EQ(engine->observe().paid_dollars, 20);
  llama_[0]->counted = 3;  // started anew
  EXPECT_DOUBLE_EQ(engine->observe().paid_dollars, 26);
}

TEST_F(Llama, WorkThatDoesNotEndStopsTheChangeAndTheReplicaServesOn) {
  start();
  const auto engine = attach(request(kRestart));
  llama_[0]->busy = 1;
  const auto refused = engine->apply({4});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("still has work"), std::string::npos);
  EXPECT_EQ(os::read_file(files_[0], 99), "2 4096") << "never stopped with work in it";
  EXPECT_EQ(commands().back(), "set server be/s1 state ready");
}

TEST_F(Llama, TheLastReplicaThatServesStaysIn) {
  start();
  const auto engine = attach(request(kRestart));
  hap_.with([](FakeState& s) { s.servers[1].status = "DOWN"; });
  EXPECT_EQ(engine->apply({4}).error().code, ErrorCode::kRefused);
  EXPECT_EQ(os::read_file(files_[0], 99), "2 4096");
}

TEST_F(Llama, AFailedChangePutsBackTheFlagsOfAllThatHaveMoved) {
  start();
  const auto engine = attach(request(
      R"("restart": ["sh", "-c", "case $0 in *flags1) test {{slots}} = 2;; esac && echo {{slots}} {{ctx}} > $0", "{}"])"));
  const auto refused = engine->apply({4});
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("restart command"), std::string::npos);
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused) << "nothing is left changed";
  EXPECT_EQ(os::read_file(files_[0], 99), "2 4096\n");
  EXPECT_EQ(os::read_file(files_[1], 99), "2 4096\n");
  EXPECT_EQ(engine->observe().effective, (Config{2}));
  hap_.with([](FakeState& s) {
    for (const FakeServer& server : s.servers) EXPECT_EQ(server.status, "UP");
  });
}

TEST_F(Llama, RouterModeRewritesThePresetAndReloads) {
  start(true);
  const auto engine = attach(request(R"("preset": "{}")"));
  EXPECT_EQ(engine->capabilities().knobs[0].change_class, ChangeClass::kReload);
  EXPECT_EQ(engine->apply({4}), (Config{4}));
  EXPECT_EQ(os::read_file(files_[1], 99), "[m]\nparallel = 4\nctx-size = 4096\n");
}

TEST_F(Llama, GarbageIsStaleAndAFleetWithoutAnswerIsDown) {
  start();
  const auto engine = attach(request(kRestart));
  EXPECT_TRUE(engine->observe().fresh);
  EXPECT_EQ(engine->health(), serving::Health::kOk);
  llama_[0]->garbage = true;
  EXPECT_FALSE(engine->observe().fresh);
  EXPECT_EQ(engine->health(), serving::Health::kDegraded);
  EXPECT_EQ(engine->apply({4}).error().code, ErrorCode::kUnavailable);
  llama_[0]->stop();
  llama_[1]->stop();
  EXPECT_EQ(engine->health(), serving::Health::kDown);
  EXPECT_TRUE(commands().empty());
}

TEST_F(Llama, OtherFlagsThanTheDomainAllowsAreUnqualified) {
  start();
  const auto engine = attach(request(kRestart));
  write(0, "16 4096");
  EXPECT_EQ(engine->health(), serving::Health::kUnqualified);
  EXPECT_EQ(engine->apply({4}).error().code, ErrorCode::kRefused);
  write(0, "2 4096");
  EXPECT_EQ(engine->health(), serving::Health::kOk);
}

TEST_F(Llama, AnotherModelIsNotWrittenToAlsoWhenItHasCountedFurtherThanTheOldOne) {
  start();
  const auto engine = attach(request(kRestart));
  llama_[1]->other_model = true;
  llama_[1]->counted = 999;
  EXPECT_EQ(engine->apply({4}).error().code, ErrorCode::kRefused);
  EXPECT_EQ(engine->health(), serving::Health::kUnqualified);
  ASSERT_TRUE(engine->requalify().has_value());
  EXPECT_EQ(engine->apply({4}), (Config{4}));
}

TEST_F(Llama, AttachSaysWhatDoesNotFit) {
  start();
  AttachRequest cap = request(kRestart);
  cap.knobs[0].name = "main.batch_size";
  auto refused = LlamaEngine::attach(cap);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("cap_backend"), std::string::npos);
  AttachRequest typo = request(kRestart);
  typo.knobs[0].name = "main.slot";
  refused = LlamaEngine::attach(typo);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("did you mean \"slots\""), std::string::npos);
  refused = LlamaEngine::attach(request(R"("draft_max": 0)"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("\"restart\""), std::string::npos);
  const auto engine = attach(request(kRestart, R"(, "context_min": 1024)"));
  EXPECT_EQ(engine->apply({8}).error().code, ErrorCode::kInvalidConfig);
}

TEST(Doctor, SaysThatNothingIsLiveInLlamaItself) {
  FakeHaproxy folder(std::vector<FakeServer>{{.name = "s1"}});
  FakeLlama llama(folder.folder() / "flags", false);
  ManualClock clock;
  const auto found = probe(llama.url() + "/", clock);
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->reachable);
  EXPECT_EQ(found->identity.engine, "llama.cpp b11434");
  EXPECT_EQ(found->knobs[0].access, "absent");
  EXPECT_EQ(found->knobs[1].access, "restart");
  llama.stop();
  EXPECT_FALSE(probe(llama.url(), clock)->reachable);
}

}  // namespace
}  // namespace arqon::adapters::llamacpp
