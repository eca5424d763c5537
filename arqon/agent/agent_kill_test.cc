// Real processes, killed with SIGKILL at each step of a change: the engine (a stand-in), the agent
// and the tuner each have one of their own. Whatever dies, and whether the engine restarts
// meanwhile or not, the confirmed set stands within the deadline, and never the values it was
// booted with.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <optional>

#include "arqon/agent/agent.h"
#include "arqon/agent/client.h"
#include "arqon/os/process.h"
#include "arqon/os/socket.h"
#include "arqon/serving/second_hand.h"
#include "arqon/testing/stand_in_engine.h"

namespace arqon::agent {
namespace {

namespace fs = std::filesystem;
using testing::StandInEngine;

constexpr Duration kPatience = std::chrono::seconds(20);
constexpr Duration kLease = std::chrono::milliseconds(600);
// What the engine is booted with, what somebody had set when the tuner came, and what it tries.
constexpr double kBoot = 48, kFoundByHand = 40, kFirst = 32, kSecond = 24, kThird = 20;

// A child process; killed when it goes out of sight.
class Process {
 public:
  explicit Process(const std::function<void()>& body) : pid_(fork()) {
    if (pid_ != 0) return;
    body();
    _exit(0);
  }
  ~Process() { kill(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  // True when it ended by itself, false when it was killed.
  bool wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFEXITED(status);
  }

 private:
  pid_t pid_;
};

class KillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              ("arqon_kill_" + std::to_string(getpid()) + "_" + std::to_string(test->line()));
    begin();
  }
  void TearDown() override {
    end();
    fs::remove_all(folder_);
  }

  // A fresh folder, engine and agent; `kill_agent_at` counts the agent's steps from 1, 0 = never.
  void begin(int kill_agent_at = 0) {
    end();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    start_engine();
    ASSERT_TRUE(set_by_hand(kFoundByHand));
    start_agent(kill_agent_at);
  }
  void end() {
    agent_.reset();
    engine_.reset();
  }

  void start_engine() {
    engine_.reset();
    engine_.emplace([this] {
      testing::StandInServer(
          {.socket = engine_socket(), .boot = {{"main.batch_size", kBoot}, {"main.wait_ms", 2}}})
          .run();
    });
    ASSERT_TRUE(await([this] { return batch_size().has_value(); })) << "no engine";
  }

  void start_agent(int kill_at = 0) {
    agent_.reset();
    agent_.emplace([this, kill_at] { run_agent(kill_at); });
    // One that is killed at its first steps never answers.
    if (kill_at == 0) {
      ASSERT_TRUE(await([this] { return status().has_value(); })) << "no agent";
    } else {
      await([this] { return status().has_value(); }, std::chrono::seconds(2));
    }
  }

  void run_agent(int kill_at) const {
    int steps = 0;
    os::SystemClock clock;
    auto engine = attach(clock);
    if (!engine) _exit(1);
    auto agent = Agent::create(**engine, clock,
                               {.folder = folder_,
                                .guardrails = {.limits = {{1, 64, 64}, {0, 8, 8}}},
                                .at_step = [&](std::string_view) {
                                  if (++steps == kill_at) raise(SIGKILL);
                                }});
    if (!agent) _exit(2);
    auto listener = os::UnixListener::open(agent_socket());
    if (!listener) _exit(3);
    while (true) {
      pollfd p{listener->fd(), POLLIN, 0};
      poll(&p, 1, 50);
      listener->serve([&](std::string_view line) { return agent->answer(line); });
      agent->tick();
    }
  }

  Result<std::unique_ptr<serving::Engine>> attach(Clock& clock) const {
    return StandInEngine::attach(engine_socket(), {}, {{.name = "chat"}}, clock);
  }
  Result<std::unique_ptr<Client>> connect(serving::Engine& local) const {
    return Client::connect(local, {.socket = agent_socket(), .lease = kLease});
  }

  bool set_by_hand(double value) const {
    return os::ask_unix(
               engine_socket(),
               R"({"do": "set", "values": {"main.batch_size": )" + std::to_string(value) + "}}\n",
               kPatience)
        .has_value();
  }
  std::optional<double> batch_size() const {
    const auto text = os::ask_unix(engine_socket(), "{\"do\": \"get\"}\n", kPatience);
    const auto state = text ? wire::parse_json(*text).value_or(wire::Value()) : wire::Value();
    const wire::Value* values = state.find("values");
    if (values == nullptr) return std::nullopt;
    return values->find("main.batch_size")->number();
  }
  std::optional<wire::Value> status() const {
    auto answer = ask(agent_socket(), {{"do", "status"}}, kPatience);
    return answer ? std::optional(std::move(*answer)) : std::nullopt;
  }
  static double confirmed_in(const wire::Value& status) {
    const wire::Value* set = status.find("confirmed");
    if (set == nullptr || set->is_null()) return -1;
    return set->find("values")->as_array()->front().number();
  }
  // Nothing open, nobody's lease, and the confirmed value in force.
  bool stands() const {
    const auto now = status();
    return now && !*now->find("open")->as_bool() && now->find("lease_s")->number() == 0 &&
           batch_size() == confirmed_in(*now);
  }

  static bool await(const std::function<bool()>& condition, Duration patience = kPatience) {
    os::SystemClock clock;
    const TimePoint deadline = clock.now() + patience;
    while (!condition()) {
      if (clock.now() > deadline) return false;
      clock.wait_until(clock.now() + std::chrono::milliseconds(5));
    }
    return true;
  }

  fs::path engine_socket() const { return folder_ / "engine.sock"; }
  fs::path agent_socket() const { return folder_ / "agent.sock"; }

  fs::path folder_;
  std::optional<Process> engine_, agent_;
};

// The changes of a tuner's life, one call each. Returns the value that the last confirmation it
// heard of made the confirmed one; `step` is called before each call and after the last.
double live(serving::Engine& client, const std::function<void(double heard)>& step) {
  double heard = -1;
  const auto confirm = [&](double value) {
    step(heard);
    if (client.confirm()) heard = value;
  };
  const auto apply = [&](double value) {
    step(heard);
    (void)client.apply({value, 2}, serving::Scope{});
  };
  confirm(kFoundByHand);
  apply(kFirst);
  step(heard);
  (void)client.renew(kLease);
  apply(kSecond);
  confirm(kSecond);
  apply(kThird);
  apply(kSecond);  // a revert
  apply(kThird);
  confirm(kThird);
  apply(kFirst);
  step(heard);
  return heard;
}

// The agent dies at each of its steps; a new one puts right what it finds.
TEST_F(KillTest, the_agent_at_each_step_with_and_without_a_restart_of_the_engine) {
  int kills = 0;
  for (int at = 1;; ++at) {
    bool killed = false;
    for (const bool engine_restarts : {false, true}) {
      begin(at);
      double heard = -1;
      {
        os::SystemClock clock;
        auto local = attach(clock);
        ASSERT_TRUE(local.has_value());
        auto client = connect(**local);
        if (client) heard = live(**client, [](double) {});
      }
      killed = !status().has_value();
      kills += killed ? 1 : 0;
      if (engine_restarts) start_engine();
      start_agent();
      ASSERT_TRUE(await([&] { return stands() || confirmed_in(*status()) < 0; }))
          << "agent killed at step " << at << ", engine restarts " << engine_restarts << ": "
          << batch_size().value_or(-1);
      const double confirmed = confirmed_in(*status());
      if (heard < 0) continue;
      // What was acknowledged is never lost; what was not may have got through.
      const std::vector<double> order{kFoundByHand, kSecond, kThird};
      const auto place = [&](double v) { return std::find(order.begin(), order.end(), v); };
      EXPECT_GE(place(confirmed), place(heard)) << at << ": " << confirmed << " after " << heard;
      EXPECT_NE(batch_size(), kBoot) << at;
    }
    if (!killed) break;  // the whole life passed before that many steps
  }
  EXPECT_GT(kills, 2 * 20) << "a life has more steps than that";
}

// The tuner dies before each of its calls; the agent holds the deadline.
TEST_F(KillTest, the_tuner_before_each_call_with_and_without_a_restart_of_the_engine) {
  bool ended = false;
  for (int at = 1; !ended; ++at) {
    for (const bool engine_restarts : {false, true}) {
      begin();
      const fs::path told = folder_ / "heard";
      Process tuner([&] {
        int calls = 0;
        os::SystemClock clock;
        auto local = attach(clock);
        auto client = connect(**local);
        live(**client, [&](double heard) {
          (void)os::write_file(told, std::to_string(heard));
          if (++calls == at) raise(SIGKILL);
        });
      });
      ended = tuner.wait();
      os::SystemClock clock;
      const TimePoint died = clock.now();
      if (engine_restarts) start_engine();
      const double heard = std::stod(*os::read_file(told, 100));
      if (heard < 0) continue;  // nothing was confirmed yet, and nothing written
      ASSERT_TRUE(await([&] { return stands(); })) << "tuner killed at call " << at;
      EXPECT_EQ(batch_size(), heard)
          << "tuner killed at call " << at << ", engine restarts " << engine_restarts;
      // Lease, one look, one write; the rest is the machine's.
      EXPECT_LT(to_seconds(clock.now() - died), to_seconds(kLease) + 5) << at;
    }
  }
}

// The tuner dies while the engine is in the middle of a write.
TEST_F(KillTest, the_tuner_while_a_write_is_under_way) {
  {
    os::SystemClock clock;
    auto local = attach(clock);
    auto client = connect(**local);
    ASSERT_TRUE(client.has_value());
    ASSERT_TRUE((*client)->confirm().has_value());
  }
  const fs::path hold = engine_socket().string() + ".hold";
  ASSERT_TRUE(os::write_file(hold, "").has_value());
  Process tuner([&] {
    os::SystemClock clock;
    auto local = attach(clock);
    auto client = connect(**local);
    (void)(*client)->apply({kFirst, 2}, serving::Scope{});
  });
  ASSERT_TRUE(await([&] { return fs::exists(engine_socket().string() + ".held"); }));
  tuner.kill();
  fs::remove(hold);
  ASSERT_TRUE(await([&] { return stands(); }));
  EXPECT_EQ(batch_size(), kFoundByHand);
}

// The tuner's own view of the engine, which hears of what the agent writes.
class Listening final : public serving::Engine, public serving::SecondHand {
 public:
  explicit Listening(serving::Engine& engine) : engine_(engine) {}
  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return engine_.capabilities(); }
  Result<Config> apply(const Config&, serving::Scope) override {
    return fail(ErrorCode::kInternal, "the agent writes, not we");
  }
  serving::Observation observe(serving::Scope scope) override { return engine_.observe(scope); }
  serving::Health health() override { return engine_.health(); }
  void written_for_us(const Config& setting, serving::Scope) override { heard = setting; }
  Config heard;

 private:
  serving::Engine& engine_;
};

TEST_F(KillTest, the_tuners_own_view_hears_of_what_the_agent_wrote_and_of_no_refusal) {
  os::SystemClock clock;
  const auto engine = attach(clock);
  ASSERT_TRUE(engine.has_value());
  Listening local(**engine);
  const auto client = connect(local);
  ASSERT_TRUE(client.has_value());
  EXPECT_EQ((*client)->apply({kFirst, 2}, serving::Scope{}).error().code, ErrorCode::kRefused)
      << "there is no way back yet";
  EXPECT_TRUE(local.heard.empty());
  ASSERT_TRUE((*client)->confirm().has_value());
  ASSERT_TRUE((*client)->apply({kFirst, 2}, serving::Scope{}).has_value());
  EXPECT_EQ(local.heard, (Config{kFirst, 2}));
}

}  // namespace
}  // namespace arqon::agent
