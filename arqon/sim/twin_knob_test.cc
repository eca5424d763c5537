// Knobs, restarts, routing, refusals at the door.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "arqon/sim/mix_migration.h"
#include "arqon/sim/twin.h"
#include "arqon/sim/twin_fixture.h"

namespace arqon::sim {
namespace {

std::string refusal(const TwinOptions& options) {
  const auto twin = Twin::create(options);
  if (twin.has_value()) return "";
  EXPECT_EQ(twin.error().code, ErrorCode::kInvalidConfig);
  return twin.error().message;
}

testing::AssertionResult names(const std::string& message, const std::string& part) {
  if (message.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << message << "\" does not name \"" << part << "\"";
}

workload::Trace steady_trace(double seconds, double gap_s, std::uint32_t prompt,
                             std::uint32_t output) {
  workload::Trace trace;
  for (double t = 0; t < seconds; t += gap_s) trace.push_back(request_at(t, prompt, output));
  return trace;
}

TEST(TwinCreate, names_what_is_unknown_and_what_is_known) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].model = "llama-9";
  EXPECT_TRUE(names(refusal(options), "llama-3.1-70b"));
  options = small_twin();
  options.fleet.pools[0].gpu = "b200";
  EXPECT_TRUE(names(refusal(options), "a100-sxm-80g"));
  options = small_twin();
  options.fleet.router.policy = "best";
  EXPECT_TRUE(names(refusal(options), "least_request"));
  options = small_twin();
  options.fleet.pools[0].engine.scheduler = "orca";
  EXPECT_TRUE(names(refusal(options), "vllm-v1"));
  options = small_twin();
  options.fleet.pools[0].tp = 3;
  EXPECT_TRUE(names(refusal(options), "tp"));
  options = small_twin();
  options.fleet.router.weights = {0.5, 0.5};
  EXPECT_TRUE(names(refusal(options), "router.weights"));
}

TEST(TwinCreate, refuses_knobs_that_address_nothing) {
  for (const std::string name : {"main.batchsize", "other.batch_size", "main/1.batch_size",
                                 "main/x.batch_size", "batch_size", "router.weights"}) {
    TwinOptions options = small_twin();
    add_knob(options, name, 1, 10);
    EXPECT_FALSE(refusal(options).empty()) << name;
  }
  TwinOptions options = small_twin();
  add_knob(options, "main.batchsize", 1, 10);
  EXPECT_TRUE(names(refusal(options), "prefill_token_budget"));
}

TEST(TwinCreate, refuses_a_cache_that_cannot_hold_one_request) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.kv_cache_blocks = 10;
  set_trace(options, {request_at(0, 100, 61)});
  EXPECT_TRUE(names(refusal(options), "161"));
  options.fleet.pools[0].engine.kv_cache_blocks = 11;
  EXPECT_EQ(refusal(options), "");
  options.fleet.pools[0].engine.kv_cache_blocks.reset();
  options.fleet.pools[0].model = "llama-3.1-70b";  // 141 GB of weights on one GPU
  EXPECT_TRUE(names(refusal(options), "weights of llama-3.1-70b"));
  options.fleet.pools[0].tp = 2;
  options.fleet.pools[0].engine.gpu_memory_utilization = 0.83;
  EXPECT_TRUE(names(refusal(options), "nothing to the KV cache"));
}

TEST(TwinCreate, refuses_traces_that_are_not_traces) {
  TwinOptions options = small_twin();
  set_trace(options, {request_at(1, 1, 1), request_at(0, 1, 1)});
  EXPECT_TRUE(names(refusal(options), "request 1"));
  set_trace(options, {request_at(1, 0, 1)});
  EXPECT_TRUE(names(refusal(options), "request 0"));
  workload::Request foreign = request_at(0, 1, 1);
  foreign.request_class = 1;
  set_trace(options, {foreign});
  EXPECT_TRUE(names(refusal(options), "class 1"));
}

TEST(TwinCreate, engine_defaults_follow_the_gpu) {
  TwinOptions options = small_twin();
  add_knob(options, "main.batch_size", 1, 4096);
  add_knob(options, "main.prefill_token_budget", 1, 16384);
  EXPECT_EQ(make_twin(options)->capabilities().boot, (Config{1024, 8192}));
  options.fleet.pools[0].gpu = "a100-sxm-80g";
  EXPECT_EQ(make_twin(options)->capabilities().boot, (Config{256, 2048}));
}

TEST(TwinApply, takes_the_domain_and_nothing_else_and_reads_back) {
  TwinOptions options = small_twin();
  add_knob(options, "main.batch_size", 8, 512);  // it boots at 1024
  add_knob(options, "main.gpu_memory_utilization", 0.5, 0.95, 0.01);
  const auto twin = make_twin(options);
  EXPECT_EQ(twin->apply({100, 0.92}).value(), (Config{100, 0.92}));
  EXPECT_EQ(twin->observe().effective, (Config{100, 0.92}));
  const double nan = std::nan("");
  for (const Config& outside : {Config{3, 0.92}, {1024, 0.92}, {99.6, 0.92}, {100, 0.925},
                                {nan, 0.92}, {100}, {}, {100, 0.92, 1}}) {
    EXPECT_EQ(twin->apply(outside).error().code, ErrorCode::kInvalidConfig);
    EXPECT_EQ(twin->observe().effective, (Config{100, 0.92}));
  }
}

TEST(TwinApply, what_is_in_force_may_stay_outside_the_domain) {
  TwinOptions options = small_twin();
  add_knob(options, "main.batch_size", 8, 512);
  add_knob(options, "main.prefill_token_budget", 1024, 8192);
  const auto twin = make_twin(options);
  EXPECT_EQ(twin->apply({1024, 2048}).value(), (Config{1024, 2048}));
  EXPECT_EQ(twin->apply({512, 2048}).value(), (Config{512, 2048}));
  EXPECT_FALSE(twin->apply({1024, 2048}).has_value());
}

// 0.5 + 42 * 0.01 is not 0.92 to the last digit; a restart for that would be a restart for nothing.
TEST(TwinApply, a_value_that_differs_by_rounding_restarts_nothing) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 2;
  add_knob(options, "main.gpu_memory_utilization", 0.5, 0.95, 0.01);
  set_trace(options, {request_at(1.5, 100, 400)});
  const auto twin = make_twin(options);
  const Config rounded = options.knobs.snap(Config{0.92});
  ASSERT_NE(rounded, (Config{0.92}));
  EXPECT_EQ(twin->apply(rounded).value(), (Config{0.92}));
  twin->wait_until(time_at(2));
  EXPECT_EQ(twin->observe(serving::Scope{0}).running, 1);  // a restart would have closed it
}

TEST(TwinApply, a_forbidden_knob_never_moves) {
  TwinOptions options = small_twin();
  options.knobs = Space({Parameter{.name = "main.batch_size",
                                   .type = ParamType::kInt,
                                   .min = 1,
                                   .max = 2000,
                                   .change_class = ChangeClass::kForbidden}});
  EXPECT_EQ(make_twin(options)->apply({5}).value(), (Config{1024}));
}

// A decode runs; at 0.5 s speculation goes on. Steps that began before are not touched.
TEST(TwinApply, live_knobs_act_at_the_next_step) {
  TwinOptions options = small_twin();
  add_knob(options, "main.speculative_decoding_k", 0, 5);
  workload::Request request = request_at(0, 100, 201);
  request.acceptance = 1;
  set_trace(options, {request});
  const auto plain = finished_twin(options);
  const auto changed = make_twin(options);
  changed->wait_until(time_at(0.5));
  const std::uint64_t before = changed->totals().steps;
  ASSERT_TRUE(changed->apply({1}).has_value());
  changed->drain();
  const std::uint64_t after = changed->totals().steps - before;
  EXPECT_EQ(plain->totals().steps, 201u);
  EXPECT_EQ(after, (201 - before + 1) / 2);  // two tokens a step from then on
}

TEST(TwinApply, running_cap_holds_new_admissions_back_at_once) {
  TwinOptions options = small_twin();
  add_knob(options, "main.batch_size", 1, 1024);
  set_trace(options, steady_trace(10, 0.05, 100, 300));
  const auto twin = make_twin(options);
  twin->wait_until(time_at(5));
  EXPECT_GT(twin->observe().running, 20);
  ASSERT_TRUE(twin->apply({4}).has_value());
  twin->wait_until(time_at(9));
  EXPECT_EQ(twin->observe().running, 4);
  EXPECT_GT(twin->observe().waiting, 20);
}

TEST(TwinApply, a_replica_can_be_tuned_alone) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 2;
  options.fleet.router.policy = "round_robin";
  options.record_requests = true;
  add_knob(options, "main/1.max_tokens", 0, 100);
  set_trace(options, steady_trace(2, 0.1, 50, 60));
  const auto twin = make_twin(options);
  ASSERT_TRUE(twin->apply({20}).has_value());
  twin->drain();
  for (const RequestRow& row : twin->requests()) {
    EXPECT_EQ(row.output_tokens, row.replica == 1 ? 20u : 60u);
  }
}

TEST(TwinRestart, costs_a_drain_and_a_load_one_replica_at_a_time) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 2;
  options.fleet.restart_load_s = 30;
  options.record_requests = true;
  add_knob(options, "main.gpu_memory_utilization", 0.5, 0.95, 0.01);
  set_trace(options, steady_trace(120, 0.1, 200, 100));
  const auto twin = make_twin(options);
  EXPECT_EQ(twin->capabilities().knobs[0].change_class, ChangeClass::kRestart);
  twin->wait_until(time_at(10));
  ASSERT_TRUE(twin->apply({0.8}).has_value());
  EXPECT_EQ(twin->health(), serving::Health::kOk);
  twin->wait_until(time_at(20));
  EXPECT_EQ(twin->health(), serving::Health::kDegraded);
  EXPECT_DOUBLE_EQ(twin->observe().effective[0], 0.92);  // not in force everywhere yet
  twin->wait_until(time_at(85));
  EXPECT_EQ(twin->health(), serving::Health::kOk);
  EXPECT_NEAR(twin->observe().effective[0], 0.8, 1e-12);
  twin->drain();
  EXPECT_EQ(twin->totals().ledger.good, twin->totals().ledger.arrived);
  for (const RequestRow& row : twin->requests()) {
    // Replica 0 is away from 10 s to about 41 s, replica 1 from there to about 73 s.
    if (row.arrival_s > 11 && row.arrival_s < 39) {
      ASSERT_EQ(row.replica, 1);
    }
    if (row.arrival_s > 43 && row.arrival_s < 70) {
      ASSERT_EQ(row.replica, 0);
    }
  }
}

TEST(TwinRestart, a_fleet_of_one_makes_everybody_wait) {
  TwinOptions options = small_twin();
  options.fleet.restart_load_s = 30;
  add_knob(options, "main.block_size", 8, 64);
  set_trace(options, steady_trace(20, 0.1, 200, 50));
  const auto twin = make_twin(options);
  twin->wait_until(time_at(5));
  ASSERT_TRUE(twin->apply({32}).has_value());
  twin->wait_until(time_at(10));
  EXPECT_EQ(twin->health(), serving::Health::kDown);
  EXPECT_EQ(twin->observe().running, 0);
  EXPECT_GT(twin->observe().waiting, 30);
  twin->drain();
  const Totals totals = twin->totals();
  EXPECT_EQ(totals.ledger.good, totals.ledger.arrived);
  EXPECT_GT(totals.ttft_ms.p50, 20000);
}

TEST(TwinRestart, a_cache_too_small_is_refused_and_nothing_changes) {
  TwinOptions options = small_twin();
  add_knob(options, "main.kv_cache_blocks", 0, 30000);
  add_knob(options, "main.batch_size", 1, 2000);
  set_trace(options, {request_at(0, 1000, 1000)});
  const auto twin = make_twin(options);
  EXPECT_EQ(twin->apply({100, 7}).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(twin->observe().effective, (Config{0, 1024}));
}

TEST(TwinRouter, weights_share_the_traffic) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 3;
  options.fleet.router.policy = "weighted";
  options.fleet.router.weights = {2, 1, 1};
  options.record_requests = true;
  options.knobs = Space({Parameter{.name = "router.weights",
                                   .type = ParamType::kSimplex,
                                   .choices = {"main/0", "main/1", "main/2"}}});
  set_trace(options, steady_trace(40, 0.1, 50, 10));
  const auto twin = make_twin(options);
  EXPECT_EQ(twin->capabilities().boot, (Config{0.5, 0.25, 0.25}));
  twin->wait_until(time_at(20.001));
  ASSERT_TRUE(twin->apply({0, 0.5, 0.5}).has_value());
  twin->drain();
  std::vector<int> early(3), late(3);
  for (const RequestRow& row : twin->requests()) {
    ++(row.arrival_s < 19.99 ? early : late)[static_cast<std::size_t>(row.replica)];
  }
  EXPECT_NEAR(early[0], 100, 1);
  EXPECT_NEAR(early[1], 50, 1);
  EXPECT_LE(late[0], 1);
  EXPECT_NEAR(late[1], 100, 2);
}

TEST(TwinRouter, fresh_least_request_beats_chance_and_staleness_herds) {
  const auto bad = [](const std::string& policy, double age_ms) {
    TwinOptions options = mix_migration(3, 600);
    options.fleet.router.policy = policy;
    options.fleet.router.state_age_ms = age_ms;
    return 1 - finished_twin(options)->totals().attainment;
  };
  const double fresh = bad("least_request", 0), stale = bad("least_request", 5000);
  EXPECT_LT(fresh * 1.2, bad("random", 0));
  EXPECT_LT(fresh * 1.2, stale);
}

}  // namespace
}  // namespace arqon::sim
