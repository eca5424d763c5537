#include "arqon/advise/advise.h"

#include <gtest/gtest.h>

#include "arqon/advise/traffic.h"
#include "arqon/calibrate/twin_window_test.h"

namespace arqon::advise {
namespace {

constexpr double kHistoryS = 900;

workload::Trace chat(double rate, std::uint64_t seed) {
  workload::Spec spec{.source = workload::GeneratorSource{.name = "poisson", .rate_per_s = rate}};
  spec.segments = {{.mix = {{"chat", 1}}}};
  return workload::generate({spec}, {.duration_s = kHistoryS, .seed = seed, .classes = {"chat"}})
      .value();
}

// What `real` showed under this traffic, asked as its owner would.
Question question(const sim::PoolSpec& real, const workload::Trace& trace) {
  Question q;
  q.pool = real;
  q.pool.calibration = {};
  q.flags.model = real.model;
  q.flags.engine = real.engine;
  q.windows = calibrate::observe_open(real, trace, kHistoryS, 15);
  q.traffic = traffic_of_windows(q.windows);
  q.fit = calibrate::fit(q.pool, q.windows).value();
  q.promised = {.name = "all", .ttft_ms = 1000, .max_gap_ms = 200};
  return q;
}

sim::PoolSpec narrow() {
  sim::PoolSpec pool = calibrate::h100_pool();
  pool.engine.batch_size = 24;
  pool.engine.prefill_token_budget = 8192;
  return pool;
}

double good_share(const sim::PoolSpec& pool, const workload::Trace& trace,
                  const serving::Slo& promised) {
  sim::TwinOptions options;
  options.fleet.pools = {pool};
  options.classes = {promised};
  options.trace = std::make_shared<const workload::Trace>(trace);
  const auto twin = std::move(sim::Twin::create(std::move(options)).value());
  twin->wait_until(time_at(kHistoryS));
  twin->drain();
  return twin->totals().attainment;
}

TEST(Advise, a_cap_that_makes_requests_queue_is_found_and_the_gain_is_real) {
  const Question q = question(narrow(), chat(9, 5));
  const auto advice = advise(q);
  ASSERT_TRUE(advice);
  ASSERT_EQ(advice->finding, Finding::kChange) << advice->reason;
  const auto cap = std::find_if(advice->changes.begin(), advice->changes.end(),
                                [](const FlagChange& c) { return c.flag == "--max-num-seqs"; });
  ASSERT_NE(cap, advice->changes.end());
  EXPECT_EQ(cap->from, "24");
  EXPECT_GT(std::stoi(cap->to), 24);
  // Applied to the deployment itself, on traffic that nobody has seen.
  sim::PoolSpec then = narrow();
  for (const FlagChange& change : advice->changes) {
    for (const Flag& flag : integer_flags()) {
      if (flag.name == change.flag) then.engine.*flag.option = std::stoll(change.to);
    }
  }
  const workload::Trace tomorrow = chat(9, 77);
  const double gain =
      good_share(then, tomorrow, q.promised) - good_share(narrow(), tomorrow, q.promised);
  EXPECT_GT(gain, 0.01);
  EXPECT_GE(gain, advice->good_share.low - 0.05);
  EXPECT_LE(gain, advice->good_share.high + 0.05);
}

TEST(Advise, where_nothing_is_to_be_gained_it_says_so) {
  sim::PoolSpec calm = calibrate::h100_pool();
  calm.engine.batch_size = 256;
  calm.engine.prefill_token_budget = 2048;
  Question q = question(calm, chat(1, 6));
  q.promised = {.name = "all", .ttft_ms = 5000, .tpot_ms = 100};
  const auto advice = advise(q);
  ASSERT_TRUE(advice);
  EXPECT_NE(advice->finding, Finding::kNoTrust) << advice->reason;
  EXPECT_GT(advice->good_share_now, 0.999);
  EXPECT_LE(advice->good_share.mean, 0.0005);
}

TEST(Advise, a_twin_of_another_gpu_gives_no_advice) {
  Question q = question(narrow(), chat(9, 5));
  q.pool.gpu = "a100-sxm-80g";
  q.fit = calibrate::fit(q.pool, {}).value();
  const auto advice = advise(q);
  ASSERT_TRUE(advice);
  EXPECT_EQ(advice->finding, Finding::kNoTrust);
  EXPECT_TRUE(advice->changes.empty());
}

TEST(Advise, without_a_promise_there_is_nothing_to_keep) {
  Question q = question(narrow(), chat(1, 5));
  q.promised = {.name = "all"};
  const auto advice = advise(q);
  ASSERT_FALSE(advice);
  EXPECT_EQ(advice.error().code, ErrorCode::kUsage);
}

TEST(Advise, stops_when_told_to) {
  Question q = question(narrow(), chat(9, 5));
  q.keep_going = [](double) { return false; };
  const auto advice = advise(q);
  ASSERT_FALSE(advice);
  EXPECT_EQ(advice.error().code, ErrorCode::kInterrupted);
}

TEST(Traffic, has_the_rates_and_the_mean_lengths_that_were_seen) {
  calibrate::Traffic traffic{.seconds = 100,
                             .requests = 1000,
                             .rate_per_s = 10,
                             .rate_by_window = {5, 15},
                             .prompt = {{.above = 100, .to = 200, .share = 0.5},
                                        {.above = 1000, .to = 2000, .share = 0.5}},
                             .prompt_mean = 900,
                             .output_mean = 100};
  const workload::Trace trace = draw_traffic(traffic, 5000, 0, 3);
  double prompts = 0, outputs = 0;
  for (const workload::Request& r : trace) {
    prompts += r.prompt_tokens;
    outputs += r.output_tokens;
  }
  const auto n = static_cast<double>(trace.size());
  EXPECT_NEAR(n / 5000, 10, 0.3);
  EXPECT_NEAR(prompts / n, 900, 20);
  EXPECT_NEAR(outputs / n, 100, 3);
  for (const workload::Request& r : draw_traffic(traffic, 500, 1000, 3)) {
    EXPECT_LE(r.prompt_tokens + r.output_tokens, 1000u);
  }
}

}  // namespace
}  // namespace arqon::advise
