// The fleet: which pool and which replica a request goes to, and what happens to machines.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "arqon/base/rng.h"
#include "arqon/sim/pool_choice.h"
#include "arqon/sim/router.h"
#include "arqon/sim/twin.h"
#include "arqon/sim/twin_fixture.h"

namespace arqon::sim {
namespace {

PoolSpec pool_of(const std::string& name, int replicas, double quality) {
  PoolSpec pool;
  pool.name = name;
  pool.model = "llama-3.1-8b";
  pool.gpu = "h100-sxm-80g";
  pool.replicas = replicas;
  pool.quality = quality;
  return pool;
}

workload::Trace poisson_trace(double rate, double seconds, std::uint32_t prompt,
                              std::uint32_t output) {
  workload::Trace trace;
  Rng rng = Rng(7).stream("arrivals");
  for (double t = rng.exponential() / rate; t < seconds; t += rng.exponential() / rate) {
    trace.push_back(request_at(t, prompt, output));
  }
  return trace;
}

TwinOptions two_pools(double quality_min, double lesser_share) {
  TwinOptions options = small_twin();
  options.fleet.pools = {pool_of("large", 1, 0.9), pool_of("small", 1, 0.5)};
  options.quality = {{quality_min, lesser_share}};
  options.record_requests = true;
  return options;
}

std::map<int, int> by_replica(const Twin& twin) {
  std::map<int, int> out;
  for (const RequestRow& row : twin.requests()) ++out[row.replica];
  return out;
}

void expect_whole(const Totals& t) {
  const serving::Ledger& l = t.ledger;
  EXPECT_EQ(l.arrived, l.good + l.late + l.cut + l.rejected + l.unfinished);
}

FleetEvent event_at(double at_s, FleetEventKind kind, const std::string& pool, int replica = -1,
                    double speed = 1) {
  return {.at_s = at_s, .kind = kind, .pool = pool, .replica = replica, .speed = speed};
}

// ---- pools ---------------------------------------------------------------------------------

TEST(Pools, a_class_is_answered_by_pools_that_are_good_enough) {
  TwinOptions options = two_pools(0.8, 0);
  set_trace(options, poisson_trace(5, 60, 200, 50));
  EXPECT_EQ(by_replica(*finished_twin(options)).count(1), 0u);
  options.quality = {{0.3, 0}};
  const auto both = by_replica(*finished_twin(options));
  EXPECT_GT(both.at(0), 50);
  EXPECT_GT(both.at(1), 50);
}

TEST(Pools, weights_share_the_requests_and_the_budget_bounds_the_lesser_pool) {
  TwinOptions options = two_pools(0.8, 1);
  options.fleet.router.pool_weights = {0.7, 0.3};
  set_trace(options, poisson_trace(5, 200, 200, 50));
  const double n = static_cast<double>(options.trace->size());
  EXPECT_NEAR(by_replica(*finished_twin(options)).at(1), 0.3 * n, 2);
  options.quality = {{0.8, 0.1}};
  const int bounded = by_replica(*finished_twin(options)).at(1);
  EXPECT_LE(bounded, 0.1 * n);
  EXPECT_GE(bounded, 0.1 * n - 2);
}

TEST(Pools, spill_begins_at_the_depth_and_not_before) {
  TwinOptions options = two_pools(0.8, 1);
  options.fleet.pools[0].engine.batch_size = 4;
  options.fleet.router.spill_depth = 3;
  set_trace(options, poisson_trace(1, 60, 200, 50));
  EXPECT_EQ(by_replica(*finished_twin(options)).count(1), 0u) << "nobody waits";
  set_trace(options, poisson_trace(30, 60, 200, 50));
  const auto spilled = finished_twin(options);
  EXPECT_GT(by_replica(*spilled).at(1), 200);
  options.fleet.router.spill_depth = 0;
  EXPECT_EQ(by_replica(*finished_twin(options)).count(1), 0u) << "0 is never";
}

TEST(Pools, what_the_day_before_did_not_use_is_not_kept) {
  FleetSpec fleet;
  fleet.pools = {pool_of("large", 1, 0.9), pool_of("small", 1, 0.5)};
  fleet.router.pool_weights = {0, 1};
  PoolChoice choice(fleet, {{0.8, 0.5}}, 1);
  const std::vector<double> depths(2, 0.0);
  const Ps day = 86400 * kPsPerSecond;
  int below = 0;
  for (int i = 0; i < 100; ++i) below += choice.choose(0, i, 3, depths) == 2 ? 1 : 0;
  EXPECT_EQ(below, 50);
  choice.set_weights(std::vector<double>{1, 0});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(choice.choose(0, 1000 + i, 3, depths), 1u);
  choice.set_weights(std::vector<double>{0, 1});
  below = 0;
  for (int i = 0; i < 100; ++i) below += choice.choose(0, day + i, 3, depths) == 2 ? 1 : 0;
  EXPECT_EQ(below, 50) << "not the 150 that the day before would allow";
}

TEST(Pools, when_nothing_better_is_up_the_budget_decides) {
  TwinOptions options = two_pools(0.8, 0.25);
  options.fleet.events = {event_at(0, FleetEventKind::kFail, "large")};
  set_trace(options, poisson_trace(5, 100, 200, 50));
  const Totals totals = finished_twin(options)->totals();
  const double n = static_cast<double>(totals.ledger.arrived);
  EXPECT_NEAR(static_cast<double>(totals.ledger.good), 0.25 * n, 2);
  EXPECT_EQ(totals.ledger.good + totals.ledger.rejected, totals.ledger.arrived);
}

// ---- cascade -------------------------------------------------------------------------------

TwinOptions cascade(double threshold) {
  TwinOptions options = two_pools(0, 0);
  options.fleet.router.cascade = CascadeSpec{.small = "small", .large = "large"};
  options.fleet.router.cascade->threshold = threshold;
  set_trace(options, poisson_trace(10, 300, 100, 20));
  return options;
}

TEST(Cascade, follows_its_confusion_matrix) {
  const auto twin = finished_twin(cascade(1));
  const Totals totals = twin->totals();
  expect_whole(totals);
  const double n = static_cast<double>(totals.ledger.arrived);
  // Of hard requests Phi(1) = .841 go to the large pool at once; of the rest .7 are caught.
  const double hard = 0.3, easy = 0.7;
  const double small_hard = hard * (1 - 0.8413), small_easy = easy * 0.8413;
  const double ends_large = 1 - small_hard * 0.3 - small_easy * 0.9;
  EXPECT_NEAR(by_replica(*twin).at(0) / n, ends_large, 0.03);
  EXPECT_NEAR(static_cast<double>(
                  totals.classes[0].late_by[static_cast<std::size_t>(serving::Limit::kQuality)]) /
                  n,
              small_hard * 0.3, 0.01);
}

TEST(Cascade, an_escalated_request_waits_for_both_answers) {
  TwinOptions options = cascade(100);  // all begin small
  options.fleet.router.cascade->hard_share = 1;
  options.fleet.router.cascade->caught = 1;
  set_trace(options, {request_at(1, 100, 50)});
  const auto twin = finished_twin(options);
  TwinOptions alone = cascade(-100);  // all begin large
  set_trace(alone, {request_at(1, 100, 50)});
  const auto direct = finished_twin(alone);
  EXPECT_EQ(twin->requests()[0].replica, 0);
  EXPECT_EQ(twin->totals().ledger.good, 1u);
  EXPECT_NEAR(twin->requests()[0].ttft_ms,
              direct->requests()[0].e2e_ms + direct->requests()[0].ttft_ms, 1)
      << "both pools are the same model here";
  EXPECT_NEAR(twin->requests()[0].tpot_ms, direct->requests()[0].tpot_ms, 0.01);
}

TEST(Cascade, the_threshold_is_a_knob) {
  TwinOptions options = cascade(1);
  add_knob(options, "router.cascade_threshold", -100, 100, 0.5);
  const auto twin = make_twin(options);
  EXPECT_EQ(twin->capabilities().boot, (Config{1}));
  ASSERT_TRUE(twin->apply({-100}).has_value());
  twin->drain();
  EXPECT_EQ(by_replica(*twin).count(1), 0u);
}

// ---- machines ------------------------------------------------------------------------------

TEST(Machines, a_throttled_replica_is_slower_by_as_much) {
  TwinOptions options = small_twin();
  options.record_requests = true;
  set_trace(options, {request_at(0, 100, 100), request_at(10, 100, 100)});
  options.fleet.events = {event_at(5, FleetEventKind::kThrottle, "main", 0, 0.5)};
  const auto twin = finished_twin(options);
  EXPECT_NEAR(twin->requests()[1].tpot_ms, 2 * twin->requests()[0].tpot_ms, 0.01);
}

TEST(Machines, a_failure_moves_what_waits_and_breaks_what_streams) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 2;
  options.record_requests = true;
  options.fleet.events = {event_at(10, FleetEventKind::kFail, "main", 0),
                          event_at(20, FleetEventKind::kRecover, "main", 0)};
  options.fleet.restart_load_s = 15;
  set_trace(options, poisson_trace(20, 60, 200, 200));
  const auto twin = make_twin(options);
  twin->wait_until(time_at(9.99));
  const double streaming = twin->observe(serving::Scope{}).running / 2;
  twin->wait_until(time_at(30));
  EXPECT_EQ(twin->health(), serving::Health::kDegraded);
  twin->drain();
  const Totals totals = twin->totals();
  expect_whole(totals);
  EXPECT_EQ(totals.ledger.unfinished, 0u);
  EXPECT_NEAR(static_cast<double>(totals.ledger.rejected), streaming, 0.35 * streaming);
  for (const RequestRow& row : twin->requests()) {
    const double routed = row.arrival_s + 0.004;
    if (routed >= 10 && routed < 35) {
      EXPECT_EQ(row.replica, 1) << row.arrival_s;
    }
  }
  EXPECT_GT(by_replica(*twin).at(0), 200 + static_cast<int>(streaming)) << "it came back";
}

TEST(Machines, clients_that_try_again_lose_nothing_and_count_once) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 2;
  options.fleet.events = {event_at(10, FleetEventKind::kFail, "main", 0)};
  workload::Trace trace = poisson_trace(10, 30, 200, 200);
  for (workload::Request& r : trace) r.retries = 3;
  set_trace(options, trace);
  options.classes[0].e2e_ms = 60000;
  const Totals totals = finished_twin(options)->totals();
  EXPECT_EQ(totals.ledger.arrived, trace.size());
  EXPECT_EQ(totals.ledger.good, trace.size());
}

TEST(Machines, retries_wait_longer_each_time_and_belong_to_the_first_arrival) {
  TwinOptions options = small_twin();
  options.record_requests = true;
  options.fleet.events = {event_at(0, FleetEventKind::kFail, "main"),
                          event_at(2, FleetEventKind::kRecover, "main")};
  options.fleet.restart_load_s = 0;
  workload::Request request = request_at(1, 100, 10);
  request.retries = 2;  // after about 1 s, when nobody is there, and 2 s later
  set_trace(options, {request});
  const auto twin = finished_twin(options);
  EXPECT_EQ(twin->totals().ledger.good, 1u);
  EXPECT_GT(twin->requests()[0].ttft_ms, 1000 * (0.75 + 0.75));
  EXPECT_LT(twin->requests()[0].ttft_ms, 1000 * (1.25 + 2.5) + 100);
}

TEST(Machines, replicas_is_a_knob_that_pays_for_what_is_up) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 1;
  options.fleet.pools[0].replicas_max = 3;
  options.fleet.restart_load_s = 30;
  options.record_requests = true;
  add_knob(options, "main.replicas", 1, 3);
  set_trace(options, poisson_trace(5, 200, 200, 100));
  const auto twin = make_twin(options);
  EXPECT_EQ(twin->capabilities().boot, (Config{1}));
  EXPECT_EQ(twin->capabilities().replicas, 1) << "a count cannot be tried on one replica";
  twin->wait_until(time_at(50));
  ASSERT_TRUE(twin->apply({3}).has_value());
  twin->wait_until(time_at(150));
  ASSERT_TRUE(twin->apply({1}).has_value());
  twin->wait_until(time_at(200));
  // 200 s of the first and, from the start of loading to the end of draining, 100 s and a little
  // of the two others.
  EXPECT_GT(twin->totals().paid_gpu_s, 400);
  EXPECT_LT(twin->totals().paid_gpu_s, 405);
  twin->drain();
  expect_whole(twin->totals());
  EXPECT_EQ(twin->totals().ledger.good, twin->totals().ledger.arrived);
  for (const RequestRow& row : twin->requests()) {
    if (row.arrival_s >= 79.9 && row.arrival_s <= 150.1) continue;
    EXPECT_EQ(row.replica, 0);
  }
  EXPECT_GT(by_replica(*twin).at(2), 50);
}

TEST(Machines, sleep_costs_nothing_and_ends_sooner_than_a_start) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 2;
  options.fleet.events = {event_at(10, FleetEventKind::kSleep, "main", 1),
                          event_at(60, FleetEventKind::kWake, "main", 1)};
  options.record_requests = true;
  set_trace(options, poisson_trace(5, 100, 200, 20));
  const auto twin = make_twin(options);
  twin->wait_until(time_at(100));
  EXPECT_NEAR(twin->totals().paid_gpu_s, 150, 1);
  twin->drain();
  double first = 1e9;
  for (const RequestRow& row : twin->requests()) {
    if (row.replica == 1 && row.arrival_s > 20) first = std::min(first, row.arrival_s);
  }
  EXPECT_GT(first, 65 - 0.01);
  EXPECT_LT(first, 67);
}

TEST(Machines, a_pool_may_be_paid_by_the_token) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].price_per_gpu_hour = 0;
  options.fleet.pools[0].price_per_million_tokens = 2;
  set_trace(options, poisson_trace(5, 50, 300, 100));
  const Totals totals = finished_twin(options)->totals();
  EXPECT_NEAR(totals.paid_dollars, 2e-6 * 400 * static_cast<double>(totals.ledger.arrived), 1e-9);
}

// ---- prefill and decode apart --------------------------------------------------------------

TwinOptions split(int prefill, int replicas) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = replicas;
  options.fleet.pools[0].prefill_replicas = prefill;
  options.record_requests = true;
  return options;
}

TEST(Split, a_lone_request_pays_for_the_transfer_once) {
  TwinOptions options = split(1, 2);
  options.fleet.kv_transfer = {.gb_per_s = 10, .latency_ms = 5};
  set_trace(options, {request_at(1, 1000, 50)});
  const auto apart = finished_twin(options);
  TwinOptions whole = split(0, 2);
  set_trace(whole, {request_at(1, 1000, 50)});
  const auto together = finished_twin(whole);
  const RequestRow a = apart->requests()[0], b = together->requests()[0];
  EXPECT_EQ(a.replica, 1);
  EXPECT_NEAR(a.ttft_ms, b.ttft_ms, 1e-3);
  // 131,072 bytes a token of 8B: 131 MB at 10 GB/s.
  const double transfer = 5 + 13.1072;
  EXPECT_NEAR(a.e2e_ms - b.e2e_ms, transfer, 1e-3);
  EXPECT_NEAR(a.max_gap_ms, b.max_gap_ms + transfer, 0.1);
}

TEST(Split, a_long_prompt_no_longer_interrupts_who_decodes) {
  workload::Trace trace{request_at(0, 100, 400), request_at(1, 8000, 2)};
  TwinOptions options = split(1, 2);
  set_trace(options, trace);
  TwinOptions whole = split(0, 1);
  set_trace(whole, trace);
  EXPECT_LT(finished_twin(options)->requests()[0].max_gap_ms, 30);
  EXPECT_GT(finished_twin(whole)->requests()[0].max_gap_ms, 100);
}

TEST(Split, roles_flip_while_requests_run_and_none_is_lost) {
  TwinOptions options = split(1, 3);
  add_knob(options, "main.prefill_replicas", 0, 2);
  set_trace(options, poisson_trace(20, 60, 1500, 150));
  const auto twin = make_twin(options);
  for (const auto& [at, prefill] : std::map<int, double>{{10, 2}, {20, 0}, {30, 1}, {40, 2}}) {
    twin->wait_until(time_at(at));
    ASSERT_TRUE(twin->apply({prefill}).has_value());
  }
  twin->drain();
  expect_whole(twin->totals());
  EXPECT_EQ(twin->totals().ledger.good, options.trace->size());
}

TEST(Split, somebody_must_decode) {
  TwinOptions options = split(2, 2);
  EXPECT_FALSE(Twin::create(options).has_value());
  options = split(1, 2);
  options.fleet.pools[0].replicas_max = 4;
  add_knob(options, "main.replicas", 1, 4);
  add_knob(options, "main.prefill_replicas", 0, 3);
  const auto twin = make_twin(options);
  EXPECT_EQ(twin->apply({2, 2}).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(twin->observe().effective, (Config{2, 1}));
  EXPECT_TRUE(twin->apply({3, 2}).has_value());
}

TEST(Split, when_all_decode_replicas_are_down_one_does_both) {
  TwinOptions options = split(1, 2);
  options.fleet.events = {event_at(5, FleetEventKind::kFail, "main", 1)};
  workload::Trace trace = poisson_trace(5, 20, 500, 50);
  for (workload::Request& r : trace) r.retries = 5;
  set_trace(options, trace);
  const Totals totals = finished_twin(options)->totals();
  EXPECT_EQ(totals.ledger.good, totals.ledger.arrived);
}

// ---- routing by prefix ---------------------------------------------------------------------

TEST(PrefixAffine, keeps_a_conversation_at_one_replica) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].replicas = 4;
  options.record_requests = true;
  workload::Trace trace = poisson_trace(8, 100, 300, 50);
  for (std::size_t i = 0; i < trace.size(); ++i) {
    trace[i].session = 1 + static_cast<std::uint32_t>(i % 40);
  }
  set_trace(options, trace);
  const auto moved = [](const Twin& twin) {
    std::map<std::size_t, int> last;
    int out = 0;
    for (std::size_t i = 0; i < twin.requests().size(); ++i) {
      const int now = twin.requests()[i].replica;
      const auto [at, fresh] = last.emplace(i % 40, now);
      out += !fresh && at->second != now ? 1 : 0;
      at->second = now;
    }
    return out;
  };
  const int by_load = moved(*finished_twin(options));
  options.fleet.router.policy = "prefix_affine";
  const auto twin = finished_twin(options);
  EXPECT_LT(moved(*twin), by_load / 5);
  for (int r = 0; r < 4; ++r) EXPECT_GT(by_replica(*twin)[r], 40) << "nobody idles";
}

// Run-length steps must not show: forwards, failures and throttling come in between.
TEST(Fleet, run_length_is_step_by_step_with_everything_in_play) {
  TwinOptions options = two_pools(0.8, 0.5);
  options.fleet.noise = true;
  options.fleet.pools[0].replicas = 3;
  options.fleet.pools[0].prefill_replicas = 1;
  options.fleet.router.spill_depth = 2;
  options.fleet.router.state_age_ms = 100;
  options.fleet.events = {event_at(5, FleetEventKind::kThrottle, "large", 1, 0.6),
                          event_at(11.03, FleetEventKind::kFail, "large", 2),
                          event_at(14, FleetEventKind::kRecover, "large", 2)};
  options.fleet.restart_load_s = 3;
  workload::Trace trace = poisson_trace(25, 30, 900, 120);
  for (workload::Request& r : trace) r.retries = 1;
  set_trace(options, trace);
  const auto fast = finished_twin(options);
  options.step_by_step = true;
  const auto slow = finished_twin(options);
  ASSERT_EQ(fast->requests().size(), slow->requests().size());
  for (std::size_t i = 0; i < fast->requests().size(); ++i) {
    EXPECT_EQ(fast->requests()[i].replica, slow->requests()[i].replica) << i;
    EXPECT_EQ(fast->requests()[i].e2e_ms, slow->requests()[i].e2e_ms) << i;
  }
  EXPECT_EQ(fast->totals().ledger, slow->totals().ledger);
}

}  // namespace
}  // namespace arqon::sim
