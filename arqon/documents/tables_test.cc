// The tables of names against everything else that knows those names: the pages that document them
// and the rooms that give them meaning.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include "arqon/documents/example_test_documents.h"
#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/reader.h"
#include "arqon/documents/results.h"
#include "arqon/documents/study.h"
#include "arqon/guard/safety_executor.h"
#include "arqon/sim/model_data.h"
#include "arqon/sim/settings.h"
#include "arqon/sim/twin.h"
#include "arqon/wire/json.h"
#include "arqon/workload/generate.h"
#include "arqon/workload/lengths.h"

namespace arqon::documents {
namespace {

namespace fs = std::filesystem;
using internal::Names;

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string page(const std::string& name) {
  return text_of(fs::path(ARQON_SOURCE_DIR) / "docs/formats" / (name + ".md"));
}

void expect_documented(const std::string& text, std::initializer_list<Names> tables) {
  for (const Names names : tables) {
    for (const std::string_view name : names) {
      const bool quoted = text.find("`" + std::string(name) + "`") != std::string::npos ||
                          text.find("\"" + std::string(name) + "\"") != std::string::npos;
      EXPECT_TRUE(quoted) << name << " is not on the page";
    }
  }
}

TEST(Formats, the_scenario_page_names_every_key_and_every_word) {
  using namespace internal;
  expect_documented(
      page("scenario"),
      {kScenarioKeys,   kTargetKeys,   kTargetEngines, kMeasures,           kModes,
       kWindowKeys,     kClassKeys,    kTtftKeys,      kProtectiveKeys,     kProtectiveWays,
       kFleetKeys,      kPoolKeys,     kRouterKeys,    kEngineKeys,         kDtypes,
       kPolicies,       kSchedulers,   kWorkloadKeys,  kGeneratorKeys,      kTraceKeys,
       kClosedLoopKeys, kGenerators,   kTraceFormats,  kPriorities,         kAcceptanceKeys,
       kDraftKeys,      kSegmentKeys,  kSourceKinds,   kAgentKeys,          kCascadeKeys,
       kKvTransferKeys, kEventKeys,    kEvents,        kDiurnalKeys,        kSpikesKeys,
       kSessionsKeys,   kSessionKinds, kCountKnobs,    kCalibrationScalars, kOwnModelKeys,
       kOwnGpuKeys});
}

TEST(Formats, the_scenario_page_names_the_models_gpus_and_length_profiles_that_exist) {
  std::vector<std::string_view> names(workload::profile_names().begin(),
                                      workload::profile_names().end());
  for (const sim::ModelData& model : sim::known_models()) names.push_back(model.name);
  for (const sim::GpuData& gpu : sim::known_gpus()) names.push_back(gpu.name);
  expect_documented(page("scenario"), {names});
}

TEST(Formats, the_calibration_page_names_every_key_and_every_word) {
  using namespace internal;
  expect_documented(text_of(fs::path(ARQON_SOURCE_DIR) / "docs/howto/calibrate.md"),
                    {kCalibrationKeys, kCalibrationSources, kCalibrationErrors,
                     kCalibrationEvidence, kCalibrationScalars});
}

TEST(Formats, the_study_page_names_every_key_and_every_word) {
  using namespace internal;
  expect_documented(page("study"), {kStudyKeys, kObjectiveKeys, kConstraintKeys, kParameterKeys,
                                    kGuardrailKeys, kScales, kTypes, kChangeClasses, kDirections,
                                    kStrategies, kTrialKeys, kMetricKeys, kStatuses});
}

// The keys that a document was written with, but for those that are names of its own.
void collect_keys(const wire::Value& value, std::set<std::string>& keys) {
  if (const wire::Object* object = value.as_object()) {
    for (const auto& [key, member] : *object) {
      keys.insert(key);
      collect_keys(member, keys);
    }
  } else if (const wire::Array* array = value.as_array()) {
    for (const wire::Value& item : *array) collect_keys(item, keys);
  }
}

TEST(Formats, the_results_page_names_every_key_that_is_written) {
  const Scenario scenario = parse_scenario(kEveryKeyScenario, "a.json").value();
  StrategyRun run{.strategy = "default"};
  run.totals.classes = {{.name = "chat"}};
  run.record.knob_names = {"main.batch_size"};
  run.record.class_names = {"chat"};
  run.record.windows.resize(1);
  run.record.windows[0].classes.resize(1);
  run.record.changes.resize(1);
  run.record.decisions.resize(1);
  TuneResult result{.runs = {run}, .summary = {{}}};
  std::set<std::string> keys;
  collect_keys(wire::parse_json(to_json(result, scenario)).value(), keys);
  collect_keys(wire::parse_json(to_json(run.totals, scenario, "b",
                                        {.pools = {{}}, .wall_s = 1, .partial = true}))
                   .value(),
               keys);
  collect_keys(wire::parse_json(decisions_json(run.record)).value(), keys);
  EXPECT_GT(keys.size(), 60u);
  keys.erase("chat");
  keys.erase("");  // the pool's name
  const std::string text = page("results");
  for (const std::string& key : keys) {
    const bool found = text.find("`" + key + "`") != std::string::npos ||
                       text.find("`" + key + "[]`") != std::string::npos ||
                       text.find("\"" + key + "\"") != std::string::npos;
    EXPECT_TRUE(found) << key << " is not on the page";
  }
  for (const std::string_view column : internal::kChangeColumns) {
    EXPECT_TRUE(keys.contains(std::string(column))) << column;
  }
}

template <typename Table>
std::set<std::string> names_of(const Table& table) {
  std::set<std::string> out;
  for (const auto& row : table) out.emplace(row.name);
  return out;
}

TEST(Tables, agree_with_the_twin_on_knobs) {
  EXPECT_EQ(names_of(internal::kPoolKnobs), names_of(sim::engine_knobs()));
  for (const internal::PoolKnob& knob : internal::kPoolKnobs) {
    for (const sim::EngineKnob& other : sim::engine_knobs()) {
      if (other.name != knob.name) continue;
      EXPECT_EQ(other.restart, knob.restart) << knob.name;
    }
    EXPECT_NE(std::find(internal::kEngineKeys.begin(), internal::kEngineKeys.end(), knob.name),
              internal::kEngineKeys.end())
        << knob.name;
  }
}

TEST(Tables, agree_with_the_words_of_space) {
  for (std::size_t i = 0; i < internal::kScales.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<Scale>(i)), internal::kScales[i]);
  }
  for (std::size_t i = 0; i < internal::kTypes.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<ParamType>(i)), internal::kTypes[i]);
  }
  for (std::size_t i = 0; i < internal::kChangeClasses.size(); ++i) {
    EXPECT_EQ(to_string(static_cast<ChangeClass>(i)), internal::kChangeClasses[i]);
  }
}

TEST(Tables, agree_with_the_words_of_control) {
  for (std::size_t i = 0; i < internal::kChangeStates.size(); ++i) {
    EXPECT_EQ(control::to_string(static_cast<control::ChangeState>(i)), internal::kChangeStates[i]);
  }
}

// What is valid on paper is taken by the rooms that use it.
TEST(Documents, what_they_accept_the_guard_accepts) {
  const auto study = parse_study(kEveryKeyStudy).value();
  EXPECT_TRUE(guard::SafetyExecutor::create(study.config.space, *study.guardrails).has_value());
  EXPECT_TRUE(
      guard::SafetyExecutor::create(study.config.space, default_guardrails(study.config.space))
          .has_value());
  const auto scenario = parse_scenario(kEveryKeyScenario, "a.json").value();
  const auto executor = guard::SafetyExecutor::create(scenario.knobs, scenario.guardrails);
  EXPECT_TRUE(executor.has_value()) << executor.error().message;
}

TEST(Documents, what_ships_the_twin_and_the_workloads_accept) {
  for (const auto& entry : fs::directory_iterator(fs::path(ARQON_SOURCE_DIR) / "scenarios")) {
    if (entry.path().extension() != ".json") continue;
    const auto scenario = parse_scenario(text_of(entry.path()), entry.path());
    ASSERT_TRUE(scenario.has_value()) << entry.path();
    if (scenario->live()) continue;  // its engine and knobs are no twin's
    workload::GenerateOptions options{.duration_s = 120, .seed = 1, .folder = scenario->folder};
    for (const serving::Slo& slo : scenario->classes) options.classes.push_back(slo.name);
    const auto trace = workload::generate(scenario->workloads, options);
    ASSERT_TRUE(trace.has_value()) << trace.error().message;
    EXPECT_GT(trace->size(), 50u) << entry.path();
    const auto twin = sim::Twin::create({.fleet = scenario->fleet,
                                         .classes = scenario->classes,
                                         .knobs = scenario->knobs,
                                         .trace = std::make_shared<const workload::Trace>(*trace)});
    EXPECT_TRUE(twin.has_value()) << entry.path() << ": " << twin.error().message;
    EXPECT_TRUE(guard::SafetyExecutor::create(scenario->knobs, scenario->guardrails).has_value());
  }
}

}  // namespace
}  // namespace arqon::documents
