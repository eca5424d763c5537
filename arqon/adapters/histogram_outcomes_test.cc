#include "arqon/adapters/histogram_outcomes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace arqon::adapters {
namespace {

using serving::Limit;

HistogramSources sources() {
  return {.prefixes = {"e:"},
          .ttft = {"e:ttft_seconds"},
          .tpot = {"e:tpot_seconds"},
          .e2e = {"e:e2e_seconds", "e:latency_seconds"},
          .failed = {"e:aborted_total", "e:error_total"},
          .prompt_tokens = {"e:prompt_tokens_total"},
          .output_tokens = {"e:tokens_total"},
          .started = {"e:start_seconds"},
          .running = {"e:running"},
          .waiting = {"e:waiting"},
          .kv_use = {"e:kv"},
          .rank_label = "dp_rank"};
}

// The counters of an engine that serves requests as the test says.
struct Engine {
  std::vector<double> bounds = {0.1, 0.2, 0.4, 1};
  std::vector<double> ttft = {}, tpot = {}, e2e = {};  // samples in seconds
  double aborted = 0, tokens = 0, started = 5, running = 0;
  std::string e2e_name = "e:e2e_seconds";

  void serve(double ttft_s, double e2e_s, int times = 1) {
    for (int i = 0; i < times; ++i) {
      ttft.push_back(ttft_s);
      e2e.push_back(e2e_s);
      tokens += 10;
    }
  }
  std::string histogram(const std::string& name, const std::vector<double>& samples) const {
    std::string out;
    const auto below = [&](double bound) {
      return std::count_if(samples.begin(), samples.end(), [&](double s) { return s <= bound; });
    };
    for (const double b : bounds) {
      out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, b, below(b));
    }
    return out + fmt::format("{}_bucket{{le=\"+Inf\"}} {}\n", name, samples.size());
  }
  wire::Exposition scrape() const {
    const std::string text =
        histogram("e:ttft_seconds", ttft) + histogram(e2e_name, e2e) +
        histogram("e:tpot_seconds", tpot) +
        fmt::format("e:aborted_total {}\ne:tokens_total {}\n", aborted, tokens) +
        fmt::format("e:start_seconds {}\ne:running {}\n", started, running);
    return wire::parse_prometheus(text).value();
  }
};

HistogramOutcomes made(const serving::Slo& slo, HistogramRules rules = {}) {
  return HistogramOutcomes::create({slo}, sources(), std::move(rules)).value();
}

std::uint64_t by(const HistogramOutcomes& outcomes, Limit limit) {
  return outcomes.counters().bad_by[static_cast<std::size_t>(limit)];
}

TEST(HistogramOutcomes, a_limit_on_a_bucket_bound_is_counted_exactly_from_the_first_scrape_on) {
  Engine engine;
  engine.serve(0.05, 9, 7);  // before we came
  HistogramOutcomes outcomes = made({.ttft_ms = 200});
  EXPECT_TRUE(outcomes.update(engine.scrape()));
  EXPECT_EQ(outcomes.counters().good + outcomes.counters().bad, 0u);
  engine.serve(0.15, 0.5, 3);
  engine.serve(0.2, 0.5, 1);  // just inside
  engine.serve(0.21, 0.5, 2);
  EXPECT_TRUE(outcomes.update(engine.scrape()));
  EXPECT_EQ(outcomes.counters().good, 4u);
  EXPECT_EQ(outcomes.counters().bad, 2u);
  EXPECT_EQ(by(outcomes, Limit::kTtft), 2u);
  EXPECT_EQ(outcomes.counters().arrived, 6u);
  EXPECT_EQ(outcomes.counters().output_tokens, 60u);
  EXPECT_EQ(outcomes.counters().good_tokens, 40u);
  EXPECT_EQ(outcomes.counters().ttft_ms.count(), 6u);
  EXPECT_NEAR(outcomes.counters().ttft_ms.quantile(1), 400, 400.0 / 32);
  EXPECT_EQ(outcomes.unsure(), 0u);
}

TEST(HistogramOutcomes, inside_a_bucket_only_what_must_be_bad_is_bad_and_no_verdict_is_given) {
  Engine engine;
  HistogramOutcomes outcomes = made({.ttft_ms = 300});
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  engine.serve(0.15, 0.5, 5);
  engine.serve(0.9, 0.9, 2);  // bad for certain
  EXPECT_TRUE(outcomes.update(engine.scrape())) << "nothing fell into (200, 400]";
  engine.serve(0.35, 0.5, 3);
  EXPECT_FALSE(outcomes.update(engine.scrape()));
  EXPECT_NE(outcomes.why().find("3 requests"), std::string::npos);
  EXPECT_EQ(outcomes.counters().bad, 2u);
  EXPECT_EQ(outcomes.unsure(), 3u);
  EXPECT_TRUE(outcomes.update(engine.scrape())) << "nothing new is unsure";
  EXPECT_NE(outcomes.notes(engine.scrape()).at(0).find("(200, 400] ms of e:ttft_seconds"),
            std::string::npos);

  HistogramOutcomes bold = made({.ttft_ms = 300}, {.next_bound = true});
  ASSERT_TRUE(bold.update(Engine{}.scrape()));
  EXPECT_TRUE(bold.update(engine.scrape())) << "the owner took the next bound instead";
  EXPECT_EQ(bold.counters().bad, 2u);
}

TEST(HistogramOutcomes, a_request_that_breaks_two_limits_is_one_bad_request) {
  Engine engine;
  HistogramOutcomes outcomes = made({.ttft_ms = 200, .e2e_ms = 1000});
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  engine.ttft.assign(4, 0.5);  // four begin late and go on
  engine.running = 4;
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  EXPECT_EQ(outcomes.counters().bad, 4u) << "known at the first token";
  EXPECT_EQ(outcomes.counters().good, 0u);
  engine.e2e.assign(4, 5);  // and end late
  engine.running = 0;
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  EXPECT_EQ(outcomes.counters().bad, 4u);
  engine.serve(0.1, 5, 3);  // others begin in time and end late
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  EXPECT_EQ(outcomes.counters().bad, 7u);
  EXPECT_EQ(by(outcomes, Limit::kE2e), 3u);
  EXPECT_EQ(outcomes.counters().good, 0u);
}

TEST(HistogramOutcomes, good_does_not_fall_when_requests_turn_bad_before_they_end) {
  Engine engine;
  HistogramOutcomes outcomes = made({.ttft_ms = 200});
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  engine.serve(0.1, 0.5, 10);
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  for (int i = 0; i < 5; ++i) engine.ttft.push_back(0.9);
  engine.running = 5;
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  EXPECT_EQ(outcomes.counters().good, 10u);
  EXPECT_EQ(outcomes.counters().bad, 5u);
  engine.e2e.insert(engine.e2e.end(), 5, 1);
  engine.running = 0;
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  EXPECT_EQ(outcomes.counters().good, 10u);
  EXPECT_EQ(outcomes.counters().arrived, 15u);
}

TEST(HistogramOutcomes, failures_and_answers_without_a_token_are_bad) {
  Engine engine;
  HistogramOutcomes outcomes = made({.ttft_ms = 200});
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  engine.e2e.assign(6, 0.05);  // success, but no first token
  engine.aborted = 2;
  engine.serve(0.1, 0.3, 4);
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  EXPECT_EQ(outcomes.counters().bad, 8u);
  EXPECT_EQ(by(outcomes, Limit::kRejected), 8u);
  EXPECT_EQ(outcomes.counters().good, 4u);
}

TEST(HistogramOutcomes, a_restart_begins_an_epoch_and_counts_from_nothing) {
  Engine engine;
  engine.serve(0.1, 0.3, 20);
  HistogramOutcomes outcomes = made({.ttft_ms = 200});
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  engine.serve(0.9, 0.9, 5);
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  Engine again;
  again.serve(0.1, 0.3, 3);
  ASSERT_TRUE(outcomes.update(again.scrape()));
  EXPECT_EQ(outcomes.epoch(), 2u);
  EXPECT_EQ(outcomes.counters().good, 3u);
  EXPECT_EQ(outcomes.counters().bad, 0u);
  again.started = 6;  // so quick that it has served more than before already
  again.serve(0.1, 0.3, 30);
  ASSERT_TRUE(outcomes.update(again.scrape()));
  EXPECT_EQ(outcomes.epoch(), 3u);
  EXPECT_EQ(outcomes.counters().good, 33u);
}

TEST(HistogramOutcomes, a_restart_by_our_own_hand_goes_on_in_the_same_epoch) {
  Engine engine;
  engine.serve(0.1, 0.3, 20);
  HistogramOutcomes outcomes = made({.ttft_ms = 200});
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  engine.serve(0.9, 0.9, 5);
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  outcomes.expect_restart();
  Engine again;
  again.serve(0.1, 0.3, 3);
  ASSERT_TRUE(outcomes.update(again.scrape()));
  EXPECT_EQ(outcomes.epoch(), 1u);
  EXPECT_EQ(outcomes.counters().good, 3u);
  EXPECT_EQ(outcomes.counters().bad, 5u);
  ASSERT_TRUE(outcomes.update(Engine{}.scrape()));
  EXPECT_EQ(outcomes.epoch(), 2u) << "expected once, not for ever";
}

TEST(HistogramOutcomes, senseless_scrapes_change_nothing) {
  Engine engine;
  HistogramOutcomes outcomes = made({.ttft_ms = 200});
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  engine.serve(0.1, 0.3, 3);
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  for (const char* text : {"other_metric 1\n", "",
                           "e:ttft_seconds_bucket{le=\"0.1\"} 9\ne:ttft_seconds_bucket"
                           "{le=\"+Inf\"} 3\n",
                           "e:aborted_total NaN\n", "e:tokens_total -1\n",
                           "e:e2e_seconds_bucket{le=\"+Inf\"} 1e300\n"}) {
    EXPECT_FALSE(outcomes.update(wire::parse_prometheus(text).value())) << text;
    EXPECT_EQ(outcomes.counters().good, 3u);
    EXPECT_EQ(outcomes.epoch(), 1u);
  }
}

TEST(HistogramOutcomes, renamed_histograms_are_found_by_their_other_name) {
  Engine engine;
  engine.e2e_name = "e:latency_seconds";
  HistogramOutcomes outcomes = made({.e2e_ms = 400});
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  engine.serve(0.1, 0.3, 2);
  engine.serve(0.1, 0.5, 1);
  ASSERT_TRUE(outcomes.update(engine.scrape()));
  EXPECT_EQ(outcomes.counters().good, 2u);
  EXPECT_EQ(outcomes.counters().bad, 1u);
}

TEST(HistogramOutcomes, gauges_count_each_rank_once) {
  HistogramOutcomes outcomes = made({.ttft_ms = 200});
  ASSERT_TRUE(outcomes.update(
      wire::parse_prometheus(
          "e:running{dp_rank=\"0\",tp_rank=\"0\"} 2\ne:running{dp_rank=\"0\",tp_rank=\"1\"} 2\n"
          "e:running{dp_rank=\"1\",tp_rank=\"0\"} 3\ne:kv{dp_rank=\"0\"} 0.2\n"
          "e:kv{dp_rank=\"1\"} 0.4\n")
          .value()));
  EXPECT_EQ(outcomes.running(), 5);
  EXPECT_DOUBLE_EQ(outcomes.kv_use(), 0.3);
}

TEST(HistogramOutcomes, what_cannot_be_judged_is_refused_unless_its_owner_leaves_it_out) {
  const serving::Slo gap{.name = "chat", .ttft_ms = 200, .max_gap_ms = 50};
  const auto refused = HistogramOutcomes::create({gap}, sources(), {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidConfig);
  EXPECT_NE(refused.error().message.find("max_gap_ms cannot be judged"), std::string::npos);
  EXPECT_TRUE(HistogramOutcomes::create({gap}, sources(), {.not_judged = {"max_gap_ms"}}));
  const serving::Slo grows{.ttft_ms = 200, .ttft_ms_per_prompt_token = 0.1};
  EXPECT_FALSE(HistogramOutcomes::create({grows}, sources(), {}));
  EXPECT_FALSE(HistogramOutcomes::create({gap, gap}, sources(), {}));
  HistogramSources without = sources();
  without.tpot.clear();
  EXPECT_FALSE(HistogramOutcomes::create({{.tpot_ms = 50}}, without, {}));
}

TEST(PlaceOf, finds_the_bucket_or_the_bound_of_a_limit) {
  const wire::Buckets buckets{.bounds = {0.1, 0.4, std::numeric_limits<double>::infinity()},
                              .counts = {0, 0, 0}};
  EXPECT_TRUE(place_of(100, buckets).exact());
  EXPECT_TRUE(place_of(400, buckets).exact());
  EXPECT_EQ(place_of(200, buckets).below_s, 0.1);
  EXPECT_EQ(place_of(200, buckets).above_s, 0.4);
  EXPECT_EQ(place_of(50, buckets).below_s, 0);
  EXPECT_EQ(place_of(900, buckets).above_s, std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace arqon::adapters
