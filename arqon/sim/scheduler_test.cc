// Priorities, deadlines, watermark, and the schedulers that are not vLLM's.
#include "arqon/sim/scheduler.h"

#include <gtest/gtest.h>

#include <string>

#include "arqon/sim/twin_fixture.h"

namespace arqon::sim {
namespace {

std::vector<RequestRow> rows_of(TwinOptions options, workload::Trace trace) {
  options.record_requests = true;
  set_trace(options, std::move(trace));
  return finished_twin(options)->requests();
}

workload::Request backfill_at(double seconds, std::uint32_t prompt, std::uint32_t output) {
  workload::Request request = request_at(seconds, prompt, output);
  request.backfill = true;
  return request;
}

TEST(Priorities, online_requests_enter_before_backfill_that_came_earlier) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.batch_size = 1;
  const auto rows = rows_of(options, {request_at(0, 100, 100), backfill_at(0.1, 100, 100),
                                      backfill_at(0.11, 100, 100), request_at(0.2, 100, 100)});
  EXPECT_LT(0.2 + rows[3].ttft_ms / 1e3, 0.1 + rows[1].ttft_ms / 1e3);
  EXPECT_LT(0.1 + rows[1].ttft_ms / 1e3, 0.11 + rows[2].ttft_ms / 1e3);
}

TEST(Priorities, backfill_is_evicted_before_an_online_request_that_came_later) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.kv_cache_blocks = 40;
  const auto rows = rows_of(options, {backfill_at(0, 160, 400), request_at(0.001, 160, 300)});
  EXPECT_GT(rows[0].max_gap_ms, 400);
  EXPECT_LT(rows[1].max_gap_ms, 20);
}

TEST(Deadlines, a_request_that_waits_beyond_its_limit_is_shed_and_frees_the_queue) {
  TwinOptions options = small_twin();
  options.classes[0].ttft_ms = 300;
  options.fleet.pools[0].engine.batch_size = 1;
  workload::Trace trace;
  for (int i = 0; i < 20; ++i) trace.push_back(request_at(i * 0.05, 100, 100));
  const auto late = rows_of(options, trace);
  options.fleet.pools[0].engine.deadline_shed = 1;
  const auto shed = rows_of(options, trace);
  const auto served = [](const std::vector<RequestRow>& rows) {
    int count = 0;
    for (const RequestRow& row : rows) count += row.broke == serving::Limit::kNone ? 1 : 0;
    return count;
  };
  EXPECT_GE(served(shed), served(late) + 1);
  int rejected = 0;
  for (const RequestRow& row : shed) rejected += row.broke == serving::Limit::kRejected ? 1 : 0;
  EXPECT_GT(rejected, 5);
}

TEST(Deadlines, a_shed_request_may_come_again) {
  TwinOptions options = small_twin();
  options.classes[0].ttft_ms = 300;
  options.fleet.pools[0].engine.batch_size = 1;
  options.fleet.pools[0].engine.deadline_shed = 1;
  workload::Trace trace = {request_at(0, 100, 150), request_at(0.01, 100, 10)};
  trace[1].retries = 2;
  set_trace(options, trace);
  const Totals totals = finished_twin(options)->totals();
  EXPECT_EQ(totals.ledger.rejected, 0u);
  EXPECT_EQ(totals.ledger.late, 1u);  // it came through, too late for who asked
}

TEST(TensorRtLlm, evicts_nobody_because_whole_answers_are_reserved) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.kv_cache_blocks = 60;
  workload::Trace trace;
  for (int i = 0; i < 40; ++i) trace.push_back(request_at(i * 0.05, 100, 300));
  set_trace(options, trace);
  EXPECT_GT(finished_twin(options)->totals().preemptions, 0u);
  options.fleet.pools[0].engine.scheduler = "tensorrt-llm";
  const Totals totals = finished_twin(options)->totals();
  EXPECT_EQ(totals.preemptions, 0u);
  EXPECT_EQ(totals.ledger.good, 40u);
  EXPECT_EQ(totals.batch_histogram.size(), 2u);  // two at a time: 25 blocks each
}

TEST(Triton, a_preferred_batch_goes_at_once_and_an_odd_one_waits_its_delay) {
  TwinOptions options = small_twin();
  EngineSpec& engine = options.fleet.pools[0].engine;
  engine.scheduler = "triton";
  engine.preferred_batch_sizes = {4};
  engine.max_wait_ms = 100;
  workload::Trace four;
  for (int i = 0; i < 4; ++i) four.push_back(request_at(0.001 * i, 100, 2));
  const auto together = rows_of(options, four);
  EXPECT_LT(together[3].ttft_ms, 40);
  const auto three = rows_of(options, {four[0], four[1], four[2]});
  EXPECT_GT(three[0].ttft_ms, 100);
  EXPECT_LT(three[0].ttft_ms, 140);
}

TEST(Triton, a_batch_ends_before_the_next_begins) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.scheduler = "triton";
  const auto rows = rows_of(options, {request_at(0, 100, 200), request_at(0.1, 100, 2)});
  EXPECT_GT(0.1 + rows[1].ttft_ms / 1e3, rows[0].e2e_ms / 1e3);
  options.fleet.pools[0].engine.scheduler = "vllm-v1";
  EXPECT_LT(rows_of(options, {request_at(0, 100, 200), request_at(0.1, 100, 2)})[1].ttft_ms, 40);
}

TEST(Watermark, keeps_a_share_of_the_blocks_from_admission) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.kv_cache_blocks = 100;
  workload::Trace trace;
  for (int i = 0; i < 60; ++i) trace.push_back(request_at(i * 0.02, 160, 200));
  set_trace(options, trace);
  const std::uint64_t without = finished_twin(options)->totals().preemptions;
  options.fleet.pools[0].engine.watermark = 0.3;
  EXPECT_LT(finished_twin(options)->totals().preemptions, without / 2);
}

TEST(SchedulerOptions, names_what_is_wrong) {
  const auto message = [](const EngineSpec& spec) {
    const auto options = scheduler_options(spec, "pool \"main\"");
    return options ? std::string() : options.error().message;
  };
  EXPECT_EQ(message({}), "");
  EXPECT_NE(message({.scheduler = "orca"}).find("vllm-v1, tensorrt-llm, triton"),
            std::string::npos);
  EXPECT_NE(message({.watermark = 0.9}).find("[0, 0.5]"), std::string::npos);
  EXPECT_NE(message({.preferred_batch_sizes = {4}}).find("triton"), std::string::npos);
  EXPECT_NE(message({.speculation_by_batch = {{4, 2}, {4, 1}}}).find("rise"), std::string::npos);
}

}  // namespace
}  // namespace arqon::sim
