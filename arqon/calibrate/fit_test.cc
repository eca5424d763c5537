#include "arqon/calibrate/fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "arqon/calibrate/predict.h"
#include "arqon/calibrate/twin_window_test.h"

namespace arqon::calibrate {
namespace {

// A deployment that is not what the defaults say.
sim::Calibration slower() {
  sim::Calibration out;
  out.host_ms = 3.5;
  out.host_ms_per_sequence = 0.03;
  out.front_end_ms = 12;
  out.linear_compute = 0.8;
  out.linear_memory = 0.9;
  return out;
}

Observations seen(const sim::Calibration& calibration, std::initializer_list<ClosedLoop> loops) {
  sim::PoolSpec pool = h100_pool();
  pool.calibration = calibration;
  Observations out;
  for (const ClosedLoop& loop : loops) {
    out.push_back(observe_closed_loop(pool, loop, 10.0 * static_cast<double>(out.size())));
  }
  return out;
}

Pace predicted(const sim::Calibration& calibration, const Observation& window) {
  sim::PoolSpec pool = h100_pool();
  pool.calibration = calibration;
  return Predictor::create(pool)->predict(window);
}

double off(double model, double seen) { return std::abs(std::log(model / seen)); }

TEST(Predict, tells_the_pace_of_a_batch_as_the_twin_runs_it) {
  for (const ClosedLoop& loop :
       {ClosedLoop{.concurrency = 1}, ClosedLoop{.concurrency = 8}, ClosedLoop{.concurrency = 64},
        ClosedLoop{.concurrency = 64, .cap = 16},
        ClosedLoop{.concurrency = 24, .prompt = 6000, .output = 100}}) {
    const Observation window = seen({}, {loop}).front();
    const Pace pace = predicted({}, window);
    EXPECT_LT(off(pace.gap_ms, window.gap_ms), 0.06) << loop.concurrency << " " << loop.prompt;
    if (window.waiting >= 0.5) {
      EXPECT_LT(off(pace.output_tokens_per_s, window.output_tokens / window.seconds), 0.05);
    } else {
      const double round_trip = 1e3 * window.concurrency * window.seconds / window.finished;
      EXPECT_LT(off(pace.e2e_ms, round_trip), 0.06) << loop.concurrency << " " << loop.prompt;
    }
  }
}

TEST(Fit, what_was_seen_at_six_loads_tells_the_pace_at_others) {
  const Observations windows = seen(slower(), {{.concurrency = 1},
                                               {.concurrency = 4},
                                               {.concurrency = 16},
                                               {.concurrency = 48},
                                               {.concurrency = 96},
                                               {.concurrency = 96, .cap = 32}});
  const auto fitted = fit(h100_pool(), windows);
  ASSERT_TRUE(fitted);
  EXPECT_EQ(fitted->source, "running");
  EXPECT_EQ(fitted->windows, 6u);
  EXPECT_GT(fitted->gap_error_before, 0.1);
  EXPECT_LT(fitted->gap_error, 0.02);
  const Observations others = seen(slower(), {{.concurrency = 32},
                                              {.concurrency = 8, .prompt = 4000},
                                              {.concurrency = 128, .prompt = 300, .output = 400}});
  for (const Observation& window : others) {
    EXPECT_LT(off(predicted(fitted->calibration, window).gap_ms, window.gap_ms), 0.05)
        << window.running;
    EXPECT_GT(off(predicted({}, window).gap_ms, window.gap_ms), 0.08) << "nothing to learn here";
  }
}

TEST(Fit, without_windows_it_is_the_config_with_the_width_of_the_priors) {
  const auto fitted = fit(h100_pool(), {});
  ASSERT_TRUE(fitted);
  EXPECT_EQ(fitted->source, "config");
  EXPECT_EQ(fitted->calibration, sim::Calibration{});
  for (const Scalar& scalar : fitted->scalars) {
    EXPECT_LT(scalar.low, scalar.value);
    EXPECT_GT(scalar.high, scalar.value);
  }
}

TEST(Fit, idle_probes_find_the_front_end_and_the_prefill) {
  const Observations windows =
      seen(slower(), {{.concurrency = 1, .prompt = 16, .output = 64, .jitter = 0},
                      {.concurrency = 1, .prompt = 4000, .output = 2, .jitter = 0}});
  const auto fitted = fit(h100_pool(), windows);
  ASSERT_TRUE(fitted);
  EXPECT_EQ(fitted->source, "idle");
  for (const Observation& window : windows) {
    const double round_trip = 1e3 * window.seconds / window.finished;
    // Two windows pull against narrow priors: most of the way, not all of it.
    const double before = off(predicted({}, window).e2e_ms, round_trip);
    const double after = off(predicted(fitted->calibration, window).e2e_ms, round_trip);
    EXPECT_LT(after, 0.08);
    EXPECT_LT(after, 0.5 * before);
  }
}

TEST(Fit, one_broken_window_among_many_changes_little) {
  Observations windows = seen(slower(), {{.concurrency = 2},
                                         {.concurrency = 4},
                                         {.concurrency = 8},
                                         {.concurrency = 16},
                                         {.concurrency = 24},
                                         {.concurrency = 32},
                                         {.concurrency = 48},
                                         {.concurrency = 64}});
  const auto whole = fit(h100_pool(), windows);
  windows[3].gap_ms *= 10;
  windows[3].finished /= 10;
  const auto broken = fit(h100_pool(), windows);
  windows[3].gap_ms = std::nan("");
  const auto left_out = fit(h100_pool(), windows);
  ASSERT_TRUE(whole && broken && left_out);
  EXPECT_EQ(left_out->left_out, 1u);
  const Observation other = seen(slower(), {{.concurrency = 40}}).front();
  const double expected = predicted(whole->calibration, other).gap_ms;
  EXPECT_LT(off(predicted(broken->calibration, other).gap_ms, expected), 0.04);
}

TEST(Fit, old_windows_are_forgotten) {
  Observations windows = seen({}, {{.concurrency = 4}, {.concurrency = 16}, {.concurrency = 64}});
  Observations now = seen(slower(), {{.concurrency = 4}, {.concurrency = 16}, {.concurrency = 64}});
  for (Observation& window : now) window.t_s += 7200;
  windows.insert(windows.end(), now.begin(), now.end());
  const auto fitted = fit(h100_pool(), windows, {.half_life_s = 600});
  const auto mixed = fit(h100_pool(), windows, {.half_life_s = 0});
  ASSERT_TRUE(fitted && mixed);
  for (const Observation& window : now) {
    EXPECT_LT(off(predicted(fitted->calibration, window).gap_ms, window.gap_ms), 0.05);
  }
  EXPECT_GT(off(predicted(mixed->calibration, now[1]).gap_ms, now[1].gap_ms), 0.05);
}

TEST(Fit, the_size_of_the_kv_cache_is_read_off_its_use) {
  sim::PoolSpec pool = h100_pool();
  pool.engine.kv_cache_blocks = 5000;
  const auto fitted = fit(h100_pool(), {observe_closed_loop(pool, {.concurrency = 32})});
  ASSERT_TRUE(fitted);
  EXPECT_NEAR(fitted->kv_tokens, 5000 * 16, 0.1 * 5000 * 16);
}

TEST(Fit, an_unknown_model_is_refused_by_name) {
  sim::PoolSpec pool = h100_pool();
  pool.model = "gpt-9";
  const auto refused = fit(pool, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidConfig);
  EXPECT_NE(refused.error().message.find("gpt-9"), std::string::npos);
}

}  // namespace
}  // namespace arqon::calibrate
