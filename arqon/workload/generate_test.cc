#include "arqon/workload/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/workload/lengths.h"

namespace arqon::workload {
namespace {

GenerateOptions options_for(double seconds, std::uint64_t seed = 1) {
  return {.duration_s = seconds, .seed = seed, .classes = {"chat", "code"}, .folder = {}};
}

Spec generator(const std::string& name, double rate) {
  Spec spec;
  spec.source = GeneratorSource{.name = name, .rate_per_s = rate};
  return spec;
}

Trace made(const Spec& spec, const GenerateOptions& options) {
  auto trace = generate({spec}, options);
  EXPECT_TRUE(trace.has_value()) << trace.error().message;
  return trace.value_or(Trace{});
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

std::vector<std::vector<double>> drawn(const std::string& profile) {
  std::vector<std::vector<double>> out(2);
  for (std::uint64_t i = 0; i < 30000; ++i) {
    const Lengths l = draw_lengths(*find_profile(profile), Rng(9), i);
    out[0].push_back(l.prompt_tokens);
    out[1].push_back(l.output_tokens);
  }
  return out;
}

// p50, p90, p99 of the traces the profiles were fitted on, within 6 %.
struct Fitted {
  const char* profile;
  double in[3], out[3];
};

class LengthProfile : public testing::TestWithParam<Fitted> {};

TEST_P(LengthProfile, quantiles_are_those_of_the_trace) {
  const Fitted& f = GetParam();
  const auto lengths = drawn(f.profile);
  const double q[3] = {0.5, 0.9, 0.99};
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(quantile(lengths[0], q[i]) / f.in[i], 1, 0.06) << "in " << q[i];
    EXPECT_NEAR(quantile(lengths[1], q[i]) / f.out[i], 1, 0.06) << "out " << q[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Traces, LengthProfile,
    testing::Values(Fitted{"chat", {1020, 2734, 4142}, {129, 424, 601}},
                    Fitted{"code", {1469, 5187, 7436}, {13, 55, 251}},
                    Fitted{"summarisation", {2730, 3702, 3933}, {167, 372, 3271}},
                    Fitted{"reasoning", {266, 3294, 25753}, {807, 4165, 13533}}));

TEST(Lengths, long_context_is_long) {
  const auto lengths = drawn("long-context");
  EXPECT_NEAR(quantile(lengths[0], 0.5) / 6909, 1, 0.15);
  EXPECT_NEAR(quantile(lengths[0], 0.9) / 27367, 1, 0.15);
  EXPECT_LE(quantile(lengths[0], 1), 126000);
  EXPECT_NEAR(quantile(lengths[1], 0.5) / 350, 1, 0.15);
}

TEST(Lengths, agents_carry_a_system_prompt_and_turns) {
  const auto lengths = drawn("agent");
  EXPECT_GE(quantile(lengths[0], 0), 2000);
  EXPECT_LE(quantile(lengths[0], 1), 8000 + 19 * 600);
  EXPECT_GE(quantile(lengths[1], 0), 50);
  EXPECT_LE(quantile(lengths[1], 1), 300);
}

TEST(Generate, segments_change_what_they_name_and_keep_the_rest) {
  Spec spec = generator("poisson", 20);
  spec.segments = {{.at_s = 0, .mix = {{"chat", 1}}},
                   {.at_s = 1000, .mix = {{"chat", 0.5}, {"code", 0.5}}, .rate = 0.5},
                   {.at_s = 2000, .mix = {{"code", 1}}}};
  const Trace trace = made(spec, options_for(3000));
  double count[3] = {}, code[3] = {};
  for (const Request& r : trace) {
    const auto part = static_cast<std::size_t>(to_seconds(r.arrival) / 1000);
    count[part] += 1;
    code[part] += r.request_class;
  }
  EXPECT_NEAR(count[0], 20000, 500);
  EXPECT_NEAR(count[1], 10000, 400);
  EXPECT_NEAR(count[2], 10000, 400);  // the rate is kept
  EXPECT_EQ(code[0], 0);
  EXPECT_NEAR(code[1] / count[1], 0.5, 0.02);
  EXPECT_EQ(code[2], count[2]);
}

TEST(Generate, own_lengths_stay_between_their_ends_and_reach_both) {
  Spec spec = generator("poisson", 40);
  spec.lengths = {{.name = "code", .prompt_tokens_min = 10, .prompt_tokens_max = 13,
                   .output_tokens_min = 5, .output_tokens_max = 5}};
  spec.segments = {{.at_s = 0, .mix = {{"code", 1}}}};
  std::uint32_t low = 1000, high = 0;
  for (const Request& r : made(spec, options_for(60))) {
    EXPECT_EQ(r.request_class, 1);
    EXPECT_EQ(r.output_tokens, 5u);
    low = std::min(low, r.prompt_tokens);
    high = std::max(high, r.prompt_tokens);
  }
  EXPECT_EQ(low, 10u);
  EXPECT_EQ(high, 13u);
}

TEST(Generate, streams_do_not_shift_each_other) {
  Spec spec = generator("azure-conv", 5);
  const Trace plain = made(spec, options_for(2000));
  spec.acceptance.conditional = 0.9;
  spec.segments = {{.at_s = 0, .mix = {{"chat", 0.7}, {"code", 0.3}}}};
  const Trace mixed = made(spec, options_for(2000));
  ASSERT_EQ(plain.size(), mixed.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    ASSERT_EQ(plain[i].arrival, mixed[i].arrival);
    if (mixed[i].request_class == 0) {
      ASSERT_EQ(plain[i].prompt_tokens, mixed[i].prompt_tokens);
    }
  }
  EXPECT_NE(plain[0].acceptance, mixed[0].acceptance);
}

TEST(Generate, same_seed_same_trace_other_seed_another) {
  const Spec spec = generator("azure-code", 5);
  const Trace a = made(spec, options_for(600, 4)), b = made(spec, options_for(600, 4)),
              c = made(spec, options_for(600, 5));
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].arrival, b[i].arrival);
    ASSERT_EQ(a[i].output_tokens, b[i].output_tokens);
    ASSERT_EQ(a[i].acceptance, b[i].acceptance);
  }
  EXPECT_NE(a[0].arrival, c[0].arrival);
}

TEST(Generate, acceptance_is_logit_normal_around_its_median) {
  Spec spec = generator("poisson", 50);
  spec.acceptance = {.conditional = 0.62, .quality_sigma = 0.2};
  spec.segments = {{.at_s = 1000, .acceptance = 0.3}};
  std::vector<double> before, after;
  for (const Request& r : made(spec, options_for(2000))) {
    (to_seconds(r.arrival) < 1000 ? before : after).push_back(static_cast<double>(r.acceptance));
  }
  EXPECT_NEAR(quantile(before, 0.5), 0.62, 0.003);
  const double logit = std::log(0.62 / 0.38) + 0.2;
  EXPECT_NEAR(quantile(before, 0.8413), 1 / (1 + std::exp(-logit)), 0.003);
  EXPECT_NEAR(quantile(after, 0.5), 0.3, 0.003);
}

TEST(Generate, workloads_are_merged_in_order) {
  Spec batch = generator("poisson", 5);
  batch.priority = "backfill";
  auto trace = generate({generator("azure-conv", 5), batch}, options_for(1000));
  ASSERT_TRUE(trace.has_value());
  EXPECT_TRUE(std::is_sorted(trace->begin(), trace->end(), [](const Request& a, const Request& b) {
    return a.arrival < b.arrival;
  }));
  const auto backfill =
      std::count_if(trace->begin(), trace->end(), [](const Request& r) { return r.backfill; });
  EXPECT_NEAR(static_cast<double>(backfill), 5000, 300);
}

class TraceFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / "arqon_generate_test";
    std::filesystem::create_directories(folder_);
  }
  Spec write(const std::string& format, const std::string& text, double scale = 1) {
    std::ofstream(folder_ / "trace") << text;
    Spec spec;
    spec.source =
        TraceSource{.format = format, .path = "trace", .scale = scale, .request_class = "code"};
    return spec;
  }
  GenerateOptions options(double seconds, std::uint64_t seed = 1) {
    GenerateOptions out = options_for(seconds, seed);
    out.folder = folder_;
    return out;
  }
  // One row a second for `rows` seconds, off the grid.
  static std::string seconds_csv(int rows) {
    std::string text = "arrival_s,input_tokens,output_tokens\n";
    for (int i = 0; i < rows; ++i) {
      text +=
          std::to_string(i) + ".0" + std::to_string(i % 7) + "," + std::to_string(100 + i) + ",5\n";
    }
    return text;
  }
  std::filesystem::path folder_;
};

TEST_F(TraceFile, is_replayed_as_recorded) {
  const Trace trace = made(write("csv", seconds_csv(100)), options(50));
  ASSERT_EQ(trace.size(), 50u);
  EXPECT_EQ(trace[3].arrival, std::chrono::milliseconds(3030));
  EXPECT_EQ(trace[3].prompt_tokens, 103u);
  EXPECT_EQ(trace[3].request_class, 1u);
}

TEST_F(TraceFile, loops_when_it_is_shorter_than_the_run) {
  const Trace trace = made(write("csv", seconds_csv(100)), options(1000));
  EXPECT_NEAR(static_cast<double>(trace.size()), 1000, 15);
  EXPECT_EQ(trace[100].prompt_tokens, 100u);  // the first row again
  EXPECT_EQ(trace[250].prompt_tokens, 150u);
}

TEST_F(TraceFile, thins_below_one_and_each_loop_and_seed_anew) {
  const Spec spec = write("csv", seconds_csv(100), 0.4);
  const Trace a = made(spec, options(1000, 1)), b = made(spec, options(1000, 2));
  EXPECT_NEAR(static_cast<double>(a.size()), 400, 60);
  const auto pass = [](const Trace& trace, double from) {
    std::vector<std::uint32_t> kept;
    for (const Request& r : trace) {
      const double t = to_seconds(r.arrival);
      if (t >= from && t < from + 99) kept.push_back(r.prompt_tokens);
    }
    return kept;
  };
  EXPECT_NE(pass(a, 0), pass(a, 101));
  EXPECT_NE(pass(a, 0), pass(b, 0));
}

TEST_F(TraceFile, compresses_time_above_one) {
  const Trace trace = made(write("csv", seconds_csv(100), 4), options(20));
  EXPECT_EQ(trace.size(), 80u);
  EXPECT_NEAR(to_seconds(trace[40].arrival), 10, 0.05);
}

TEST_F(TraceFile, segment_rates_multiply_and_mixes_redraw) {
  Spec spec = write("csv", seconds_csv(100));
  spec.segments = {{.at_s = 200, .mix = {{"chat", 1}}, .rate = 2}};
  const Trace trace = made(spec, options(400));
  const auto late = std::count_if(trace.begin(), trace.end(),
                                  [](const Request& r) { return to_seconds(r.arrival) >= 200; });
  EXPECT_NEAR(static_cast<double>(late), 400, 8);
  for (const Request& r : trace) EXPECT_EQ(r.request_class, to_seconds(r.arrival) < 200 ? 1 : 0);
}

TEST_F(TraceFile, a_coarse_grid_is_jittered_inside_its_cells) {
  std::string text;
  for (int cell = 0; cell < 50; ++cell) {
    for (int i = 0; i < 10; ++i) {
      text += "{\"timestamp\": " + std::to_string(cell * 3000) +
              ", \"input_length\": 10, \"output_length\": 10}\n";
    }
  }
  const Trace trace = made(write("mooncake", text), options(150));
  ASSERT_EQ(trace.size(), 500u);
  double inside = 0;
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const double t = to_seconds(trace[i].arrival);
    EXPECT_EQ(static_cast<std::size_t>(t / 3), i / 10);
    inside += std::fmod(t, 3.0);
  }
  EXPECT_NEAR(inside / 500, 1.5, 0.12);
}

TEST_F(TraceFile, malformed_ones_say_which_workload_file_and_line) {
  const auto trace =
      generate({write("csv", "arrival_s,input_tokens,output_tokens\n0,x,1\n")}, options(10));
  ASSERT_FALSE(trace.has_value());
  EXPECT_EQ(trace.error().code, ErrorCode::kInvalidConfig);
  EXPECT_NE(trace.error().message.find("trace:2:"), std::string::npos) << trace.error().message;
}

TEST(Generate, closed_loop_draws_lengths_and_leaves_times_to_the_twin) {
  Spec spec;
  spec.source = ClosedLoopSource{.concurrency = 4,
                                 .input_tokens = 1000,
                                 .output_tokens = 100,
                                 .requests_per_slot = 25,
                                 .length_jitter = 0.2};
  EXPECT_EQ(closed_loop_concurrency({spec}), 4);
  EXPECT_EQ(closed_loop_concurrency({generator("poisson", 1)}), 0);
  const Trace trace = made(spec, options_for(10));
  ASSERT_EQ(trace.size(), 100u);
  for (const Request& r : trace) {
    EXPECT_EQ(r.arrival.count(), 0);
    EXPECT_GE(r.prompt_tokens, 800u);
    EXPECT_LE(r.prompt_tokens, 1000u);
  }
  EXPECT_FALSE(generate({spec, generator("poisson", 1)}, options_for(10)).has_value());
}

TEST(Generate, refuses_what_it_cannot_mean) {
  const auto message = [](Spec spec, GenerateOptions options = options_for(10)) {
    const auto out = generate({std::move(spec)}, options);
    EXPECT_FALSE(out.has_value());
    return out.has_value() ? std::string() : out.error().message;
  };
  Spec spec = generator("poisson", 1);
  spec.segments = {{.at_s = 0, .mix = {{"poetry", 1}}}};
  EXPECT_NE(message(spec).find("long-context"), std::string::npos);
  spec.segments = {{.at_s = 0, .mix = {{"agent", 1}}}};  // known, but not a class here
  EXPECT_NE(message(spec).find("chat, code"), std::string::npos);
  spec.segments = {{.at_s = 0, .mix = {{"chat", -1}}}};
  EXPECT_NE(message(spec).find("share"), std::string::npos);
  spec.segments = {{.at_s = 5}, {.at_s = 3}};
  EXPECT_NE(message(spec).find("sorted"), std::string::npos);
  spec = generator("poisson", 1);
  spec.acceptance.conditional = 1.5;
  EXPECT_NE(message(spec).find("acceptance"), std::string::npos);
  spec = generator("poisson", 1);
  spec.priority = "urgent";
  EXPECT_NE(message(spec).find("backfill"), std::string::npos);
  EXPECT_NE(message(generator("poisson", 1), options_for(-1)).find("duration_s"),
            std::string::npos);
}

}  // namespace
}  // namespace arqon::workload
