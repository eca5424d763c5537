#include "arqon/compare/compare.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "arqon/compare/baselines.h"
#include "arqon/compare/policies.h"
#include "arqon/compare/summary.h"

namespace arqon::compare {
namespace {

documents::Scenario small_scenario() {
  documents::Scenario s;
  s.name = "small";
  s.duration_s = 600;
  sim::PoolSpec pool{.name = "main", .model = "llama-3.1-8b", .gpu = "h100-sxm-80g", .replicas = 1};
  s.fleet.pools = {pool};
  workload::Spec spec;
  spec.source = workload::GeneratorSource{"poisson", 10};
  spec.segments = {{.at_s = 0, .mix = {{"chat", 1}}}, {.at_s = 300, .mix = {{"code", 1}}}};
  s.workloads = {spec};
  s.classes = {{.name = "chat", .ttft_ms = 400, .tpot_ms = 50},
               {.name = "code", .ttft_ms = 700, .max_gap_ms = 200}};
  s.knobs = Space({{.name = "main.prefill_token_budget",
                    .type = ParamType::kInt,
                    .scale = Scale::kLog,
                    .min = 256,
                    .max = 8192,
                    .step = 64,
                    .default_value = Config{8192}}});
  s.protective = {{{"gap", -1}, {"ttft", 1}}};
  s.guardrails = {.limits = {{256, 8192, 2048}}, .max_updates_per_second = 0.2};
  return s;
}

TEST(Compare, every_strategy_meets_the_same_traffic_and_loses_no_request) {
  const documents::Scenario scenario = small_scenario();
  CompareOptions options;
  options.seeds = {3};
  options.screen_settings = 12;
  const auto result = compare(scenario, options);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  ASSERT_EQ(result->runs.size(), strategy_names().size());
  for (const documents::StrategyRun& run : result->runs) {
    const serving::Ledger& l = run.totals.ledger;
    EXPECT_EQ(l.arrived, result->runs.front().totals.ledger.arrived) << run.strategy;
    EXPECT_EQ(l.arrived, l.good + l.late + l.cut + l.rejected + l.unfinished) << run.strategy;
    EXPECT_FALSE(run.record.windows.empty()) << run.strategy;
  }
}

TEST(Compare, the_frozen_tuner_is_the_default_to_the_last_request) {
  const documents::Scenario scenario = small_scenario();
  CompareOptions options;
  options.strategies = {"default", "arqonhpo-frozen"};
  const auto result = compare(scenario, options);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->runs[0].totals.ledger, result->runs[1].totals.ledger);
  EXPECT_TRUE(result->runs[1].record.changes.empty());
}

TEST(Compare, an_unknown_strategy_is_named_with_the_known_ones) {
  CompareOptions options;
  options.strategies = {"luck"};
  const auto result = compare(small_scenario(), options);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kUsage);
  EXPECT_NE(result.error().message.find("hindsight"), std::string::npos);
}

TEST(Compare, a_stop_keeps_what_is_finished_and_says_so) {
  std::atomic<bool> stop = true;
  CompareOptions options;
  options.strategies = {"default", "rules"};
  options.stop = &stop;
  const auto result = compare(small_scenario(), options);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_LT(result->runs.size(), 2u);
  ASSERT_FALSE(result->remarks.empty());
  EXPECT_NE(result->remarks.front().find("Stopped"), std::string::npos);
}

TEST(Baselines, survive_the_file_and_do_not_fit_another_scenario) {
  const documents::Scenario scenario = small_scenario();
  const auto path = std::filesystem::path(::testing::TempDir()) / "baselines_test.json";
  std::filesystem::remove(path);
  BaselineFile file;
  file.put(scenario, 7, {{2048}, {1024}, {{8192}, {512}}});
  ASSERT_TRUE(file.save(path).has_value());
  const auto loaded = BaselineFile::load(path);
  ASSERT_TRUE(loaded.has_value());
  const auto row = loaded->find(scenario, 7);
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(row->hindsight, Config{1024});
  EXPECT_EQ(row->oracle[1], Config{512});
  EXPECT_FALSE(loaded->find(scenario, 8).has_value());
  documents::Scenario other = scenario;
  other.duration_s = 601;
  EXPECT_FALSE(loaded->find(other, 7).has_value());
  std::filesystem::remove(path);
}

TEST(Policies, rules_protect_the_broken_limit_and_drift_home_when_well) {
  const documents::Scenario scenario = small_scenario();
  const Policy rules = aimd_rules(scenario);
  control::WindowRecord window;
  window.classes.resize(2);
  window.classes[1].good = 90;
  window.classes[1].bad = 10;
  window.classes[1].bad_by[static_cast<std::size_t>(serving::Limit::kGap)] = 10;
  const auto lower = rules(time_at(1), Config{4096}, &window);
  ASSERT_TRUE(lower.has_value());
  EXPECT_LT((*lower)[0], 4096);
  window.classes[1].bad = 0;
  window.classes[1].bad_by = {};
  const auto home = rules(time_at(2), Config{4096}, &window);
  ASSERT_TRUE(home.has_value());
  EXPECT_GT((*home)[0], 4096);
}

documents::StrategyRun run_of(const std::string& strategy, std::uint64_t seed, double attainment) {
  documents::StrategyRun run;
  run.strategy = strategy;
  run.seed = seed;
  run.totals.attainment = attainment;
  return run;
}

TEST(Summary, capture_is_stated_only_where_the_lead_is_real) {
  const documents::Scenario scenario = small_scenario();
  const auto with_lead = [&](double oracle) {
    return summarise(scenario, {run_of("yesterday", 1, 0.90), run_of("hindsight", 1, 0.95),
                                run_of("oracle", 1, oracle), run_of("arqonhpo", 1, 0.94)});
  };
  const auto real = with_lead(0.98);
  EXPECT_NEAR(real.back().excess, 0.01, 1e-12);
  ASSERT_TRUE(real.back().capture.has_value());
  EXPECT_NEAR(*real.back().capture, 0.5, 1e-9);
  EXPECT_FALSE(with_lead(0.91).back().capture.has_value());
}

TEST(Summary, too_few_seeds_and_harm_where_nothing_was_to_gain_are_said) {
  documents::Scenario scenario = small_scenario();
  scenario.gain_expected = false;
  const std::vector runs{run_of("default", 1, 0.99), run_of("arqonhpo", 1, 0.95)};
  const auto said = remarks(scenario, runs, summarise(scenario, runs));
  ASSERT_EQ(said.size(), 2u);
  EXPECT_NE(said[0].find("-4.00 points"), std::string::npos) << said[0];
  EXPECT_NE(said[1].find("too few"), std::string::npos) << said[1];
  // On a live engine there are no seeds but repeats, and intervals that speak for themselves.
  scenario.target_engine = "vllm";
  const auto live = remarks(scenario, runs, summarise(scenario, runs));
  EXPECT_NE(live[1].find("1 repeat on one engine"), std::string::npos) << live[1];
}

}  // namespace
}  // namespace arqon::compare
