// What the twin does with requests: closed forms, the ledger, queue limits, preemption.
#include "arqon/sim/twin.h"

#include <gtest/gtest.h>

#include <cmath>

#include "arqon/base/rng.h"
#include "arqon/sim/step_time.h"
#include "arqon/sim/twin_fixture.h"

namespace arqon::sim {
namespace {

using serving::Limit;

double prefill_ms(std::int64_t tokens) {
  const StepTime time(*find_model("llama-3.1-8b"), *find_gpu("h100-sxm-80g"), {});
  const auto n = static_cast<double>(tokens);
  return static_cast<double>(time.base({.chunks = 1,
                                        .chunk_tokens = tokens,
                                        .chunk_attention = n * n / 2,
                                        .chunks_completed = 1})) /
         1e9;
}

TEST(Twin, a_lone_request_takes_front_end_prefill_and_decode_steps) {
  TwinOptions options = small_twin();
  options.record_requests = true;
  set_trace(options, {request_at(1, 1000, 11)});
  const auto twin = finished_twin(options);
  const Totals totals = twin->totals();
  EXPECT_EQ(totals.ledger.good, 1u);
  EXPECT_NEAR(totals.ttft_ms.mean, 4 + prefill_ms(1000), 1e-3);
  const StepTime time(*find_model("llama-3.1-8b"), *find_gpu("h100-sxm-80g"), {});
  double decode = 0;
  for (int i = 0; i < 10; ++i) {
    decode += static_cast<double>(time.base({.decodes = 1}) +
                                  time.ps_per_context_unit() * kContextUnit * (1001 + i)) /
              1e9;
  }
  EXPECT_NEAR(totals.tpot_ms.mean, decode / 10, 1e-5);
  EXPECT_NEAR(totals.e2e_ms.mean, 4 + prefill_ms(1000) + decode, 1e-3);
  EXPECT_EQ(totals.steps, 11u);
  EXPECT_EQ(twin->requests().at(0).output_tokens, 11u);
  EXPECT_EQ(twin->requests().at(0).replica, 0);
}

TEST(Twin, tpot_of_a_one_token_answer_is_not_judged) {
  TwinOptions options = small_twin();
  options.classes[0].tpot_ms = 0.001;
  options.classes[0].max_gap_ms = 0.001;
  set_trace(options, {request_at(0, 10, 1)});
  const Totals totals = finished_twin(options)->totals();
  EXPECT_EQ(totals.ledger.good, 1u);
  EXPECT_EQ(totals.tpot_ms.n, 0u);
}

TEST(Twin, a_prompt_longer_than_the_budget_is_prefilled_in_chunks) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.prefill_token_budget = 512;
  set_trace(options, {request_at(0, 2000, 2)});
  EXPECT_EQ(finished_twin(options)->totals().steps, 4u + 1u);
  options.fleet.pools[0].engine.prefill_token_budget = 8192;
  options.fleet.pools[0].engine.long_prefill_threshold = 400;
  EXPECT_EQ(finished_twin(options)->totals().steps, 5u + 1u);
}

TEST(Twin, longest_pause_is_the_prefill_that_came_between) {
  TwinOptions options = small_twin();
  set_trace(options, {request_at(0, 100, 200), request_at(0.5, 8000, 1)});
  const Totals totals = finished_twin(options)->totals();
  // The 8000-token prompt rides in one step with the decoding request.
  EXPECT_NEAR(totals.max_gap_ms.p99, prefill_ms(8000), 3);
  EXPECT_EQ(totals.max_gap_ms.n, 1u);
}

// One server, Poisson arrivals, fixed service: the mean wait is that of M/D/1.
TEST(Twin, running_cap_of_one_waits_as_m_d_1) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.batch_size = 1;
  Rng rng(11);
  const double service = prefill_ms(512) / 1e3;
  const double load = 0.5;
  workload::Trace trace;
  double t = 0;
  for (int i = 0; i < 300000; ++i) {
    t += rng.exponential() * service / load;
    trace.push_back(request_at(t, 512, 1));
  }
  set_trace(options, std::move(trace));
  const Totals totals = finished_twin(options)->totals();
  const double wait_ms = totals.ttft_ms.mean - 4 - service * 1e3;
  EXPECT_NEAR(wait_ms / (service * 1e3 * load / (2 * (1 - load))), 1, 0.02);
}

TEST(Twin, littles_law_holds) {
  TwinOptions options = small_twin();
  Rng rng(12);
  workload::Trace trace;
  double t = 0;
  for (int i = 0; i < 6000; ++i) {
    t += rng.exponential() / 8;
    trace.push_back(request_at(t, 1 + static_cast<std::uint32_t>(rng.below(1500)),
                               1 + static_cast<std::uint32_t>(rng.below(300))));
  }
  set_trace(options, std::move(trace));
  const auto twin = make_twin(options);
  double inside = 0;
  int looks = 0;
  for (double at = 20; at < t; at += 0.05, ++looks) {
    twin->wait_until(time_at(at));
    const serving::Observation seen = twin->observe();
    inside += seen.running + seen.waiting;
  }
  twin->drain();
  const Totals totals = twin->totals();
  const double expected = 6000 / t * (totals.e2e_ms.mean - 4) / 1e3;
  EXPECT_NEAR(inside / looks / expected, 1, 0.03);
}

TEST(Twin, decode_steps_equal_answers_when_nothing_is_drafted) {
  TwinOptions options = small_twin();
  set_trace(options, {request_at(0, 50, 101), request_at(30, 50, 51)});
  const Totals totals = finished_twin(options)->totals();
  EXPECT_EQ(totals.steps, 2u + 100u + 50u);
  EXPECT_DOUBLE_EQ(totals.tokens_per_step, 1);
}

TEST(Twin, speculation_shortens_answers_by_what_is_accepted) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.speculative_decoding_k = 3;
  workload::Request request = request_at(0, 50, 1001);
  request.acceptance = 0.5F;
  set_trace(options, {request});
  const Totals half = finished_twin(options)->totals();
  EXPECT_NEAR(half.tokens_per_step, 1 + 0.5 + 0.25 + 0.125, 0.01);
  EXPECT_NEAR(static_cast<double>(half.steps), 1 + 1000 / 1.875, 1);
  // Nothing accepted: as many steps as without, each paying for the draft.
  request.acceptance = 0;
  set_trace(options, {request});
  const Totals none = finished_twin(options)->totals();
  EXPECT_EQ(none.steps, 1001u);
  EXPECT_GT(none.tpot_ms.mean, 0.3 + 3 * 0.6 + 5.5);
}

TEST(Twin, queue_limit_rejects_and_says_so_at_once) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.queued_token_limit = 10000;
  options.record_requests = true;
  workload::Trace trace;
  for (int i = 0; i < 40; ++i) trace.push_back(request_at(0.001 * i, 4000, 10));
  set_trace(options, std::move(trace));
  const auto twin = make_twin(options);
  twin->wait_until(time_at(0.1));
  const serving::ClassCounters early = twin->observe().classes[0];
  EXPECT_GT(early.bad_by[static_cast<std::size_t>(Limit::kRejected)], 30u);
  EXPECT_EQ(early.bad, early.bad_by[static_cast<std::size_t>(Limit::kRejected)]);
  twin->drain();
  const serving::Ledger ledger = twin->totals().ledger;
  EXPECT_EQ(ledger.arrived, 40u);
  EXPECT_EQ(ledger.good + ledger.rejected, 40u);
  EXPECT_GE(ledger.good, 3u);  // an empty replica never refuses
  EXPECT_EQ(twin->requests().back().broke, Limit::kRejected);
}

TEST(Twin, max_tokens_cuts_answers_and_counts_them) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.max_tokens = 20;
  set_trace(options, {request_at(0, 10, 19), request_at(0, 10, 20), request_at(0, 10, 21)});
  const auto twin = finished_twin(options);
  const Totals totals = twin->totals();
  EXPECT_EQ(totals.ledger.good, 2u);
  EXPECT_EQ(totals.ledger.cut, 1u);
  EXPECT_EQ(totals.good_tokens, 39u);
  EXPECT_EQ(twin->observe().classes[0].bad_by[static_cast<std::size_t>(Limit::kCap)], 1u);
}

TEST(Twin, batch_wait_only_delays_an_idle_engine) {
  TwinOptions options = small_twin();
  set_trace(options, {request_at(0, 100, 1)});
  const double plain = finished_twin(options)->totals().ttft_ms.mean;
  options.fleet.pools[0].engine.max_wait_ms = 50;
  EXPECT_NEAR(finished_twin(options)->totals().ttft_ms.mean, plain + 50, 1e-3);
}

TEST(Twin, ttft_limit_breaks_while_the_request_still_waits) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.batch_size = 1;
  options.classes[0].ttft_ms = 100;
  set_trace(options, {request_at(0, 100, 1000), request_at(0, 100, 10)});
  const auto twin = make_twin(options);
  twin->wait_until(time_at(0.09));
  EXPECT_EQ(twin->observe().classes[0].bad, 0u);
  twin->wait_until(time_at(0.11));
  EXPECT_EQ(twin->observe().classes[0].bad_by[static_cast<std::size_t>(Limit::kTtft)], 1u);
  twin->wait_until(time_at(0.2));
  EXPECT_EQ(twin->observe().classes[0].bad, 1u);  // never twice
  twin->drain();
  EXPECT_EQ(twin->observe().classes[0].bad, 1u);
  const Totals totals = twin->totals();
  EXPECT_EQ(totals.ledger.late, 1u);
  EXPECT_EQ(totals.classes[0].late_by[static_cast<std::size_t>(Limit::kTtft)], 1u);
}

TEST(Twin, gap_limit_breaks_while_the_answer_still_runs) {
  TwinOptions options = small_twin();
  options.classes = {{.name = "tight", .max_gap_ms = 100}, {.name = "loose"}};
  workload::Request long_prompt = request_at(0.5, 8000, 1);
  long_prompt.request_class = 1;
  set_trace(options, {request_at(0, 100, 1000), long_prompt});
  const auto twin = make_twin(options);
  twin->wait_until(time_at(1));
  const serving::Observation seen = twin->observe();
  EXPECT_EQ(seen.running, 1);
  EXPECT_EQ(seen.classes[0].bad_by[static_cast<std::size_t>(Limit::kGap)], 1u);
  EXPECT_EQ(seen.classes[1].bad, 0u);
}

TEST(Twin, e2e_limit_breaks_in_flight) {
  TwinOptions options = small_twin();
  options.classes[0].e2e_ms = 500;
  set_trace(options, {request_at(0, 100, 1000)});
  const auto twin = make_twin(options);
  twin->wait_until(time_at(0.6));
  EXPECT_EQ(twin->observe().classes[0].bad_by[static_cast<std::size_t>(Limit::kE2e)], 1u);
}

TEST(Twin, ttft_limit_grows_with_the_prompt) {
  TwinOptions options = small_twin();
  options.classes[0].ttft_ms = prefill_ms(4000) + 4 - 40;
  set_trace(options, {request_at(0, 4000, 2)});
  EXPECT_EQ(finished_twin(options)->totals().ledger.late, 1u);
  options.classes[0].ttft_ms_per_prompt_token = 41.0 / 4000;
  EXPECT_EQ(finished_twin(options)->totals().ledger.good, 1u);
}

// Two sequences that cannot both grow: the one admitted last goes back to the queue, computes its
// prompt and answer again, and its pause counts as a gap.
TEST(Twin, kv_shortage_evicts_the_last_admitted_and_recomputes) {
  TwinOptions options = small_twin();
  options.record_requests = true;
  options.fleet.pools[0].engine.kv_cache_blocks = 40;  // 640 tokens
  set_trace(options, {request_at(0, 160, 400), request_at(0.001, 160, 300)});
  const Totals totals = finished_twin(options)->totals();
  EXPECT_EQ(totals.ledger.good, 2u);
  EXPECT_EQ(totals.preemptions, 1u);
  EXPECT_GT(totals.recomputed_tokens, 160u);
  const auto twin = finished_twin(options);
  const auto& rows = twin->requests();
  EXPECT_LT(rows[0].max_gap_ms, 20);
  EXPECT_GT(rows[1].max_gap_ms, 400);  // waited for most of the first answer
  EXPECT_LE(totals.kv_use_max, 1);
}

TEST(Twin, unfinished_requests_stay_on_the_ledger) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.batch_size = 1;
  workload::Trace trace;
  for (int i = 0; i < 200; ++i) trace.push_back(request_at(0, 100, 1000));
  set_trace(options, std::move(trace));
  const auto twin = finished_twin(options);
  const serving::Ledger ledger = twin->totals().ledger;
  EXPECT_GT(ledger.unfinished, 50u);
  EXPECT_EQ(ledger.arrived, ledger.good + ledger.unfinished);
  EXPECT_DOUBLE_EQ(to_seconds(twin->now()), 600);
}

TEST(Twin, everything_that_is_up_is_paid) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 3;
  options.fleet.pools[0].tp = 2;
  options.fleet.pools[0].price_per_gpu_hour = 3;
  const auto twin = make_twin(options);
  twin->wait_until(time_at(1800));
  EXPECT_DOUBLE_EQ(twin->observe().paid_dollars, 9);
  EXPECT_DOUBLE_EQ(twin->totals().paid_gpu_s, 10800);
}

TEST(Twin, worst_five_minutes_are_by_arrival) {
  TwinOptions options = small_twin();
  options.classes[0].ttft_ms = 50;
  workload::Trace trace;
  for (int i = 0; i < 1000; ++i) trace.push_back(request_at(i * 0.25, 100, 2));
  for (int i = 0; i < 200; ++i) trace.push_back(request_at(310 + i * 1e-4, 1000, 2));
  set_trace(options, std::move(trace));
  const Totals totals = finished_twin(options)->totals();
  EXPECT_LT(totals.worst_5_min_attainment, 0.1);
  EXPECT_GT(totals.attainment, 0.8);
}

}  // namespace
}  // namespace arqon::sim
