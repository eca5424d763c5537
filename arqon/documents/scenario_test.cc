#include "arqon/documents/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "arqon/documents/example_test_documents.h"

namespace arqon::documents {
namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::filesystem::path source_dir() { return ARQON_SOURCE_DIR; }

Scenario parsed(std::string_view text, const std::filesystem::path& file = "a.json") {
  auto scenario = parse_scenario(text, file);
  if (!scenario) {
    for (const auto& d : scenario.error()) ADD_FAILURE() << wire::to_string(d, file.string());
    return {};
  }
  return std::move(*scenario);
}

constexpr std::string_view kLeast = R"({"schema": 1, "name": "least",
  "fleet": {"pools": [{"name": "main", "model": "llama-3.1-8b", "gpu": "h100-sxm-80g"}]},
  "workload": {"source": {"generator": "poisson", "rate_per_s": 2}},
  "classes": {"chat": {"ttft_ms": 500}}})";

TEST(ParseScenario, the_least_document_gets_every_default) {
  const Scenario s = parsed(kLeast, "/some/where/a.json");
  EXPECT_EQ(s.name, "least");
  EXPECT_EQ(s.seed, 0u);
  EXPECT_EQ(s.duration_s, 3600);
  EXPECT_EQ(s.measure, "bad_share");
  EXPECT_TRUE(s.gain_expected);
  EXPECT_EQ(s.target_engine, "simulated");
  EXPECT_EQ(s.mode, control::Mode::kAuto);
  EXPECT_FALSE(s.budget.has_value());
  ASSERT_EQ(s.fleet.pools.size(), 1u);
  EXPECT_EQ(s.fleet.pools[0].replicas, 1);
  EXPECT_EQ(s.fleet.pools[0].dtype, "bf16");
  EXPECT_FALSE(s.fleet.pools[0].engine.batch_size.has_value()) << "the engine's own default";
  EXPECT_EQ(s.fleet.router.policy, "least_request");
  ASSERT_EQ(s.workloads.size(), 1u);
  ASSERT_EQ(s.workloads[0].segments.size(), 1u);
  EXPECT_EQ(s.workloads[0].segments[0].mix[0].name, "chat") << "the only class is the mix";
  EXPECT_EQ(s.classes[0].ttft_ms, 500);
  EXPECT_EQ(s.classes[0].tpot_ms, serving::kNoLimit);
  EXPECT_EQ(s.knobs.size(), 0u);
  EXPECT_EQ(s.window.requests_min, 300u);
  EXPECT_EQ(s.folder, "/some/where");
}

TEST(ParseScenario, reads_the_fleet) {
  const Scenario s = parsed(kEveryKeyScenario);
  const sim::PoolSpec& main = s.fleet.pools[0];
  EXPECT_EQ(main.model, "llama-3.1-70b");
  EXPECT_EQ(main.gpu, "h100-sxm-80g");
  EXPECT_EQ(main.tp, 4);
  EXPECT_EQ(main.dtype, "fp8");
  EXPECT_EQ(main.replicas, 2);
  EXPECT_EQ(main.price_per_gpu_hour, 1.5);
  EXPECT_EQ(main.quality, 0.9);
  EXPECT_EQ(main.engine.batch_size, 256);
  EXPECT_EQ(main.engine.prefill_token_budget, 2048);
  EXPECT_EQ(main.engine.long_prefill_threshold, 512);
  EXPECT_EQ(main.engine.queued_token_limit, 100000);
  EXPECT_EQ(main.engine.speculative_decoding_k, 1);
  EXPECT_EQ(main.engine.max_tokens, 4096);
  EXPECT_EQ(main.engine.max_wait_ms, 2.5);
  EXPECT_EQ(main.engine.block_size, 32);
  EXPECT_EQ(main.engine.gpu_memory_utilization, 0.9);
  EXPECT_EQ(main.engine.kv_cache_blocks, 20000);
  EXPECT_FALSE(main.engine.async_scheduling);
  EXPECT_EQ(main.replicas_max, 3);
  EXPECT_EQ(main.prefill_replicas, 1);
  EXPECT_EQ(main.price_per_million_tokens, 0.5);
  EXPECT_EQ(s.fleet.router.weights, (std::vector<double>{1, 1, 1, 2}));
  EXPECT_EQ(s.fleet.router.pool_weights, (std::vector<double>{3, 1}));
  EXPECT_EQ(s.fleet.kv_transfer.gb_per_s, 25);
  EXPECT_EQ(s.fleet.wake_s, 4);
  EXPECT_EQ(s.fleet.router.state_age_ms, 100);
  EXPECT_FALSE(s.fleet.noise);
  EXPECT_EQ(s.fleet.restart_load_s, 90);
}

TEST(ParseScenario, reads_events_and_a_cascade) {
  const Scenario s = parsed(kEveryKeyScenario);
  ASSERT_EQ(s.fleet.events.size(), 2u);
  EXPECT_EQ(s.fleet.events[0].kind, sim::FleetEventKind::kThrottle);
  EXPECT_EQ(s.fleet.events[0].pool, "main");
  EXPECT_EQ(s.fleet.events[0].replica, 1);
  EXPECT_EQ(s.fleet.events[0].speed, 0.5);
  EXPECT_EQ(s.fleet.events[1].kind, sim::FleetEventKind::kFail);
  EXPECT_EQ(s.fleet.events[1].replica, -1) << "all of the pool";
  std::string text(kEveryKeyScenario);
  const std::string from = "\"pool_weights\": [3, 1]";
  text.replace(text.find(from), from.size(),
               "\"cascade\": {\"small\": \"small\", \"large\": \"main\", \"threshold\": 0.5}");
  const std::string knob = "\"router.pool_weights\": {\"type\": \"simplex\", \"choices\": "
                           "[\"main\", \"small\"],\n                            \"default\": "
                           "{\"main\": 0.75, \"small\": 0.25}}";
  text.replace(text.find(knob), knob.size(),
               "\"router.cascade_threshold\": {\"min\": -2, \"max\": 3}");
  const Scenario cascade = parsed(text);
  ASSERT_TRUE(cascade.fleet.router.cascade.has_value());
  EXPECT_EQ(cascade.fleet.router.cascade->large, "main");
  EXPECT_EQ(cascade.fleet.router.cascade->threshold, 0.5);
  EXPECT_EQ(to_json(parsed(to_json(cascade))), to_json(cascade));
}

TEST(ParseScenario, reads_the_workloads) {
  const Scenario s = parsed(kEveryKeyScenario);
  ASSERT_EQ(s.workloads.size(), 2u);
  const auto& generator = std::get<workload::GeneratorSource>(s.workloads[0].source);
  EXPECT_EQ(generator.name, "gamma");
  EXPECT_EQ(generator.cv, 3);
  EXPECT_EQ(s.workloads[0].retries, 2);
  EXPECT_EQ(s.workloads[0].sessions->kind, "agent");
  EXPECT_EQ(s.workloads[0].sessions->system_tokens, 2048);
  EXPECT_EQ(s.workloads[0].diurnal->swing, 4);
  EXPECT_EQ(s.workloads[0].spikes->factor_max, 4);
  EXPECT_FALSE(s.workloads[1].diurnal.has_value());
  EXPECT_EQ(s.workloads[0].acceptance.draft_ms_per_k, 0.2);
  EXPECT_EQ(s.workloads[0].acceptance.quality_sigma, 0.3);
  ASSERT_EQ(s.workloads[0].segments.size(), 3u);
  EXPECT_EQ(s.workloads[0].segments[1].mix[1].name, "code");
  EXPECT_EQ(s.workloads[0].segments[1].mix[1].share, 3);
  EXPECT_EQ(s.workloads[0].segments[1].acceptance, 0.7);
  EXPECT_EQ(s.workloads[0].segments[2].acceptance, 0.2);
  EXPECT_TRUE(s.workloads[0].segments[2].mix.empty());
  EXPECT_EQ(s.workloads[0].segments[2].name, "edits");
  ASSERT_EQ(s.workloads[0].lengths.size(), 1u);
  EXPECT_EQ(s.workloads[0].lengths[0].name, "code");
  EXPECT_EQ(s.workloads[0].lengths[0].prompt_tokens_max, 20u);
  EXPECT_EQ(s.workloads[0].lengths[0].output_tokens_min, 5u);
  const auto& trace = std::get<workload::TraceSource>(s.workloads[1].source);
  EXPECT_EQ(trace.format, "csv");
  EXPECT_EQ(trace.path, "data/x.csv");
  EXPECT_EQ(trace.scale, 0.5);
  EXPECT_EQ(trace.request_class, "code");
  EXPECT_EQ(s.workloads[1].priority, "backfill");
  EXPECT_EQ(s.workloads[1].segments[0].rate, 2);
  const Scenario loop = parsed(kClosedLoopScenario);
  const auto& closed = std::get<workload::ClosedLoopSource>(loop.workloads[0].source);
  EXPECT_EQ(closed.concurrency, 8);
  EXPECT_EQ(closed.input_tokens, 100);
  EXPECT_EQ(closed.output_tokens, 50);
  EXPECT_EQ(closed.requests_per_slot, 3);
  EXPECT_EQ(closed.length_jitter, 0.2);
}

TEST(ParseScenario, reads_classes_knobs_and_guardrails) {
  const Scenario s = parsed(kEveryKeyScenario);
  EXPECT_EQ(s.classes[0].ttft_ms, 300);
  EXPECT_EQ(s.classes[0].ttft_ms_per_prompt_token, 0.1);
  EXPECT_EQ(s.classes[1].max_gap_ms, 200);
  EXPECT_EQ(s.classes[1].e2e_ms, 60000);
  EXPECT_EQ(s.quality, (std::vector<sim::QualityRule>{{0.8, 0.1}, {}}));
  ASSERT_EQ(s.knobs.size(), 7u);
  EXPECT_EQ(s.knobs[3].default_value, Config{2}) << "the replicas that are up";
  EXPECT_EQ(s.knobs[4].default_value, Config{1});
  EXPECT_EQ(s.knobs[0].scale, Scale::kLog);
  EXPECT_EQ(s.protective[0], (Protective{{"gap", -1}, {"tpot", -1}, {"ttft", 1}}));
  EXPECT_EQ(s.knobs[1].default_value, Config{256}) << "the pool's engine option";
  EXPECT_EQ(s.knobs[2].change_class, ChangeClass::kRestart) << "that is what the knob needs";
  EXPECT_EQ(s.guardrails.limits[0].min, 512);
  EXPECT_EQ(s.guardrails.limits[0].max_delta, 2048);
  EXPECT_DOUBLE_EQ(s.guardrails.limits[1].max_delta, 101.6);
  EXPECT_EQ(s.guardrails.max_updates_per_second, 0.2);
  EXPECT_EQ(s.guardrails.reflex_updates_per_second, 2);
  EXPECT_EQ(s.window.seconds_max, 60);
  EXPECT_EQ(s.budget, 40u);
  EXPECT_EQ(s.mode, control::Mode::kApprove);
}

TEST(ScenarioToJson, the_effective_document_reads_back_the_same) {
  for (const std::string_view text :
       {kLeast, kEveryKeyScenario, kClosedLoopScenario, kEveryKeyLive, kPartlySaidLive}) {
    const std::string once = to_json(parsed(text));
    EXPECT_EQ(to_json(parsed(once)), once);
  }
}

TEST(ScenarioHash, depends_on_everything_but_name_and_seed) {
  const std::string base = scenario_hash(parsed(kLeast));
  EXPECT_EQ(base.size(), 16u);
  const auto with = [](std::string_view from, std::string_view to) {
    std::string text(kLeast);
    text.replace(text.find(from), from.size(), to);
    return scenario_hash(parsed(text));
  };
  EXPECT_EQ(with("\"least\"", "\"other\", \"seed\": 9"), base);
  EXPECT_EQ(with("\"least\"", "\"least\", \"duration_s\": 3600"), base) << "defaults are filled in";
  EXPECT_NE(with("500", "501"), base);
  EXPECT_NE(with("\"least\"", "\"least\", \"duration_s\": 3601"), base);
}

TEST(ParseScenario, all_errors_come_at_once_in_document_order) {
  std::string text(kEveryKeyScenario);
  const auto put = [&](std::string_view from, std::string_view to) {
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  };
  put("\"seed\": 7", "\"seed\": -7");
  put("\"tp\": 4", "\"tp\": 3");
  put("\"chat\": 1, \"code\": 3", "\"chta\": 1, \"code\": 3");
  put("\"tpot_ms\": 50", "\"tpot\": 50");
  put("\"min\": 256", "\"min\": 9000");
  put("main/1.batch_size", "main/2.batch_size");
  put("{\"main.prefill_token_budget\": 2048}", "{\"main.prefil_token_budget\": 2048}");
  put("\"seconds_max\": 60", "\"seconds_max\": 6");
  const auto scenario = parse_scenario(text, "a.json");
  ASSERT_FALSE(scenario.has_value());
  std::vector<std::string> paths;
  for (const auto& d : scenario.error()) paths.push_back(d.path);
  EXPECT_EQ(paths, (std::vector<std::string>{
                       "seed", "fleet.pools[0].tp", "workload[0].segments[1].mix.chta",
                       "classes.chat.tpot", "knobs.main.prefill_token_budget.max",
                       "knobs.main/2.batch_size", "guardrails.max_delta.main.prefil_token_budget",
                       "window.seconds_max"}));
  EXPECT_EQ(scenario.error()[2].hint, "did you mean \"chat\"?");
  EXPECT_EQ(scenario.error()[3].hint, "did you mean \"tpot_ms\"?");
  EXPECT_EQ(scenario.error()[6].hint, "did you mean \"main.prefill_token_budget\"?");
}

TEST(ParseScenario, a_live_target_is_kept_whole_for_its_adapter) {
  std::string text(kEveryKeyLive);
  text.replace(text.find("\"vllm\""), 6, R"("vllm", "url": "http://127.0.0.1:8000", "ring": [1])");
  const Scenario s = parsed(text);
  EXPECT_TRUE(s.live());
  EXPECT_EQ(s.target_engine, "vllm");
  EXPECT_EQ(wire::write_json(s.target),
            R"({"engine":"vllm","url":"http://127.0.0.1:8000","ring":[1]})");
  EXPECT_TRUE(s.fleet.pools.empty()) << "a live engine is what it is";
  EXPECT_TRUE(s.workloads.empty()) << "and its traffic comes by itself";
  EXPECT_TRUE(s.knobs_complete());
  ASSERT_EQ(s.knobs.size(), 2u);
  EXPECT_EQ(s.guardrails.limits[0].min, 8);
  EXPECT_EQ(s.agent.socket, "run/agent.sock");
  EXPECT_FALSE(s.agent.spawn);
  EXPECT_NE(scenario_hash(s), scenario_hash(parsed(kEveryKeyLive))) << "the target counts";
}

const std::vector<Parameter>& offered() {
  static const std::vector<Parameter> kOffered{
      {.name = "main.prefill_token_budget",
       .type = ParamType::kInt,
       .min = 128,
       .max = 8192,
       .step = 64},
      {.name = "main.batch_size", .type = ParamType::kInt, .min = 1, .max = 256},
      {.name = "main.long_prefill_threshold", .type = ParamType::kInt, .min = 0, .max = 4096},
      {.name = "main/1.prefill_token_budget",
       .type = ParamType::kInt,
       .min = 128,
       .max = 8192,
       .step = 64,
       .unit = "tokens"}};
  return kOffered;
}

TEST(Fit, what_a_live_document_leaves_out_is_the_engines_own) {
  const Scenario s = parsed(kPartlySaidLive);
  EXPECT_FALSE(s.knobs_complete());
  const auto fitted = fit(s, offered());
  ASSERT_TRUE(fitted.has_value()) << fitted.error()[0].message;
  ASSERT_EQ(fitted->knobs.size(), 3u) << "only what the document names, in its order";
  EXPECT_EQ(fitted->knobs[0].name, "main.batch_size");
  EXPECT_EQ(fitted->knobs[0].min, 1) << "the engine's";
  EXPECT_EQ(fitted->knobs[0].max, 64) << "the document's";
  EXPECT_EQ(fitted->knobs[0].type, ParamType::kInt);
  EXPECT_EQ(fitted->knobs[1].step, 128);
  EXPECT_EQ(fitted->knobs[1].scale, Scale::kLog);
  EXPECT_EQ(fitted->knobs[1].unit, "tokens");
  EXPECT_EQ(fitted->protective[0], (Protective{{"gap", -1}}));
  EXPECT_EQ(fitted->guardrails.limits[0].max, 48);
  EXPECT_EQ(fitted->guardrails.limits[0].max_delta, 8);
  EXPECT_EQ(to_json(*fitted), to_json(s)) << "the document stays what it was";
}

TEST(Fit, a_document_without_knobs_gets_all_the_engine_offers) {
  const Scenario s = parsed(R"({"schema": 1, "name": "all", "target": {"engine": "vllm"},
    "classes": {"chat": {"ttft_ms": 500}},
    "guardrails": {"max_delta": {"main.batch_size": 3}}})");
  const auto fitted = fit(s, offered());
  ASSERT_TRUE(fitted.has_value());
  EXPECT_EQ(fitted->knobs.size(), offered().size());
  EXPECT_EQ(fitted->protective.size(), offered().size());
  EXPECT_EQ(fitted->guardrails.limits[1].max_delta, 3);
}

// One mutation of what was fitted above, and the path of what is said of it.
TEST(Fit, what_the_engine_cannot_do_is_refused_with_its_place) {
  const auto refused = [](std::string_view from, std::string_view to) {
    std::string text(kPartlySaidLive);
    text.replace(text.find(from), from.size(), to);
    const auto fitted = fit(parsed(text), offered());
    EXPECT_FALSE(fitted.has_value()) << to;
    if (fitted) return std::string();
    EXPECT_GT(fitted.error()[0].line, 0) << fitted.error()[0].path;
    return fitted.error()[0].path + " " + fitted.error()[0].hint;
  };
  EXPECT_EQ(refused("\"max\": 64", "\"max\": 512"), "knobs.main.batch_size.max ");
  EXPECT_EQ(refused("\"max\": 64", "\"min\": 0, \"max\": 64"), "knobs.main.batch_size.min ");
  EXPECT_EQ(refused("\"max\": 64", "\"type\": \"float\""), "knobs.main.batch_size.type ");
  EXPECT_EQ(refused("\"max\": 64", "\"class\": \"restart\""), "knobs.main.batch_size.class ");
  EXPECT_EQ(refused("\"step\": 128", "\"step\": 100"), "knobs.main/1.prefill_token_budget.step ");
  EXPECT_EQ(refused("\"step\": 128", "\"min\": 150"), "knobs.main/1.prefill_token_budget.min ");
  EXPECT_EQ(refused("main.long_prefill_threshold", "main.long_prefil_threshold"),
            "knobs.main.long_prefil_threshold did you mean \"main.long_prefill_threshold\"?");
  EXPECT_EQ(refused("[8, 48]", "[8, 100]"), "guardrails.bounds.main.batch_size[1] ");
  EXPECT_EQ(refused("\"max\": 64", "\"class\": \"forbidden\", \"max\": 4e9"),
            "knobs.main.batch_size.max ");
}

// What ships must be valid, and its trace files must be where it says.
TEST(ShippedScenarios, all_are_valid_and_name_themselves) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "scenarios")) {
    if (entry.path().extension() != ".json") continue;
    const Scenario s = parsed(text_of(entry.path()), entry.path());
    EXPECT_EQ(s.name, entry.path().stem().string());
    EXPECT_GT(s.knobs.size(), 0u) << s.name;
    EXPECT_TRUE(s.knobs.contains(s.knobs.default_config())) << s.name;
    for (const workload::Spec& spec : s.workloads) {
      const auto* trace = std::get_if<workload::TraceSource>(&spec.source);
      if (trace == nullptr) continue;
      EXPECT_TRUE(std::filesystem::exists(s.folder / trace->path)) << s.name;
    }
    EXPECT_EQ(scenario_hash(parsed(to_json(s))), scenario_hash(s)) << s.name;
    names.push_back(s.name);
  }
  std::sort(names.begin(), names.end());
  for (const char* name : {"azure-day", "mix-migration", "overload", "steady"}) {
    EXPECT_TRUE(std::binary_search(names.begin(), names.end(), name)) << name;
  }
}

TEST(ShippedScenarios, sample_traces_stay_small) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "scenarios/data")) {
    if (entry.path().extension() == ".csv") bytes += entry.file_size();
  }
  EXPECT_LE(bytes, 200'000u);
}

}  // namespace
}  // namespace arqon::documents
