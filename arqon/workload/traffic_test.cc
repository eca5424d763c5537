// What moves traffic beside its source: the day, crowds, conversations, many clients, retries.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "arqon/workload/envelope.h"
#include "arqon/workload/generate.h"
#include "arqon/workload/multi_client.h"
#include "arqon/workload/servegen.h"

namespace arqon::workload {
namespace {

Spec chat(double rate) {
  Spec spec;
  spec.source = GeneratorSource{.name = "poisson", .rate_per_s = rate};
  spec.segments = {{.at_s = 0, .mix = {{"chat", 1}}}};
  return spec;
}

Trace made(const Spec& spec, double duration_s, std::uint64_t seed = 1) {
  auto trace = generate({spec}, {.duration_s = duration_s, .seed = seed, .classes = {"chat"}});
  EXPECT_TRUE(trace.has_value()) << (trace ? "" : trace.error().message);
  return trace ? std::move(*trace) : Trace{};
}

double arrivals_between(const Trace& trace, double from_s, double to_s) {
  return static_cast<double>(std::count_if(trace.begin(), trace.end(), [&](const Request& r) {
    return to_seconds(r.arrival) >= from_s && to_seconds(r.arrival) < to_s;
  }));
}

TEST(Diurnal, swings_around_the_mean_rate) {
  Spec spec = chat(4);
  spec.diurnal = Diurnal{.swing = 3, .peak_at_s = 43200};
  const Trace trace = made(spec, 86400);
  EXPECT_NEAR(static_cast<double>(trace.size()) / 86400, 4, 0.1);
  const double noon = arrivals_between(trace, 41400, 45000);
  const double night = arrivals_between(trace, 0, 3600);
  EXPECT_NEAR(noon / night, 3, 0.25);
}

TEST(Diurnal, weekends_are_days_five_and_six) {
  const Diurnal d{.swing = 1, .weekend = 0.4};
  for (int day = 0; day < 14; ++day) {
    EXPECT_DOUBLE_EQ(diurnal_factor(d, day * 86400.0 + 100), day % 7 >= 5 ? 0.4 : 1.0) << day;
  }
}

TEST(Diurnal, keeps_the_bursts_of_the_source) {
  Spec spec = chat(2.57);
  std::get<GeneratorSource>(spec.source).name = "azure-code";
  spec.diurnal = Diurnal{.swing = 4};
  const Trace trace = made(spec, 86400);
  std::vector<double> counts(86400);
  for (const Request& r : trace) counts[static_cast<std::size_t>(to_seconds(r.arrival))] += 1;
  double mean = 0, square = 0;
  for (const double c : counts) mean += c / 86400;
  for (const double c : counts) square += (c - mean) * (c - mean) / 86400;
  EXPECT_GT(square / mean, 9) << "13 without the wave; a smoothed one would come near 1";
}

TEST(Spikes, come_as_often_and_as_high_as_asked) {
  Spec spec = chat(5);
  spec.spikes = Spikes{.per_hour = 2, .factor_min = 4, .factor_max = 4, .seconds_min = 60,
                       .seconds_max = 60};
  const auto rates = rate_envelope(spec, 100 * 3600, Rng(1));
  ASSERT_TRUE(rates.has_value());
  const auto up = std::count_if(rates->begin(), rates->end(),
                                [](const RatePoint& p) { return p.factor >= 4; });
  EXPECT_NEAR(static_cast<double>(up), 200, 45);
  const double expected = 5 * 3600 * 20 * (1 + 2.0 / 60 * 3);
  EXPECT_NEAR(static_cast<double>(made(spec, 20 * 3600).size()) / expected, 1, 0.06);
}

TEST(MultiClient, a_few_send_most_and_the_whole_is_burstier_than_chance) {
  Spec spec = chat(10);
  spec.source = GeneratorSource{.name = "multi-client", .rate_per_s = 10};
  const double hours = 48;
  const Trace trace = made(spec, hours * 3600);
  EXPECT_NEAR(static_cast<double>(trace.size()) / (hours * 3600), 10, 2);
  std::vector<double> counts(static_cast<std::size_t>(hours * 60));
  for (const Request& r : trace) counts[static_cast<std::size_t>(to_seconds(r.arrival) / 60)] += 1;
  double mean = 0, square = 0;
  const auto n = static_cast<double>(counts.size());
  for (const double c : counts) mean += c / n;
  for (const double c : counts) square += (c - mean) * (c - mean) / n;
  EXPECT_GT(square / mean, 5);
  EXPECT_TRUE(std::is_sorted(trace.begin(), trace.end(), [](const Request& a, const Request& b) {
    return a.arrival < b.arrival;
  }));
}

TEST(MultiClient, segments_change_the_rate_of_everybody) {
  Spec spec = chat(10);
  spec.source =
      GeneratorSource{.name = "multi-client", .rate_per_s = 20, .clients = 300, .skew = 1};
  spec.segments.push_back({.at_s = 36000, .rate = 3});
  const Trace trace = made(spec, 72000);
  EXPECT_NEAR(arrivals_between(trace, 36000, 72000) / arrivals_between(trace, 0, 36000), 3, 0.6);
}

TEST(Sessions, later_turns_repeat_the_earlier_ones_and_their_answers) {
  Spec spec = chat(5);
  spec.sessions = Sessions{.kind = "agent", .system_prompts = 4, .system_tokens = 2048};
  const Trace trace = made(spec, 1200);
  std::map<std::uint32_t, const Request*> last;
  std::map<std::uint32_t, int> turns, prompts;
  for (const Request& r : trace) {
    EXPECT_EQ(r.system_tokens, 2048u);
    EXPECT_LT(r.system_prompt, 4u);
    EXPECT_GT(r.prompt_tokens, 2048u);
    ++turns[r.session];
    ++prompts[r.system_prompt];
    const auto [at, fresh] = last.emplace(r.session, &r);
    if (!fresh) {
      EXPECT_GE(r.prompt_tokens, at->second->prompt_tokens + at->second->output_tokens);
      EXPECT_EQ(r.system_prompt, at->second->system_prompt);
      EXPECT_GE(to_seconds(r.arrival - at->second->arrival), 1);
    }
    at->second = &r;
  }
  EXPECT_GT(prompts[0], prompts[3]) << "Zipf";
  int most = 0;
  for (const auto& [session, n] : turns) most = std::max(most, n);
  EXPECT_LE(most, 20);
  EXPECT_GE(most, 15);
}

TEST(Sessions, change_neither_arrivals_nor_what_others_draw) {
  Spec spec = chat(5);
  const Trace plain = made(spec, 300);
  spec.sessions = Sessions{};
  const Trace talking = made(spec, 300);
  ASSERT_EQ(plain.size(), talking.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(plain[i].arrival, talking[i].arrival);
    EXPECT_EQ(plain[i].output_tokens, talking[i].output_tokens);
  }
}

const std::string kWindows =
    "0,0,0,,0,0\n600,2,1.2,Gamma,0.7,0.7\n1200,1,3.5,Weibull,0.5,0.5\n1800,0,0,,0,0\n";
const std::string kHours =
    R"({"0": {"input_tokens": "{45: 0.25, 900: 0.75}", "output_tokens": "{7: 1.0}"},)"
    R"( "1200": {"input_tokens": "{10: 1}", "output_tokens": "{3: 0.5, 4: 0.5}"}})";

TEST(ServeGen, windows_become_requests_at_their_rates_and_lengths) {
  const auto client = parse_servegen(kWindows, "t", kHours, "d");
  ASSERT_TRUE(client.has_value()) << client.error().message;
  std::vector<ServeGenClient> many(40, *client);
  const auto rows = servegen_rows(many, 2400, Rng(1));
  ASSERT_TRUE(rows.has_value());
  double gamma = 0, weibull = 0, long_prompts = 0;
  for (const TraceRow& row : *rows) {
    const double t = to_seconds(row.at);
    EXPECT_TRUE(t >= 600 && t < 1800);
    (t < 1200 ? gamma : weibull) += 1;
    if (t < 1200) {
      EXPECT_EQ(row.output_tokens, 7u);
      long_prompts += row.prompt_tokens == 900 ? 1 : 0;
    } else {
      EXPECT_EQ(row.prompt_tokens, 10u);
    }
  }
  EXPECT_NEAR(gamma / (40 * 600 * 2), 1, 0.05);
  EXPECT_NEAR(weibull / (40 * 600), 1, 0.1);
  EXPECT_NEAR(long_prompts / gamma, 0.75, 0.02);
}

TEST(ServeGen, names_file_line_and_rule_of_what_is_wrong) {
  const auto refusal = [](const std::string& trace, const std::string& dataset) {
    const auto client = parse_servegen(trace, "t.csv", dataset, "d.json");
    return client ? std::string("accepted") : client.error().message;
  };
  EXPECT_EQ(refusal("", kHours), "t.csv: no windows");
  EXPECT_TRUE(refusal("0,1,1,Pareto,1,1\n", kHours).starts_with("t.csv:1: a window is"));
  EXPECT_TRUE(
      refusal("0,0,0,,0,0\n600,nan,1,Gamma,1,1\n", kHours).starts_with("t.csv:2: a window"));
  EXPECT_TRUE(refusal("-5,0,0,,0,0\n", kHours).starts_with("t.csv:1: a window"));
  EXPECT_NE(refusal("600,0,0,,0,0\n0,0,0,,0,0\n", kHours).find("not after"), std::string::npos);
  EXPECT_TRUE(refusal(kWindows, "[]").starts_with("d.json: must be an object"));
  EXPECT_TRUE(refusal(kWindows, R"({"0": {"input_tokens": "{1: 1}"}})").starts_with("d.json: \"0\""));
  EXPECT_TRUE(refusal(kWindows, R"({"0": {"input_tokens": "{1: -1}", "output_tokens": "{1: 1}"}})")
                  .starts_with("d.json: \"0\""));
  EXPECT_EQ(read_servegen("/nonexistent/a-trace.csv", 10, Rng(1)).error().code,
            ErrorCode::kUnavailable);
  EXPECT_NE(read_servegen("/nonexistent/a.csv", 10, Rng(1)).error().message.find("-trace.csv"),
            std::string::npos);
}

TEST(Traffic, names_the_number_that_is_out_of_its_range) {
  const auto refusal = [](const Spec& spec) {
    const auto trace = generate({spec}, {.duration_s = 600, .seed = 1, .classes = {"chat"}});
    return trace ? std::string() : trace.error().message;
  };
  Spec spec = chat(1);
  spec.diurnal = Diurnal{.swing = 0.5};
  EXPECT_NE(refusal(spec).find("diurnal.swing"), std::string::npos);
  spec = chat(1);
  spec.diurnal = Diurnal{.period_s = std::nan("")};
  EXPECT_NE(refusal(spec).find("diurnal.period_s"), std::string::npos);
  spec = chat(1);
  spec.spikes = Spikes{.per_hour = -1};
  EXPECT_NE(refusal(spec).find("spikes.per_hour"), std::string::npos);
  spec = chat(1);
  spec.sessions = Sessions{.kind = "chats"};
  EXPECT_NE(refusal(spec).find("conversation"), std::string::npos);
  spec = chat(1);
  spec.retries = -1;
  EXPECT_NE(refusal(spec).find("retries"), std::string::npos);
  spec = chat(1);
  spec.source = GeneratorSource{.name = "multi-client", .rate_per_s = 1, .clients = 0};
  EXPECT_NE(refusal(spec).find("clients"), std::string::npos);
}

}  // namespace
}  // namespace arqon::workload
