#include "arqon/agent/agent.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "arqon/agent/client.h"
#include "arqon/base/rng.h"
#include "arqon/testing/fake_engine.h"
#include "arqon/wire/json.h"

namespace arqon::agent {
namespace {

namespace fs = std::filesystem;
using testing::FakeEngine;

std::vector<Parameter> knobs() {
  return {{.name = "main.batch_size",
           .type = ParamType::kInt,
           .min = 1,
           .max = 64,
           .default_value = std::vector<double>{32}},
          {.name = "main.wait_ms", .min = 0, .max = 8, .default_value = std::vector<double>{2}}};
}

guard::Guardrails rails() { return {.limits = {{8, 64, 8}, {0, 4, 1}}}; }

// An agent over an engine made of a formula, with a clock that the test moves.
class AgentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              ("arqon_agent_" + std::string(test->name()) + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    start();
  }
  void TearDown() override { fs::remove_all(folder_); }

  // A new agent over what the one before has left on the disk.
  void start() {
    agent_.reset();
    auto agent = Agent::create(engine_, engine_, {.folder = folder_, .guardrails = rails()});
    ASSERT_TRUE(agent.has_value()) << agent.error().message;
    agent_.emplace(std::move(*agent));
  }

  wire::Value ask(const std::string& request) {
    return wire::parse_json(agent_->answer(request)).value();
  }
  std::string code(const std::string& request) {
    const wire::Value answer = ask(request);
    const wire::Value* code = answer.find("code");
    return code == nullptr ? "ok" : *code->as_string();
  }
  std::string apply(int generation, const std::string& values, double lease_s = 10) {
    return "{\"do\":\"apply\",\"generation\":" + std::to_string(generation) +
           ",\"values\":" + values + ",\"lease_s\":" + std::to_string(lease_s) + "}";
  }
  void pass(double seconds) {
    for (double t = 0; t < seconds; t += 1) {
      engine_.wait_until(engine_.now() + std::chrono::seconds(1));
      agent_->tick();
    }
  }
  Config in_force() { return engine_.observe().effective; }
  std::string journal() {
    std::ifstream in(folder_ / "agent.journal");
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path folder_;
  FakeEngine engine_{
      knobs(), {{.slo = {.name = "chat"}}}, [](const Config&, std::size_t, double) { return 0.0; }};
  std::optional<Agent> agent_;
};

constexpr const char* kConfirm = R"({"do":"confirm","generation":0,"evidence":"as found"})";

TEST_F(AgentTest, nothing_is_written_before_there_is_a_way_back) {
  EXPECT_EQ(code(apply(1, "[16, 2]")), "refused");
  EXPECT_EQ(code(kConfirm), "ok");
  EXPECT_EQ(code(apply(1, "[16, 2]")), "ok");
  EXPECT_EQ(in_force(), (Config{16, 2}));
}

TEST_F(AgentTest, when_the_lease_lapses_the_confirmed_set_returns) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]"));
  ask(R"({"do":"confirm","generation":1})");
  ask(apply(2, "[8, 2]", 5));
  pass(4);
  EXPECT_EQ(in_force(), (Config{8, 2})) << "the tuner may be slow";
  ask(R"({"do":"renew","lease_s":5})");
  pass(4);
  EXPECT_EQ(in_force(), (Config{8, 2}));
  pass(3);
  EXPECT_EQ(in_force(), (Config{16, 2})) << "the confirmed set, not what was found";
}

TEST_F(AgentTest, a_generation_that_does_not_rise_is_refused_whoever_asks) {
  ask(kConfirm);
  EXPECT_EQ(code(apply(5, "[16, 2]")), "ok");
  EXPECT_EQ(code(apply(5, "[24, 2]")), "conflict");
  EXPECT_EQ(code(apply(4, "[24, 2]")), "conflict");
  EXPECT_EQ(code(R"({"do":"confirm","generation":4})"), "conflict");
  EXPECT_EQ(in_force(), (Config{16, 2}));
  start();
  EXPECT_EQ(code(apply(5, "[24, 2]")), "conflict") << "also after a restart";
}

TEST_F(AgentTest, values_are_checked_again) {
  ask(kConfirm);
  for (const char* bad : {"[7, 2]", "[65, 2]", "[16.5, 2]", "[16, 5]", "[16]", "[16, 2, 3]",
                          "[16, \"2\"]", "{}", "[16, null]", "[16, -0.0]"}) {
    EXPECT_NE(code(apply(1, bad)), "ok") << bad;
  }
  EXPECT_EQ(in_force(), (Config{32, 2}));
  EXPECT_EQ(code(apply(1, "[16, 2]")), "ok") << "a refusal takes no number";
}

TEST_F(AgentTest, requests_that_make_no_sense_are_answered_and_change_nothing) {
  ask(kConfirm);
  for (const char* bad :
       {"", "{", "[]", "7", R"({"do":3})", R"({"do":"explode"})", R"({"do":"apply"})",
        R"({"do":"apply","generation":1})",
        R"({"do":"apply","generation":1,"values":[16,2],"lease_s":0})",
        R"({"do":"apply","generation":1,"values":[16,2],"lease_s":1e9})",
        R"({"do":"apply","generation":-1,"values":[16,2],"lease_s":1})",
        R"({"do":"apply","generation":1,"values":[16,2],"lease_s":1,"replica":9})",
        R"({"do":"renew"})", R"({"do":"confirm"})"}) {
    EXPECT_EQ(code(bad), "usage") << bad;
  }
  EXPECT_EQ(engine_.applies, 0);
}

TEST_F(AgentTest, frozen_lets_nothing_through_but_the_way_back) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]"));
  std::ofstream(folder_ / "freeze") << "";
  EXPECT_EQ(code(apply(2, "[24, 2]")), "refused");
  EXPECT_EQ(code(apply(2, "[32, 2]")), "ok");
  EXPECT_EQ(in_force(), (Config{32, 2}));
}

TEST_F(AgentTest, an_agent_that_finds_an_open_write_puts_back_the_confirmed_set) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]"));
  ask(R"({"do":"confirm","generation":1})");
  ask(apply(2, "[8, 2]", 3600));
  start();
  pass(1);
  EXPECT_EQ(in_force(), (Config{16, 2})) << "whatever the lease was: nobody knows who is alive";
  EXPECT_NE(journal().find("\"restored\""), std::string::npos);
}

TEST_F(AgentTest, it_tries_until_the_engine_answers) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]", 2));
  engine_.refuse_applies = true;
  pass(20);
  EXPECT_EQ(in_force(), (Config{16, 2}));
  EXPECT_NE(ask(R"({"do":"status"})").find("trouble")->as_string()->size(), 0u);
  engine_.refuse_applies = false;
  pass(3);
  EXPECT_EQ(in_force(), (Config{32, 2}));
  EXPECT_EQ(*ask(R"({"do":"status"})").find("trouble")->as_string(), "");
}

TEST_F(AgentTest, an_engine_that_restarts_without_a_tuner_gets_the_confirmed_set) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]"));
  ask(R"({"do":"confirm","generation":1})");
  pass(20);
  EXPECT_EQ(in_force(), (Config{16, 2}));
  engine_.restart();
  (void)engine_.apply({32, 2});  // its boot values
  pass(2);
  EXPECT_EQ(in_force(), (Config{16, 2}));
  engine_.restart();
  (void)engine_.apply({32, 2});
  start();
  pass(2);
  EXPECT_EQ(in_force(), (Config{16, 2})) << "also when it restarted while no agent ran";
}

TEST_F(AgentTest, an_engine_that_was_handed_back_is_left_as_it_is) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]"));
  ask(R"({"do":"confirm","generation":1})");
  ask(R"({"do":"release"})");
  engine_.restart();
  (void)engine_.apply({40, 2});
  start();
  pass(5);
  EXPECT_EQ(in_force(), (Config{40, 2}));
  EXPECT_EQ(code(apply(2, "[24, 2]")), "refused") << "confirm what is in force first";
  EXPECT_EQ(code(R"({"do":"confirm","generation":1})"), "ok") << "numbers go on";
  EXPECT_EQ(code(apply(2, "[24, 2]")), "ok");
}

TEST_F(AgentTest, an_engine_that_rounds_is_not_another_setting) {
  engine_.clamp = [](Config& c) { c[1] = std::round(c[1] * 256) / 256; };
  ask(kConfirm);
  ask(apply(1, "[32, 1.501]"));
  ask(R"({"do":"confirm","generation":1})");
  ask(apply(2, "[16, 1.501]", 1));
  pass(3);
  EXPECT_EQ(in_force()[0], 32);
  EXPECT_FALSE(*ask(R"({"do":"status"})").find("open")->as_bool());
}

TEST_F(AgentTest, what_a_hand_changes_on_a_running_engine_is_left_alone) {
  ask(kConfirm);
  pass(1);
  (void)engine_.apply({40, 2});
  pass(20);
  EXPECT_EQ(in_force(), (Config{40, 2}));
  EXPECT_TRUE(*ask(R"({"do":"status"})").find("drifted")->as_bool());
}

TEST_F(AgentTest, a_torn_or_broken_line_counts_as_a_write_begun) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]"));
  ask(R"({"do":"confirm","generation":1})");
  agent_.reset();
  std::ofstream(folder_ / "agent.journal", std::ios::app) << R"({"event":"intent","gener)";
  (void)engine_.apply({8, 2});
  start();
  pass(1);
  EXPECT_EQ(in_force(), (Config{16, 2}));
  EXPECT_NE(journal().find("\"damaged\""), std::string::npos) << "and it is said";
  EXPECT_EQ(code(apply(2, "[24, 2]")), "ok");
  start();
  EXPECT_EQ(code(apply(2, "[24, 2]")), "conflict") << "what followed the torn line is read";
}

TEST_F(AgentTest, a_confirmed_file_that_is_lost_or_broken_is_replaced_by_the_journal) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]"));
  ask(R"({"do":"confirm","generation":1})");
  ask(apply(2, "[8, 2]"));
  std::ofstream(folder_ / "confirmed.json") << "{\"values\": [";
  start();
  pass(1);
  EXPECT_EQ(in_force(), (Config{16, 2}));
}

TEST_F(AgentTest, a_journal_of_nonsense_is_survived) {
  agent_.reset();
  Rng bytes(1);
  std::ofstream out(folder_ / "agent.journal", std::ios::binary);
  for (int i = 0; i < 20000; ++i) out.put(static_cast<char>(bytes.next_u64()));
  out.close();
  start();
  pass(3);
  EXPECT_EQ(in_force(), (Config{32, 2})) << "nothing was ever confirmed";
  EXPECT_EQ(code(kConfirm), "ok");
}

TEST_F(AgentTest, a_confirmed_set_that_cannot_be_read_anywhere_is_said_at_the_start) {
  agent_.reset();
  fs::remove(folder_ / "agent.journal");
  std::ofstream(folder_ / "confirmed.json") << "garbage";
  const auto agent = Agent::create(engine_, engine_, {.folder = folder_, .guardrails = rails()});
  ASSERT_FALSE(agent.has_value());
  EXPECT_EQ(agent.error().code, ErrorCode::kInvalidConfig);
  EXPECT_NE(agent.error().message.find("confirmed.json"), std::string::npos);
}

TEST_F(AgentTest, what_was_confirmed_for_another_engine_is_not_written) {
  ask(kConfirm);
  std::string text;
  {
    std::ifstream in(folder_ / "confirmed.json");
    text = {std::istreambuf_iterator<char>(in), {}};
  }
  const std::string from = "\"model\": \"\"";
  ASSERT_NE(text.find(from), std::string::npos) << text;
  text.replace(text.find(from), from.size(), "\"model\": \"another\"");
  std::ofstream(folder_ / "confirmed.json") << text;
  (void)engine_.apply({40, 2});
  engine_.restart();
  start();
  pass(5);
  EXPECT_EQ(in_force(), (Config{40, 2}));
  EXPECT_FALSE(*ask(R"({"do":"status"})").find("confirmed_fits")->as_bool());
  EXPECT_EQ(code(apply(1, "[16, 2]")), "refused") << "until what is in force is confirmed";
}

TEST_F(AgentTest, a_disk_that_does_not_take_the_intent_stops_all_but_the_way_back) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]"));
  int full = 0;
  agent_.reset();
  auto agent =
      Agent::create(engine_, engine_,
                    {.folder = folder_, .guardrails = rails(), .at_step = [&](auto) { ++full; }});
  ASSERT_TRUE(agent.has_value());
  EXPECT_NE(agent->answer(apply(2, "[24, 2]")).find("\"ok\":true"), std::string::npos);
  EXPECT_GE(full, 6) << "intent, sync, write, written, outcome, sync";
}

TEST_F(AgentTest, restore_is_what_a_person_asks_for_without_a_tuner) {
  EXPECT_EQ(code(R"({"do":"restore"})"), "refused") << "nothing was confirmed";
  ask(kConfirm);
  ask(apply(1, "[16, 2]", 3600));
  EXPECT_EQ(code(R"({"do":"restore"})"), "ok");
  EXPECT_EQ(in_force(), (Config{32, 2}));
}

TEST_F(AgentTest, released_once_nothing_is_open) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]", 3600));
  ask(R"({"do":"release"})");
  EXPECT_FALSE(agent_->released());
  pass(1);
  EXPECT_TRUE(agent_->released());
  EXPECT_EQ(in_force(), (Config{32, 2}));
  ask(R"({"do":"renew","lease_s":3})");
  EXPECT_FALSE(agent_->released()) << "another tuner has come";
}

TEST_F(AgentTest, the_journal_says_what_before_and_what_came_of_it_after) {
  ask(kConfirm);
  ask(apply(1, "[16, 2]"));
  engine_.refuse_applies = true;
  ask(apply(2, "[24, 2]"));
  std::vector<std::string> events;
  std::ifstream in(folder_ / "agent.journal");
  for (std::string line; std::getline(in, line);) {
    events.push_back(*wire::parse_json(line).value().find("event")->as_string());
  }
  EXPECT_EQ(events,
            (std::vector<std::string>{"confirmed", "intent", "outcome", "intent", "outcome"}));
  EXPECT_NE(journal().find("does not answer"), std::string::npos);
}

}  // namespace
}  // namespace arqon::agent
