#include "arqon/calibrate/look_ahead.h"

#include <gtest/gtest.h>

#include <cmath>

#include "arqon/calibrate/trust.h"
#include "arqon/calibrate/twin_window_test.h"

namespace arqon::calibrate {
namespace {

constexpr double kWindowS = 10;
constexpr double kTrafficS = 120;

workload::Trace chat(double rate, double seconds, std::uint64_t seed) {
  workload::Spec spec{.source = workload::GeneratorSource{.name = "poisson", .rate_per_s = rate}};
  spec.segments = {{.mix = {{"chat", 1}}}};
  return workload::generate({spec}, {.duration_s = seconds, .seed = seed, .classes = {"chat"}})
      .value();
}

Deployment deployment(const sim::PoolSpec& pool, bool noise = false) {
  Deployment out;
  out.fleet.pools = {pool};
  out.fleet.noise = noise;
  out.classes = {{.name = "chat", .ttft_ms = 1000, .tpot_ms = 50}};
  return out;
}

workload::Trace until(const workload::Trace& trace, double from_s, double to_s) {
  workload::Trace out;
  for (workload::Request request : trace) {
    if (request.arrival < from_seconds(from_s) || request.arrival >= from_seconds(to_s)) continue;
    request.arrival -= from_seconds(from_s);
    out.push_back(request);
  }
  return out;
}

// What a deployment showed in (t - window, t], measured as the forecast is.
serving::Forecast shown(sim::Twin& twin, double until_s) {
  serving::Forecast out;
  const serving::Observation before = twin.observe();
  const double begin = to_seconds(before.at);
  serving::Observation last = before;
  for (double t = begin + 1; t <= until_s; ++t) {
    twin.wait_until(time_at(t));
    last = twin.observe();
    out.running += last.running / (until_s - begin);
    out.waiting += last.waiting / (until_s - begin);
    out.kv_use += last.kv_use / (until_s - begin);
  }
  const serving::ClassCounters &a = before.classes[0], &b = last.classes[0];
  out.tpot_ms_p50 = b.tpot_ms.since(a.tpot_ms).quantile(0.5);
  out.output_tokens_per_s =
      static_cast<double>(b.output_tokens - a.output_tokens) / (until_s - begin);
  return out;
}

// Two minutes of traffic: a noisy "real" deployment, and a twin of it that may be wrong. Returns
// the verdict after each window.
std::vector<Verdict> two_minutes(const sim::PoolSpec& real, const sim::PoolSpec& believed,
                                 double rate, std::uint64_t seed) {
  const workload::Trace trace = chat(rate, kTrafficS + 60, seed);
  sim::TwinOptions options;
  options.fleet = deployment(real, true).fleet;
  options.classes = deployment(real).classes;
  options.trace = std::make_shared<const workload::Trace>(trace);
  options.seed = seed;
  const auto engine = std::move(sim::Twin::create(std::move(options)).value());
  engine->wait_until(time_at(60));
  Trust trust;
  std::vector<Verdict> out;
  for (double t = 60 + kWindowS; t <= 60 + kTrafficS; t += kWindowS) {
    const serving::Forecast seen = shown(*engine, t);
    const auto model = hindcast(deployment(believed),
                                {.recent = until(trace, t - 60, t), .seconds = 60}, kWindowS);
    EXPECT_TRUE(model);
    trust.add(t, *model, seen);
    out.push_back(trust.verdict());
  }
  return out;
}

sim::PoolSpec wrong_compute() {
  sim::PoolSpec pool = h100_pool();
  pool.calibration.linear_compute = 0.8;
  return pool;
}

sim::PoolSpec with_blocks(std::int64_t blocks) {
  sim::PoolSpec pool = h100_pool();
  pool.engine.kv_cache_blocks = blocks;
  return pool;
}

constexpr std::int64_t kBlocks = 26000;
constexpr double kRate = 12;

TEST(Trust, a_right_twin_is_believed_for_two_minutes_on_every_seed) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const auto verdicts = two_minutes(with_blocks(kBlocks), with_blocks(kBlocks), kRate, seed);
    for (std::size_t i = 3; i < verdicts.size(); ++i) {
      EXPECT_TRUE(verdicts[i].believe) << seed << " window " << i << ": " << verdicts[i].reason;
    }
  }
}

TEST(Trust, a_twin_whose_gpu_is_20_percent_too_slow_is_found_out_within_two_minutes) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const auto verdicts = two_minutes(h100_pool(), wrong_compute(), kRate, seed);
    EXPECT_FALSE(verdicts.back().believe) << seed << ": " << verdicts.back().reason;
  }
}

TEST(Trust, a_twin_with_30_percent_too_few_blocks_is_found_out_within_two_minutes) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const auto verdicts =
        two_minutes(with_blocks(kBlocks), with_blocks(kBlocks * 7 / 10), kRate, seed);
    EXPECT_FALSE(verdicts.back().believe) << seed;
    EXPECT_EQ(verdicts.back().signal, "kv_use");
  }
}

TEST(Trust, says_nothing_before_it_has_seen_enough) {
  Trust trust;
  serving::Forecast f{.output_tokens_per_s = 100, .tpot_ms_p50 = 10};
  for (int i = 0; i < 3; ++i) {
    trust.add(10 * i, f, f);
    EXPECT_FALSE(trust.verdict().believe);
  }
  trust.add(30, f, f);
  EXPECT_TRUE(trust.verdict().believe);
}

TEST(Trust, forgets_at_the_stated_pace) {
  Trust trust({.half_life_s = 60});
  const serving::Forecast model{.tpot_ms_p50 = 10};
  double t = 0;
  for (int i = 0; i < 12; ++i) trust.add(t += 10, model, {.tpot_ms_p50 = 14});
  EXPECT_FALSE(trust.verdict().believe);
  int windows = 0;
  while (!trust.verdict().believe && windows < 200) {
    trust.add(t += 10, model, {.tpot_ms_p50 = 10});
    ++windows;
  }
  EXPECT_GE(windows, 6) << "one half-life";
  EXPECT_LE(windows, 60);
}

TEST(LookAhead, tells_what_the_same_traffic_will_bring) {
  const sim::PoolSpec pool = h100_pool();
  const workload::Trace trace = chat(8, 180, 3);
  const auto expected =
      look_ahead(deployment(pool), {.recent = until(trace, 0, 60), .seconds = 60}, 60);
  ASSERT_TRUE(expected);
  const auto came = hindcast(deployment(pool), {.recent = trace, .seconds = 180}, 120);
  ASSERT_TRUE(came);
  EXPECT_NEAR(expected->tpot_ms_p50 / came->tpot_ms_p50, 1, 0.15);
  EXPECT_NEAR(expected->output_tokens_per_s / came->output_tokens_per_s, 1, 0.25);
  EXPECT_GT(expected->good_share.at(0), 0.98);
}

TEST(LookAhead, a_queue_that_stands_is_part_of_the_present) {
  const workload::Trace trace = chat(6, 60, 4);
  const auto calm = look_ahead(deployment(h100_pool()), {.recent = trace, .seconds = 60}, 30);
  const auto queue =
      look_ahead(deployment(h100_pool()), {.recent = trace, .seconds = 60, .waiting = 400}, 30);
  ASSERT_TRUE(calm && queue);
  EXPECT_GT(queue->ttft_ms_p90, 3 * calm->ttft_ms_p90);
  EXPECT_LT(queue->good_share.at(0), calm->good_share.at(0));
}

TEST(LookAhead, the_same_question_has_the_same_answer_and_nonsense_none) {
  const Situation situation{.recent = chat(6, 60, 4), .seconds = 60};
  const auto a = look_ahead(deployment(h100_pool()), situation, 30, 9);
  const auto b = look_ahead(deployment(h100_pool()), situation, 30, 9);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->tpot_ms_p50, b->tpot_ms_p50);
  EXPECT_EQ(a->kv_use, b->kv_use);
  EXPECT_FALSE(look_ahead(deployment(h100_pool()), {}, 30));
  EXPECT_FALSE(look_ahead(deployment(h100_pool()), situation, 0));
  EXPECT_FALSE(hindcast(deployment(h100_pool()), situation, 61));
}

}  // namespace
}  // namespace arqon::calibrate
