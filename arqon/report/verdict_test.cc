#include "arqon/report/verdict.h"

#include <gtest/gtest.h>

#include "arqon/report/run_series.h"
#include "arqon/report/synthetic_result.h"

namespace arqon::report {
namespace {

bool says(const std::string& text, std::string_view what) {
  return text.find(what) != std::string::npos;
}

TEST(CompareOutcomes, missing_what_hindsight_attains_loses_whatever_the_cost) {
  const Outcome cheap{0.95, 0.1, 1e6, 100};
  const Outcome dear{0.995, 0.9, 1e6, 100};
  EXPECT_EQ(compare_outcomes(cheap, dear, "cost", 0.995), -1);
  EXPECT_EQ(compare_outcomes(cheap, dear, "cost", 0), 1);
}

TEST(CompareOutcomes, small_differences_are_ties) {
  EXPECT_EQ(compare_outcomes({0.9901, 1, 1, 1}, {0.9909, 1, 1, 1}, "bad_share", 0), 0);
  EXPECT_EQ(compare_outcomes({0.99, 1, 1, 1}, {0.98, 1, 1, 1}, "bad_share", 0), 1);
  EXPECT_EQ(compare_outcomes({0.99, 1.005, 1, 1}, {0.99, 1, 1, 1}, "cost", 0), 0);
  EXPECT_EQ(compare_outcomes({0.99, 1, 110, 1}, {0.99, 1, 100, 1}, "good_tokens", 0), 1);
}

TEST(Verdict, a_gain_names_the_change_its_reason_and_hindsight) {
  const documents::Scenario scenario = synthetic_scenario();
  const Verdict v = verdict(synthetic_result(scenario), scenario);
  EXPECT_EQ(v.tone, Tone::kGain);
  EXPECT_TRUE(says(v.headline, "with yesterday's best setting it would have been"));
  EXPECT_TRUE(says(v.changed, "main.prefill_token_budget 8192 \xE2\x86\x92 1024"));
  EXPECT_TRUE(says(v.changed, "1 refused by the guard"));
  ASSERT_FALSE(v.why.empty());
  EXPECT_TRUE(says(v.why.front(), "the gap limit is broken by 14.1%"));
  ASSERT_EQ(v.brought.size(), 2u);
  EXPECT_TRUE(says(v.brought.front(), "3 wins, 0 ties, 0 losses"));
  EXPECT_TRUE(says(v.hindsight, "prefill_token_budget = 1024"));
}

TEST(Verdict, a_loss_is_printed_as_a_loss) {
  const documents::Scenario scenario = synthetic_scenario();
  SyntheticOptions options;
  options.bad_default = 0.01;
  options.bad_arqonhpo = 0.2;
  const Verdict v = verdict(synthetic_result(scenario, options), scenario);
  EXPECT_EQ(v.tone, Tone::kLoss);
  EXPECT_TRUE(says(v.headline, "ArqonHPO lost to"));
  EXPECT_TRUE(says(v.brought.front(), "a loss"));
  EXPECT_TRUE(says(v.brought.front(), "3 losses"));
}

TEST(Verdict, a_rival_that_did_better_is_named) {
  const documents::Scenario scenario = synthetic_scenario();
  documents::TuneResult result = synthetic_result(scenario);
  EXPECT_EQ(verdict(result, scenario).brought.size(), 2u);
  result.summary[3].attainment = 0.999;
  ASSERT_EQ(result.summary[3].strategy, "random");
  EXPECT_TRUE(says(verdict(result, scenario).brought.back(), "Ahead of ArqonHPO here: random"));
}

TEST(Verdict, repeats_on_a_live_engine_are_one_story_from_the_first_to_the_last) {
  const documents::Scenario scenario = synthetic_scenario();
  documents::TuneResult result = synthetic_result(scenario);
  // Only the first repeat moves anything; the last begins where it left off.
  documents::StrategyRun* last = nullptr;
  for (documents::StrategyRun& run : result.runs) {
    if (run.strategy == "arqonhpo") last = &run;
  }
  ASSERT_NE(last, nullptr);
  const Config kept = last->record.windows.back().values;
  for (control::WindowRecord& w : last->record.windows) w.values = kept;
  last->record.changes.clear();
  last->record.decisions.clear();
  result.phases = {{.phase = "chat",
                    .strategy = "arqonhpo",
                    .arrived = {100},
                    .good = {99},
                    .against_default = {}}};
  const Verdict v = verdict(result, scenario);
  EXPECT_TRUE(says(v.changed, "main.prefill_token_budget 8192 \xE2\x86\x92 1024")) << v.changed;
  EXPECT_TRUE(says(v.why.front(), "the gap limit is broken by 14.1%"));
}

TEST(Verdict, nothing_to_gain_is_said_plainly) {
  const documents::Scenario scenario = synthetic_scenario();
  documents::TuneResult result = synthetic_result(scenario);
  for (documents::StrategySummary& s : result.summary) s.attainment = 0.995;
  EXPECT_EQ(verdict(result, scenario).tone, Tone::kNothingToGain);
  EXPECT_TRUE(says(verdict(result, scenario).headline, "nothing to gain"));
}

TEST(Verdict, speaks_without_hindsight_without_baselines_and_without_runs) {
  const documents::Scenario scenario = synthetic_scenario();
  documents::TuneResult result = synthetic_result(scenario);
  std::erase_if(result.summary, [](const auto& s) { return s.strategy != "arqonhpo"; });
  EXPECT_EQ(verdict(result, scenario).tone, Tone::kUnknown);
  EXPECT_TRUE(says(verdict(result, scenario).hindsight, "--compare"));
  result = {};
  EXPECT_TRUE(says(verdict(result, scenario).changed, "No run was finished"));
}

TEST(ScenarioSentence, names_fleet_traffic_and_knobs) {
  EXPECT_EQ(scenario_sentence(synthetic_scenario()),
            "4 replicas of llama-3.1-8b on h100-sxm-80g serve chat and code for 2 h; the traffic "
            "shifts twice; main.prefill_token_budget, main.batch_size and "
            "main.speculative_decoding_k may be tuned while it serves.");
}

TEST(ScenarioSentence, a_live_engine_is_named_and_nobody_claims_to_know_hindsight) {
  documents::Scenario scenario = synthetic_scenario();
  documents::TuneResult result = synthetic_result(scenario);
  scenario.target_engine = "vllm";
  scenario.fleet.pools.clear();
  EXPECT_TRUE(says(scenario_sentence(scenario), "A live engine (vllm) serves chat and code for"));
  EXPECT_FALSE(says(verdict(result, scenario).hindsight, "--compare"));
}

}  // namespace
}  // namespace arqon::report
