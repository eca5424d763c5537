#include "arqon/adapters/vllm/engine.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "arqon/adapters/vllm/fake_vllm_test.h"

namespace arqon::adapters::vllm {
namespace {

using serving::Health;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace): literals

Parameter knob(const std::string& name, double min, double max) {
  return {.name = name, .type = ParamType::kInt, .min = min, .max = max};
}
const std::vector<Parameter> kCapAndBudget = {knob("main.batch_size", 1, 32),
                                              knob("main.prefill_token_budget", 160, 2048)};

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class VllmEngineTest : public ::testing::Test {
 protected:
  FakeVllm fake{::testing::UnitTest::GetInstance()->current_test_info()->name()};
  std::vector<serving::Slo> classes = {{.name = "chat", .ttft_ms = 50}};

  Result<std::unique_ptr<VllmEngine>> try_attach(const std::vector<Parameter>& knobs,
                                                 const std::string& more = "") {
    document = fake.target(more);
    return VllmEngine::attach({document, knobs, classes, fake.clock}, fake.world());
  }
  std::unique_ptr<VllmEngine> attach(const std::vector<Parameter>& knobs = kCapAndBudget,
                                     const std::string& more = "") {
    auto engine = try_attach(knobs, more);
    EXPECT_TRUE(engine) << engine.error().message;
    return std::move(*engine);
  }
  wire::Value document;
};

TEST_F(VllmEngineTest, attach_finds_who_serves_and_what_is_in_force) {
  const auto engine = attach();
  const serving::Capabilities& c = engine->capabilities();
  EXPECT_EQ(c.identity, (serving::Identity{"vllm 0.32.0", "/models/mid", "cpu"}));
  EXPECT_EQ(c.boot, (Config{32, 2048}));
  EXPECT_EQ(c.facts[0].boot_capacity, 32);
  EXPECT_EQ(engine->health(), Health::kOk) << engine->why();
}

TEST_F(VllmEngineTest, a_change_is_in_force_when_apply_returns) {
  const auto engine = attach();
  const auto effective = engine->apply({8, 512});
  ASSERT_TRUE(effective) << effective.error().message;
  EXPECT_EQ(*effective, (Config{8, 512}));
  EXPECT_EQ(fake.effective[0], 8);
  EXPECT_EQ(fake.effective[1], 512);
  const auto seen = engine->observe();
  EXPECT_TRUE(seen.acknowledged);
  EXPECT_EQ(seen.effective, (Config{8, 512}));
}

TEST_F(VllmEngineTest, untuned_knobs_keep_what_was_given_before) {
  {
    const auto engine = attach({knob("main.kv_headroom_blocks", 0, 100)});
    ASSERT_TRUE(engine->apply({16}));
    ASSERT_TRUE(engine->confirm());
  }
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({8, 512}));
  EXPECT_EQ(fake.effective[3], 16);
}

TEST_F(VllmEngineTest, what_breaks_a_rule_or_the_domain_is_never_written) {
  std::vector<Parameter> knobs = kCapAndBudget;
  knobs.push_back(knob("main.long_prefill_threshold", 0, 512));
  const auto engine = attach(knobs);
  const Config good = {8, 512, 128};
  ASSERT_TRUE(engine->apply(good));
  const int writes = fake.writes;
  for (const Config& bad : {Config{0, 512, 128}, Config{33, 512, 128}, Config{8, 2049, 128},
                            Config{8, 512, 100}, Config{8.5, 512, 128}}) {
    const auto out = engine->apply(bad);
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, ErrorCode::kInvalidConfig);
    EXPECT_FALSE(out.error().message.empty());
  }
  fake.clock.pass(100ms);
  EXPECT_EQ(fake.writes, writes);
  EXPECT_EQ(engine->observe().effective, good);
}

TEST_F(VllmEngineTest, an_idle_engine_takes_it_at_its_next_step) {
  const auto engine = attach();
  fake.become_idle();
  const TimePoint before = fake.clock.now();
  const auto out = engine->apply({4, 512});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(*out, (Config{4, 512}));
  EXPECT_LT(fake.clock.now() - before, 100ms);
  const auto waiting = engine->observe();
  EXPECT_FALSE(waiting.acknowledged);
  EXPECT_TRUE(waiting.fresh);
  EXPECT_EQ(waiting.effective, (Config{4, 512}));
  EXPECT_EQ(engine->health(), Health::kOk) << engine->why();
  EXPECT_EQ(fake.effective[0], 32);
  ASSERT_TRUE(engine->renew(10s));
  fake.become_busy();
  EXPECT_TRUE(engine->observe().acknowledged);
  EXPECT_EQ(fake.effective[0], 4);
}

TEST_F(VllmEngineTest,
       a_write_that_waits_while_its_lease_runs_out_gives_way_to_what_was_confirmed) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({16, 1024}));
  ASSERT_TRUE(engine->confirm());
  fake.become_idle();
  ASSERT_TRUE(engine->renew(10s));
  ASSERT_TRUE(engine->apply({4, 512}));
  fake.clock.pass(11s);
  EXPECT_EQ(engine->observe().effective, (Config{16, 1024}));
  fake.become_busy();
  const auto seen = engine->observe();
  EXPECT_EQ(seen.effective, (Config{16, 1024}));
  EXPECT_TRUE(seen.acknowledged);
  EXPECT_EQ(fake.effective[0], 16);
}

TEST_F(VllmEngineTest, a_hung_engine_is_told_apart_from_an_idle_one) {
  const auto engine = attach();
  fake.stuck = true;
  const TimePoint before = fake.clock.now();
  const auto out = engine->apply({4, 512});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(says(out.error().message, "hangs")) << out.error().message;
  EXPECT_GE(fake.clock.now() - before, 2s);
  EXPECT_LT(fake.clock.now() - before, 3s);
  fake.clock.pass(5s);
  EXPECT_EQ(engine->health(), Health::kDegraded);
  EXPECT_TRUE(says(engine->why(), "no step for")) << engine->why();
  EXPECT_FALSE(engine->observe().fresh);
  const auto confirmed = engine->confirm();
  ASSERT_FALSE(confirmed);  // nobody knows what is in force
  fake.stuck = false;
  fake.clock.pass(10ms);
  EXPECT_EQ(engine->health(), Health::kOk) << engine->why();
}

TEST_F(VllmEngineTest, an_api_process_that_tells_nothing_is_degraded_though_health_says_200) {
  const auto engine = attach();
  fake.silent_api = true;
  for (int i = 0; i < 6; ++i) {
    (void)engine->observe();
    fake.clock.pass(1s);
  }
  EXPECT_EQ(engine->health(), Health::kDegraded);
  EXPECT_TRUE(says(engine->why(), "requests hang")) << engine->why();
}

TEST_F(VllmEngineTest, metrics_that_do_not_answer_are_bad_health_though_an_idle_engine_says_200) {
  const auto engine = attach();
  ASSERT_TRUE(engine->confirm());
  ASSERT_TRUE(engine->apply({8, 512}));
  fake.become_idle();
  fake.mute_metrics = true;
  fake.clock.pass(1s);
  EXPECT_EQ(engine->health(), Health::kDegraded);
  EXPECT_TRUE(says(engine->why(), "no answer within the timeout")) << engine->why();
  EXPECT_FALSE(engine->observe().fresh);
  fake.mute_metrics = false;
  fake.clock.pass(1s);
  EXPECT_EQ(engine->health(), Health::kOk) << engine->why();
}

TEST_F(VllmEngineTest, without_telemetry_only_the_way_back_is_written) {
  const auto engine = attach();
  ASSERT_TRUE(engine->confirm());
  ASSERT_TRUE(engine->apply({8, 512}));
  for (const bool garbage : {false, true}) {
    fake.mute_metrics = !garbage;
    if (garbage) fake.spoil = [](const std::string&) { return std::string("<html>\n"); };
    fake.clock.pass(1s);
    const int writes = fake.writes;
    const auto out = engine->apply({4, 512});
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(fake.writes, writes);
  }
  ASSERT_TRUE(engine->apply({32, 2048}));
  EXPECT_EQ(fake.effective[0], 32);
}

TEST_F(VllmEngineTest, an_acknowledgement_with_other_values_returns_those) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({4, 512}));
  fake.clamp = 20;
  const auto out = engine->apply({30, 512});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(*out, (Config{20, 512}));
  EXPECT_EQ(engine->observe().effective, (Config{20, 512}));
}

TEST_F(VllmEngineTest, an_acknowledgement_without_effect_is_a_conflict) {
  const auto engine = attach();
  fake.no_effect = true;
  const auto out = engine->apply({4, 512});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, ErrorCode::kConflict);
}

TEST_F(VllmEngineTest, outcomes_come_from_the_ring_by_class) {
  classes = {{.name = "chat", .ttft_ms = 50}, {.name = "long", .ttft_ms = 500}};
  const auto engine = attach(kCapAndBudget, R"(, "classes": {"chat": {"prompt_tokens_max": 200}})");
  fake.serve(10, 100, 20'000);
  fake.serve(3, 100, 60'000);     // chat, too late
  fake.serve(4, 400, 60'000);     // long, in time
  fake.serve(2, 400, 20'000, 3);  // ended with an error
  const auto seen = engine->observe();
  ASSERT_EQ(seen.classes.size(), 2U);
  EXPECT_EQ(seen.classes[0].good, 10U);
  EXPECT_EQ(seen.classes[0].bad_by[static_cast<std::size_t>(serving::Limit::kTtft)], 3U);
  EXPECT_EQ(seen.classes[1].good, 4U);
  EXPECT_EQ(seen.classes[1].bad_by[static_cast<std::size_t>(serving::Limit::kRejected)], 2U);
  EXPECT_EQ(seen.classes[0].prompt_tokens, 1300U);
  EXPECT_EQ(seen.classes[0].output_tokens, 143U);
  EXPECT_NEAR(seen.classes[0].ttft_ms.quantile(0.5), 20, 0.5);
}

TEST_F(VllmEngineTest, requests_without_a_token_are_bad) {
  const auto engine = attach();
  fake.no_tokens = true;
  fake.serve(5);
  const auto seen = engine->observe();
  EXPECT_EQ(seen.classes[0].bad, 5U);
  EXPECT_EQ(seen.classes[0].good, 0U);
}

TEST_F(VllmEngineTest, refused_requests_count_against_the_engine) {
  const auto engine = attach();
  (void)engine->observe();
  fake.serve(10);
  fake.rejected = 7;
  const auto seen = engine->observe();
  EXPECT_EQ(seen.classes[0].good, 10U);
  EXPECT_EQ(seen.classes[0].bad_by[static_cast<std::size_t>(serving::Limit::kRejected)], 7U);
  EXPECT_EQ(seen.classes[0].arrived, 17U);
}

TEST_F(VllmEngineTest, telemetry_that_makes_no_sense_is_not_fresh_and_nothing_is_lost_by_it) {
  const auto engine = attach();
  fake.serve(3);
  ASSERT_EQ(engine->observe().classes[0].good, 3U);
  fake.serve(4);
  for (const std::string& bad : {std::string("garbage\n"), std::string()}) {
    fake.spoil = [&](const std::string& text) {
      return bad.empty() ? text.substr(0, text.size() / 2) : bad;
    };
    const auto seen = engine->observe();
    EXPECT_FALSE(seen.fresh);
    EXPECT_EQ(seen.classes[0].good, 3U);
    EXPECT_EQ(seen.effective, (Config{32, 2048}));
  }
  fake.spoil = nullptr;
  const auto seen = engine->observe();
  EXPECT_TRUE(seen.fresh);
  EXPECT_EQ(seen.classes[0].good, 7U);
}

TEST_F(VllmEngineTest, a_torn_report_is_not_fresh_and_degraded) {
  const auto engine = attach();
  fake.torn = true;
  fake.clock.pass(10ms);
  EXPECT_FALSE(engine->observe().fresh);
  EXPECT_EQ(engine->health(), Health::kDegraded);
  fake.torn = false;
  fake.clock.pass(10ms);
  EXPECT_TRUE(engine->observe().fresh);
}

TEST_F(VllmEngineTest, a_restart_raises_the_epoch_and_the_confirmed_set_stands) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({16, 1024}));
  ASSERT_TRUE(engine->confirm());
  ASSERT_TRUE(engine->renew(60s));
  ASSERT_TRUE(engine->apply({4, 512}));
  fake.serve(5);
  const auto before = engine->observe();
  fake.start();
  fake.clock.pass(10ms);
  const auto after = engine->observe();
  EXPECT_GT(after.epoch, before.epoch);
  EXPECT_EQ(after.classes[0].arrived, 0U);
  EXPECT_EQ(after.effective, (Config{16, 1024}));
  EXPECT_TRUE(after.acknowledged);
  EXPECT_EQ(engine->health(), Health::kOk) << engine->why();
  EXPECT_TRUE(engine->apply({4, 512}));
  EXPECT_EQ(fake.effective[0], 4);
}

TEST_F(VllmEngineTest, an_engine_with_other_flags_is_not_written_until_requalified) {
  const auto engine = attach();
  fake.max_num_seqs = 64;
  fake.start();
  fake.clock.pass(10ms);
  const int writes = fake.writes;
  EXPECT_EQ(engine->health(), Health::kUnqualified);
  EXPECT_TRUE(says(engine->why(), "max_num_seqs was 32 and is 64")) << engine->why();
  const auto out = engine->apply({4, 512});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, ErrorCode::kRefused);
  EXPECT_EQ(fake.writes, writes);
  // The budget's floor is now above the document's.
  EXPECT_FALSE(engine->requalify());
  EXPECT_EQ(engine->health(), Health::kUnqualified);
  fake.spec_tokens = 1;
  fake.start();
  fake.clock.pass(10ms);
  const auto again = engine->requalify();
  EXPECT_TRUE(again) << again.error().message;
  EXPECT_EQ(engine->health(), Health::kOk) << engine->why();
  EXPECT_TRUE(engine->apply({4, 512}));
}

TEST_F(VllmEngineTest, what_was_confirmed_for_another_model_is_not_confirmed) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({16, 1024}));
  ASSERT_TRUE(engine->confirm());
  fake.model = "/models/other";
  fake.start();
  fake.clock.pass(10ms);
  EXPECT_EQ(fake.effective[0], 32);
  EXPECT_EQ(engine->health(), Health::kUnqualified);
  ASSERT_TRUE(engine->requalify());
  EXPECT_EQ(engine->capabilities().identity.model, "/models/other");
  ASSERT_TRUE(engine->renew(5s));
  ASSERT_TRUE(engine->apply({4, 512}));
  fake.clock.pass(6s);
  EXPECT_EQ(fake.effective[0], 32);
}

TEST_F(VllmEngineTest, when_the_tuner_dies_the_confirmed_set_returns_and_is_seen) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({16, 1024}));
  ASSERT_TRUE(engine->confirm());
  ASSERT_TRUE(engine->renew(3s));
  ASSERT_TRUE(engine->apply({4, 512}));
  fake.clock.pass(11s);
  EXPECT_EQ(fake.effective[0], 16);
  const auto seen = engine->observe();
  EXPECT_EQ(seen.effective, (Config{16, 1024}));
  EXPECT_TRUE(seen.acknowledged);
}

TEST_F(VllmEngineTest, confirm_is_on_the_disk_before_it_is_on_the_page) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({16, 1024}));
  ASSERT_TRUE(engine->confirm());
  const auto text = os::read_file(fake.state() / "confirmed.json", 65536);
  ASSERT_TRUE(text);
  const auto document_written = wire::parse_json(*text);
  ASSERT_TRUE(document_written);
  EXPECT_EQ(document_written->find("values")->find("batch_size")->number(), 16);
  EXPECT_EQ(*document_written->find("identity")->find("model")->as_string(), "/models/mid");
  EXPECT_EQ(fake.word(64 + 1), document_written->find("epoch")->number());
  std::filesystem::remove_all(fake.state());
  ASSERT_TRUE(engine->apply({8, 1024}));
  const std::int64_t epoch = fake.word(64 + 1);
  const auto failed = engine->confirm();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(fake.word(64 + 1), epoch);
}

TEST_F(VllmEngineTest, a_deleted_page_is_noticed_and_the_unproven_command_does_not_come_back) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({16, 1024}));
  ASSERT_TRUE(engine->confirm());
  ASSERT_TRUE(engine->renew(60s));
  ASSERT_TRUE(engine->apply({4, 512}));
  std::filesystem::remove(fake.page_path());
  std::filesystem::remove(fake.ring_path());
  (void)engine->observe();  // ours makes it first
  fake.clock.pass(2s);
  EXPECT_EQ(fake.effective[0], 16);
  const auto seen = engine->observe();
  EXPECT_EQ(seen.effective, (Config{16, 1024}));
  EXPECT_TRUE(seen.fresh);
  fake.serve(3);
  EXPECT_EQ(engine->observe().classes[0].good, 3U);
  EXPECT_TRUE(engine->apply({8, 512}));
  EXPECT_EQ(fake.effective[0], 8);
}

TEST_F(VllmEngineTest, a_page_that_the_plugin_made_anew_is_taken_up) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({16, 1024}));
  std::filesystem::remove(fake.page_path());
  fake.clock.pass(2s);  // the plugin is first
  ASSERT_TRUE(std::filesystem::exists(fake.page_path()));
  EXPECT_EQ(engine->observe().effective, (Config{32, 2048}));
  EXPECT_TRUE(engine->apply({8, 512}));
  EXPECT_EQ(fake.effective[0], 8);
}

TEST_F(VllmEngineTest, a_dead_engine_is_down_and_nothing_is_written) {
  const auto engine = attach();
  fake.serve(3);
  const auto before = engine->observe();
  fake.down = true;
  EXPECT_EQ(engine->health(), Health::kDown);
  const auto seen = engine->observe();
  EXPECT_FALSE(seen.fresh);
  EXPECT_EQ(seen.epoch, before.epoch);
  EXPECT_EQ(seen.classes[0].good, 3U);
  const std::int64_t seq = fake.word(32);
  const auto out = engine->apply({4, 512});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(fake.word(32), seq);
  fake.down = false;
  fake.health_status = 503;
  EXPECT_EQ(engine->health(), Health::kDown);
}

TEST_F(VllmEngineTest, without_the_plugin_attach_says_what_to_install) {
  fake.plugin = false;
  std::filesystem::remove(fake.page_path());
  const auto engine = attach({});
  EXPECT_TRUE(engine->capabilities().knobs.empty());
  EXPECT_TRUE(says(engine->replica(0).facts().no_plugin, "pip install arqonhpo-vllm"));
  EXPECT_EQ(engine->health(), Health::kOk) << engine->why();
  const auto asked = try_attach(kCapAndBudget);
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ErrorCode::kInvalidConfig);
  EXPECT_TRUE(says(asked.error().message, "arqonhpo_vllm.Scheduler")) << asked.error().message;
}

TEST_F(VllmEngineTest, an_unknown_version_runs_plain_and_says_so) {
  fake.plain = true;
  fake.start();
  const auto asked = try_attach(kCapAndBudget);
  ASSERT_FALSE(asked);
  EXPECT_TRUE(says(asked.error().message, "plain scheduler")) << asked.error().message;
}

TEST_F(VllmEngineTest, a_page_of_another_engine_is_not_taken_for_this_one) {
  fake.version = "0.33.0";  // what HTTP says; the page was written by 0.32.0
  const auto asked = try_attach(kCapAndBudget);
  ASSERT_FALSE(asked);
  EXPECT_TRUE(says(asked.error().message, "is a vLLM 0.33.0")) << asked.error().message;
}

TEST_F(VllmEngineTest, two_replicas_take_settings_of_their_own) {
  FakeVllm other("two_replicas_other", "u");
  fake.clock.on_tick = [&] {
    fake.tick();
    other.clock.skip(1ms);
    other.tick();
  };
  World world = fake.world();
  world.http = [&](const net::Request& request) {
    return says(request.url, "http://two") ? other.answer(request) : fake.answer(request);
  };
  std::filesystem::create_hard_link(other.page_path(),
                                    fake.shared() / other.page_path().filename());
  std::filesystem::create_hard_link(other.ring_path(),
                                    fake.shared() / other.ring_path().filename());
  document = *wire::parse_json(R"({"engine": "vllm", "replicas": [
      {"url": "http://one", "name": "t", "state": ")" +
                               fake.state().string() + R"("},
      {"url": "http://two", "name": "u", "state": ")" +
                               other.state().string() + R"("}]})");
  auto attached =
      VllmEngine::attach({document, kCapAndBudget, classes, fake.clock}, std::move(world));
  ASSERT_TRUE(attached) << attached.error().message;
  VllmEngine& engine = **attached;
  EXPECT_EQ(engine.capabilities().replicas, 2);
  ASSERT_TRUE(engine.apply({8, 512}, {1}));
  EXPECT_EQ(fake.effective[0], 32);
  EXPECT_EQ(other.effective[0], 8);
  fake.serve(2);
  other.serve(3);
  EXPECT_EQ(engine.observe({0}).classes[0].good, 2U);
  EXPECT_EQ(engine.observe({1}).classes[0].good, 3U);
  EXPECT_EQ(engine.observe().classes[0].good, 5U);
  EXPECT_EQ(engine.observe({1}).effective, (Config{8, 512}));
  ASSERT_TRUE(engine.apply({32, 2048}));
  EXPECT_EQ(other.effective[0], 32);
  EXPECT_EQ(engine.apply({8, 512}, {2}).error().code, ErrorCode::kInvalidConfig);
}

}  // namespace
}  // namespace arqon::adapters::vllm
