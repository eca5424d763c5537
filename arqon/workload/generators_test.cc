// What the generators must have in common with the traces they were fitted on: docs/reference/
// simulator.md, "Workloads", prints these figures beside the traces'.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "arqon/workload/arrivals.h"
#include "arqon/workload/generate.h"
#include "arqon/workload/lengths.h"
#include "arqon/workload/trace_reader.h"

namespace arqon::workload {
namespace {

// Variance over mean of the counts in windows of `width_s`.
double dispersion(const std::vector<Duration>& arrivals, double duration_s, double width_s) {
  std::vector<double> counts(static_cast<std::size_t>(duration_s / width_s));
  for (const Duration at : arrivals) {
    const auto i = static_cast<std::size_t>(to_seconds(at) / width_s);
    if (i < counts.size()) counts[i] += 1;
  }
  double mean = 0, square = 0;
  for (const double c : counts) mean += c / static_cast<double>(counts.size());
  for (const double c : counts) square += (c - mean) * (c - mean);
  return square / static_cast<double>(counts.size() - 1) / mean;
}

struct Service {
  const char* name;
  double rate_per_s;
  std::vector<double> dispersion;  // of the recorded hour at 1, 10, 60, 300 s
};

class Arrivals : public ::testing::TestWithParam<Service> {};

TEST_P(Arrivals, burst_as_the_recorded_service_does) {
  const Service& service = GetParam();
  constexpr double kSpan = 200 * 3600;  // long, so that chance does not decide
  const auto arrivals =
      generate_arrivals({.name = service.name, .rate_per_s = service.rate_per_s}, {{0, 1}}, kSpan,
                        Rng(1).stream("gate"));
  ASSERT_TRUE(arrivals.has_value());
  EXPECT_NEAR(static_cast<double>(arrivals->size()) / kSpan, service.rate_per_s,
              0.03 * service.rate_per_s);
  const std::vector<double> widths{1, 10, 60, 300};
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const double ours = dispersion(*arrivals, kSpan, widths[i]);
    const double allowed = widths[i] < 300 ? 0.25 : 0.30;
    RecordProperty("dispersion_" + std::to_string(static_cast<int>(widths[i])) + "_s",
                   std::to_string(ours));
    EXPECT_NEAR(ours / service.dispersion[i], 1, allowed) << widths[i] << " s: " << ours;
  }
}

// The rates are those at which the services were recorded: dispersion grows with the rate.
INSTANTIATE_TEST_SUITE_P(Azure, Arrivals,
                         ::testing::Values(Service{"azure-conv", 5.53, {1.39, 3.9, 16.1, 56}},
                                           Service{"azure-code", 2.57, {13.2, 71.6, 164, 138}}),
                         [](const auto& tested) {
                           std::string name = tested.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(LengthProfiles, have_the_quantiles_of_the_traces) {
  struct Row {
    const char* profile;
    bool output;
    double p50, p90, p99;
  };
  for (const Row& row : {Row{"chat", false, 1020, 2734, 4142}, Row{"chat", true, 129, 424, 601},
                         Row{"code", false, 1469, 5187, 7436}, Row{"code", true, 13, 55, 251}}) {
    const Profile* profile = find_profile(row.profile);
    ASSERT_NE(profile, nullptr);
    std::vector<std::uint32_t> drawn;
    const Rng stream = Rng(3).stream("lengths");
    for (std::uint64_t i = 0; i < 100000; ++i) {
      const Lengths lengths = draw_lengths(*profile, stream, i);
      drawn.push_back(row.output ? lengths.output_tokens : lengths.prompt_tokens);
    }
    std::sort(drawn.begin(), drawn.end());
    const auto at = [&](double share) {
      return static_cast<double>(drawn[static_cast<std::size_t>(share * 100000)]);
    };
    EXPECT_NEAR(at(0.50) / row.p50, 1, 0.1) << row.profile << row.output;
    EXPECT_NEAR(at(0.90) / row.p90, 1, 0.1) << row.profile << row.output;
    EXPECT_NEAR(at(0.99) / row.p99, 1, 0.1) << row.profile << row.output;
  }
}

// ---- what a prefix cache would find --------------------------------------------------------

constexpr std::uint32_t kBlock = 512;

// Keys of the blocks of a prompt that others may have as well.
std::vector<std::uint64_t> blocks_of(const Request& r) {
  if (r.hashes != nullptr) return r.hashes->chain;
  std::vector<std::uint64_t> out;
  for (std::uint32_t i = 0; (i + 1) * kBlock <= r.prompt_tokens; ++i) {
    const bool system = (i + 1) * kBlock <= r.system_tokens;
    const std::uint64_t text = system ? (std::uint64_t{1} << 32) + r.system_prompt : r.session;
    out.push_back(text << 16 | i);
  }
  return out;
}

// Share of prompt tokens found in one LRU cache of `tokens` that sees all requests.
double hit_share(const Trace& trace, double tokens) {
  const auto capacity = static_cast<std::size_t>(std::min(tokens, 1e12) / kBlock);
  std::list<std::uint64_t> recent;  // newest first
  std::map<std::uint64_t, std::list<std::uint64_t>::iterator> held;
  double hit = 0, all = 0;
  for (const Request& r : trace) {
    const std::vector<std::uint64_t> blocks = blocks_of(r);
    std::size_t found = 0;
    while (found < blocks.size() && held.contains(blocks[found])) ++found;
    hit += std::min<double>(static_cast<double>(found) * kBlock, r.prompt_tokens);
    all += r.prompt_tokens;
    // The last block first, so that a prefix outlives what follows it.
    for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
      const auto old = held.find(*block);
      if (old != held.end()) recent.erase(old->second);
      recent.push_front(*block);
      held[*block] = recent.begin();
    }
    for (; recent.size() > capacity; recent.pop_back()) held.erase(recent.back());
  }
  return hit / all;
}

struct HitCurve {
  double infinite;
  std::vector<double> at;  // 1, 2, 4, 8, 26 million tokens
};

void expect_curve(const Trace& trace, const HitCurve& curve, const std::string& name) {
  const std::vector<double> millions{1, 2, 4, 8, 26};
  EXPECT_NEAR(hit_share(trace, 1e15), curve.infinite, 0.05) << name << ", infinite";
  for (std::size_t i = 0; i < millions.size(); ++i) {
    const double ours = hit_share(trace, millions[i] * 1e6);
    EXPECT_NEAR(ours, curve.at[i], 0.05) << name << ", " << millions[i] << " M tokens";
    testing::Test::RecordProperty(
        name + "_" + std::to_string(static_cast<int>(millions[i])) + "_m", std::to_string(ours));
  }
}

TEST(Sessions, repeat_as_much_as_mooncakes_conversations_do) {
  Spec spec;
  spec.source = GeneratorSource{.name = "poisson", .rate_per_s = 3.40};
  spec.segments = {{.at_s = 0, .mix = {{"long-context", 1}}}};
  spec.sessions = Sessions{};
  const auto trace =
      generate({spec}, {.duration_s = 59 * 60, .seed = 1, .classes = {"long-context"}});
  ASSERT_TRUE(trace.has_value());
  expect_curve(*trace, {.374, {.055, .087, .181, .268, .362}}, "conversation");
  std::map<std::uint32_t, int> turns;
  double tokens = 0;
  for (const Request& r : *trace) {
    ++turns[r.session];
    tokens += r.prompt_tokens;
  }
  EXPECT_NEAR(static_cast<double>(trace->size()) / static_cast<double>(turns.size()), 1.63, 0.15);
  EXPECT_NEAR(tokens / static_cast<double>(trace->size()) / 12035, 1, 0.1);
}

TEST(Sessions, recorded_hashes_repeat_as_they_were_counted) {
  const std::filesystem::path file =
      std::filesystem::path(ARQON_SOURCE_DIR) / "scenarios/data/mooncake_arxiv_sample.jsonl";
  const auto rows = read_trace("mooncake", file, {});
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  Trace trace;
  for (const TraceRow& row : *rows) {
    Request& request = trace.emplace_back();
    request.prompt_tokens = row.prompt_tokens;
    request.hashes = row.hashes;
  }
  ASSERT_EQ(trace.size(), 1000u);
  expect_curve(trace, {.391, {.295, .319, .384, .391, .391}}, "arxiv");
}

}  // namespace
}  // namespace arqon::workload
