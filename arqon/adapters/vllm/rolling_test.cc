#include "arqon/adapters/vllm/rolling.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "arqon/adapters/vllm/fake_vllm_test.h"

namespace arqon::adapters::vllm {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace): literals

// What happened, in order.
using Journal = std::vector<std::string>;

class FakeRouter final : public Router {
 public:
  explicit FakeRouter(Journal& journal) : journal_(journal) {}
  Status drain(std::size_t replica) override {
    journal_.push_back("drain " + std::to_string(replica));
    if (refuse) return fail(ErrorCode::kRefused, "no other server takes requests");
    return {};
  }
  Result<bool> is_idle(std::size_t) override { return --busy_looks < 0; }
  Status ready(std::size_t replica) override {
    journal_.push_back("ready " + std::to_string(replica));
    return {};
  }
  bool refuse = false;
  int busy_looks = 3;

 private:
  Journal& journal_;
};

class Rolling : public ::testing::Test {
 protected:
  Rolling() {
    tools.router = &router;
    tools.clock = &clock;
    tools.run = [this](const std::vector<std::string>& argv,
                       const os::RunOptions& options) -> Result<os::ProcessResult> {
      journal.push_back(argv[0] + " " + argv[1] + " " + options.environment[0].first + "=" +
                        options.environment[0].second);
      up = argv[1] != broken;
      fresh = true;
      return os::ProcessResult{.exit_code = argv[1] == refused ? 3 : 0, .err = "no such GPU"};
    };
    tools.http = [this](const net::Request& request) -> Result<net::Response> {
      const std::string path = request.url.substr(request.url.find('/', 8));
      if (!up) return fail(ErrorCode::kUnavailable, "refused");
      if (path == "/v1/completions") journal.push_back("warm up");
      if (path == "/v1/models") {
        return net::Response{.status = 200, .body = R"({"data": [{"id": "m"}]})"};
      }
      return net::Response{.status = 200, .body = "{}"};
    };
    tools.is_new = [this] { return fresh; };
  }
  Status go() {
    return roll({.replica = 1,
                 .url = "http://h:1",
                 .command = {"restart", "--max-num-seqs={max_num_seqs}"},
                 .wanted = {{"max_num_seqs", "64"}},
                 .former = {{"max_num_seqs", "32"}}},
                tools, {.drain = 2s, .command = 10s, .ready = 5s});
  }
  FakeClock clock;
  Journal journal;
  FakeRouter router{journal};
  RollingTools tools;
  bool up = true, fresh = false;
  std::string broken, refused;
};

TEST_F(Rolling, drains_restarts_warms_up_and_goes_back_into_service) {
  const Status status = go();
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(journal, (Journal{"drain 1", "restart --max-num-seqs=64 ARQONHPO_MAX_NUM_SEQS=64",
                              "warm up", "ready 1"}));
}

TEST_F(Rolling, a_replica_that_does_not_empty_is_not_restarted) {
  router.busy_looks = 1'000'000;
  const Status status = go();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kRefused);
  EXPECT_EQ(journal, (Journal{"drain 1", "ready 1"}));
}

TEST_F(Rolling, the_last_server_is_not_taken_out) {
  router.refuse = true;
  EXPECT_EQ(go().error().code, ErrorCode::kRefused);
  EXPECT_EQ(journal, (Journal{"drain 1"}));
}

TEST_F(Rolling, former_values_go_back_when_the_new_ones_do_not_come_up) {
  for (std::string* how : {&broken, &refused}) {
    journal.clear();
    broken.clear(), refused.clear();
    *how = "--max-num-seqs=64";
    const Status status = go();
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ErrorCode::kRefused);
    EXPECT_EQ(journal, (Journal{"drain 1", "restart --max-num-seqs=64 ARQONHPO_MAX_NUM_SEQS=64",
                                "restart --max-num-seqs=32 ARQONHPO_MAX_NUM_SEQS=32", "warm up",
                                "ready 1"}));
  }
}

TEST_F(Rolling, a_replica_that_comes_back_neither_way_stays_drained) {
  tools.run = [](const auto&, const auto&) -> Result<os::ProcessResult> {
    return os::ProcessResult{.exit_code = 1, .err = "boom"};
  };
  const Status status = go();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(status.error().message.find("out of service"), std::string::npos);
  EXPECT_EQ(journal, (Journal{"drain 1"}));
}

TEST_F(Rolling, the_old_process_that_still_answers_is_not_ready) {
  tools.run = [](const auto&, const auto&) -> Result<os::ProcessResult> {
    return os::ProcessResult{};
  };
  const TimePoint before = clock.now();
  EXPECT_EQ(go().error().code, ErrorCode::kUnavailable);
  EXPECT_GE(clock.now() - before, 10s);  // both deadlines
}

// --- Through the engine --------------------------------------------------------------------------
TEST(RollingEngine, a_restart_knob_moves_with_its_live_companion) {
  FakeVllm fake("rolling_engine");
  Journal journal;
  World world = fake.world();
  world.router = std::make_unique<FakeRouter>(journal);
  world.run = [&](const std::vector<std::string>& argv,
                  const os::RunOptions&) -> Result<os::ProcessResult> {
    journal.push_back(argv[1]);
    fake.max_num_seqs = std::stoll(argv[1]);
    fake.start();
    return os::ProcessResult{};
  };
  const wire::Value document = fake.target(R"(, "restart": ["r", "{max_num_seqs}"], "router": {})");
  const std::vector<Parameter> knobs = {
      {.name = "main.max_num_seqs", .type = ParamType::kInt, .min = 8, .max = 64},
      {.name = "main.batch_size", .type = ParamType::kInt, .min = 1, .max = 32}};
  auto engine =
      VllmEngine::attach({document, knobs, {{.name = "all"}}, fake.clock}, std::move(world));
  ASSERT_TRUE(engine) << engine.error().message;
  EXPECT_EQ((*engine)->capabilities().boot, (Config{32, 32}));
  const auto effective = (*engine)->apply({48, 24});
  ASSERT_TRUE(effective) << effective.error().message;
  EXPECT_EQ(*effective, (Config{48, 24}));
  EXPECT_EQ(journal, (Journal{"drain 0", "48", "ready 0"}));
  EXPECT_EQ((*engine)->health(), serving::Health::kOk) << (*engine)->why();
  // More running than sequences: told before anything is touched.
  const auto wrong = (*engine)->apply({16, 24});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(journal.size(), 3U);
}

}  // namespace
}  // namespace arqon::adapters::vllm
