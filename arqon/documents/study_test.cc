#include "arqon/documents/study.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "arqon/documents/example_test_documents.h"
#include "arqon/wire/json.h"

namespace arqon::documents {
namespace {

constexpr std::string_view kServing = R"({"seed": 42, "budget": 10000, "bounds": {
  "batch_size": {"min": 1, "max": 64, "scale": "Log"},
  "max_wait_ms": {"min": 10, "max": 500}}})";

StudyDocument parsed(std::string_view text) {
  auto study = parse_study(text);
  if (!study) {
    for (const auto& d : study.error()) ADD_FAILURE() << wire::to_string(d, "study");
    return {};
  }
  return std::move(*study);
}

std::vector<solver::Trial> told(std::string_view text, const solver::StudyConfig& config) {
  auto trials = parse_results(text, config);
  if (!trials) {
    for (const auto& d : trials.error()) ADD_FAILURE() << wire::to_string(d, "results");
    return {};
  }
  return std::move(*trials);
}

TEST(ParseStudy, the_serving_example_needs_only_bounds) {
  const StudyDocument study = parsed(kServing);
  EXPECT_EQ(study.config.seed, 42u);
  EXPECT_EQ(study.config.budget, 10000u);
  EXPECT_TRUE(study.config.maximize_value);
  EXPECT_FALSE(study.config.objective.has_value());
  EXPECT_FALSE(study.guardrails.has_value());
  EXPECT_EQ(study.config.probe_ratio, 0.2);
  EXPECT_EQ(study.config.strategy, "auto");
  ASSERT_EQ(study.config.space.size(), 2u);
  const Parameter& batch = study.config.space[0];
  EXPECT_EQ(batch.name, "batch_size");
  EXPECT_EQ(batch.scale, Scale::kLog);
  EXPECT_EQ(batch.type, ParamType::kFloat);
  EXPECT_EQ(batch.min, 1);
  EXPECT_EQ(batch.max, 64);
  EXPECT_EQ(study.config.space[1].scale, Scale::kLinear);

  const StudyDocument least = parsed(R"({"bounds": {"x": {"min": 0, "max": 1}}})");
  EXPECT_EQ(least.config.seed, 0u);
  EXPECT_FALSE(least.config.budget.has_value());
}

TEST(ParseStudy, reads_every_key) {
  const StudyDocument study = parsed(kEveryKeyStudy);
  const solver::StudyConfig& config = study.config;
  ASSERT_TRUE(config.objective.has_value());
  EXPECT_TRUE(config.objective->minimize);
  ASSERT_EQ(config.constraints.size(), 2u);
  EXPECT_EQ(config.constraints[0].min, 0.99);
  EXPECT_EQ(config.constraints[1].max, 200);
  EXPECT_EQ(config.strategy, "sobol");
  ASSERT_EQ(config.space.size(), 6u);
  EXPECT_EQ(config.space[0].scale, Scale::kLog);
  EXPECT_EQ(config.space[0].step, 64);
  EXPECT_EQ(config.space[0].unit, "tokens");
  EXPECT_EQ(config.space[2].scale, Scale::kPeriodic);
  EXPECT_EQ(config.space[3].default_value, Config{1});
  EXPECT_EQ(config.space[4].default_value, Config{1});
  EXPECT_EQ(config.space[4].change_class, ChangeClass::kRestart);
  EXPECT_EQ(config.space[5].default_value, (Config{0.25, 0.75}));
  EXPECT_TRUE(config.space.contains(config.space.default_config()));
}

TEST(ParseStudy, a_direction_may_turn_the_value_round) {
  EXPECT_FALSE(parsed(R"({"direction": "minimize", "bounds": {"x": {"min": 0, "max": 1}}})")
                   .config.maximize_value);
}

TEST(Guardrails, a_step_left_out_is_a_tenth_of_the_range_and_at_least_one_step) {
  const StudyDocument study = parsed(kEveryKeyStudy);
  ASSERT_TRUE(study.guardrails.has_value());
  const auto& limits = study.guardrails->limits;
  ASSERT_EQ(limits.size(), 6u);
  EXPECT_EQ(limits[0].max_delta, 1024);
  EXPECT_EQ(limits[0].min, 256);
  EXPECT_EQ(limits[1].min, 1);
  EXPECT_EQ(limits[1].max, 4);
  EXPECT_DOUBLE_EQ(limits[1].max_delta, 0.3);
  EXPECT_DOUBLE_EQ(limits[2].max_delta, 2.4);
  EXPECT_EQ(limits[3].max_delta, 2) << "any category is one step from any other";
  EXPECT_EQ(limits[4].max_delta, 1);
  EXPECT_DOUBLE_EQ(limits[5].max_delta, 0.1);
  EXPECT_EQ(study.guardrails->max_updates_per_second, 0.2);
  EXPECT_EQ(study.guardrails->reflex_updates_per_second, 4);
}

TEST(Guardrails, the_serving_example_is_positional) {
  const Space space = parsed(kServing).config.space;
  const auto guardrails = parse_guardrails(
      R"({"bounds": [[1, 64], [10, 500]], "max_delta": [8, 100], "max_updates_per_second": 1.0})",
      space);
  ASSERT_TRUE(guardrails.has_value());
  EXPECT_EQ(guardrails->limits[0].max_delta, 8);
  EXPECT_EQ(guardrails->limits[1].min, 10);
  EXPECT_EQ(guardrails->limits[1].max_delta, 100);
  EXPECT_EQ(guardrails->max_updates_per_second, 1);
  EXPECT_DOUBLE_EQ(default_guardrails(space).limits[0].max_delta, 6.3);
}

TEST(ParseResults, the_serving_example_takes_one_or_many) {
  const auto config = parsed(kServing).config;
  const auto trials =
      told(R"([{"params": {"max_wait_ms": 50, "batch_size": 12.0}, "value": -1000, "cost": 60.0}])",
           config);
  ASSERT_EQ(trials.size(), 1u);
  EXPECT_EQ(trials[0].params, (Config{12, 50}));
  EXPECT_EQ(trials[0].value, -1000);
  EXPECT_EQ(trials[0].cost, 60);
  EXPECT_EQ(told(R"({"params": {"max_wait_ms": 50, "batch_size": 12}, "value": 1})", config).size(),
            1u);
  EXPECT_TRUE(told("[]", config).empty());
}

TEST(ParseResults, metrics_context_and_what_was_applied) {
  const auto config = parsed(kEveryKeyStudy).config;
  const auto trials = told(R"({
    "params": {"budget": 1024, "wait": 1.25, "phase": 3, "policy": "edf", "chunked": 0,
               "split": {"large": 0.5, "small": 0.5}},
    "applied": {"budget": 1000, "wait": 1.3, "phase": 3, "policy": "edf", "chunked": false,
                "split": {"large": 0.4, "small": 0.6}},
    "metrics": {"attainment.chat": {"value": 0.993, "n": 900, "over": 6, "lo": 0.98, "hi": 1},
                "gap_ms": 140, "dollars_per_million_good_tokens": {"value": 0.21}},
    "context": {"rate": 44.5}, "status": "ok", "t_s": 12.5, "generation": 3, "eval_id": 17})",
                           config);
  ASSERT_EQ(trials.size(), 1u);
  EXPECT_EQ(trials[0].params, (Config{1024, 1.25, 3, 2, 0, 0.5, 0.5}));
  EXPECT_EQ(*trials[0].applied, (Config{1000, 1.3, 3, 2, 0, 0.6, 0.4}));
  EXPECT_EQ(trials[0].metrics.at("attainment.chat").n, 900u);
  EXPECT_EQ(trials[0].metrics.at("attainment.chat").over, 6u);
  EXPECT_EQ(trials[0].metrics.at("gap_ms").value, 140);
  EXPECT_EQ(trials[0].context.at("rate"), 44.5);
  EXPECT_EQ(trials[0].eval_id, 17u);
}

TEST(ParseResults, a_failed_measurement_needs_no_value) {
  const auto trials =
      told(R"({"params": {"batch_size": 2, "max_wait_ms": 10}, "status": "crashed"})",
           parsed(kServing).config);
  ASSERT_EQ(trials.size(), 1u);
  EXPECT_EQ(trials[0].outcome, solver::Outcome::kCrashed);
  EXPECT_FALSE(trials[0].value.has_value());
}

TEST(ParseResults, errors_are_all_named_and_nothing_is_kept) {
  const auto config = parsed(kServing).config;
  const auto trials = parse_results(R"([
    {"params": {"batch_size": 2, "max_wait_ms": 10}, "value": 1},
    {"params": {"batch_size": 65, "max_wait": 10}, "value": "good"}])",
                                    config);
  ASSERT_FALSE(trials.has_value());
  std::vector<std::string> paths;
  for (const auto& d : trials.error()) paths.push_back(d.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"[1].params.max_wait_ms", "[1].params.batch_size",
                                             "[1].params.max_wait", "[1].value"}));
  EXPECT_EQ(trials.error()[2].hint, "did you mean \"max_wait_ms\"?");
  EXPECT_EQ(trials.error()[1].line, 3);
}

TEST(ParseResults, a_value_told_to_a_study_with_an_objective_is_an_error) {
  const auto config = parsed(R"({"objective": {"metric": "cost", "direction": "minimize"},
      "bounds": {"x": {"min": 0, "max": 1}}})")
                          .config;
  const auto trials = parse_results(R"({"params": {"x": 0.5}, "value": 3})", config);
  ASSERT_FALSE(trials.has_value());
  ASSERT_EQ(trials.error().size(), 2u);
  EXPECT_EQ(trials.error()[0].path, "metrics");
  EXPECT_EQ(trials.error()[1].path, "value");
}

TEST(ParamsToJson, types_do_not_change_with_the_value) {
  const Space space = parsed(kEveryKeyStudy).config.space;
  EXPECT_EQ(params_to_json(space, {1024, 2, 3.5, 1, 1, 0.25, 0.75}),
            R"({"budget":1024,"wait":2.0,"phase":3.5,"policy":"sjf","chunked":true,)"
            R"("split":{"small":0.25,"large":0.75}})");
  EXPECT_EQ(*parse_params(params_to_json(space, space.default_config()), space),
            space.default_config());
}

TEST(StudyToJson, the_effective_document_reads_back_the_same) {
  for (const std::string_view text : {kServing, kEveryKeyStudy}) {
    const std::string once = to_json(parsed(text));
    EXPECT_EQ(to_json(parsed(once)), once);
  }
}

RC_GTEST_PROP(TrialToJson, parse_results_reads_back_what_was_written, ()) {
  const auto config = parsed(kEveryKeyStudy).config;
  std::vector<double> unit;
  for (std::size_t i = 0; i < config.space.slots(); ++i) {
    unit.push_back(*rc::gen::inRange(0, 1000001) / 1e6);
  }
  solver::Trial trial{.params = config.space.decode(unit)};
  trial.applied = config.space.default_config();
  trial.outcome = static_cast<solver::Outcome>(*rc::gen::inRange(0, 4));
  trial.cost = *rc::gen::inRange(0, 1000) / 7.0;
  trial.metrics["attainment.chat"] = {
      .value = *rc::gen::inRange(0, 1000) / 999.0, .n = 10, .over = 3};
  trial.metrics["gap_ms"] = {.value = 3, .lo = 1.5, .hi = 1e300};
  trial.metrics["dollars_per_million_good_tokens"] = {.value = 0.1};
  trial.context["rate"] = 1.0 / 3;
  trial.eval_id = 4;
  const auto again = parse_results(to_json(config.space, trial), config);
  RC_ASSERT(again.has_value());
  RC_ASSERT(again->size() == 1u);
  RC_ASSERT((*again)[0].params == trial.params);
  RC_ASSERT(to_json(config.space, (*again)[0]) == to_json(config.space, trial));
}

guard::Guardrails read_rails(const std::string& rails, const Space& space) {
  const auto read = parse_guardrails(rails, space);
  EXPECT_TRUE(read.has_value()) << (read ? "" : wire::to_string(read.error().front(), "rails"));
  return read.value_or(guard::Guardrails{});
}

std::string rails_error(const std::string& rails, const Space& space) {
  const auto read = parse_guardrails(rails, space);
  return read ? "" : wire::to_string(read.error().front(), "rails");
}

Space two_knobs() {
  return Space({{.name = "main.a", .type = ParamType::kInt, .min = 1, .max = 100},
                {.name = "main.b", .min = 10, .max = 500}});
}

TEST(ParseGuardrails, a_preset_fills_in_and_what_is_written_wins) {
  const guard::Guardrails g = read_rails(
      R"({"preset": "conservative", "max_delta": {"main.b": 100}, "window_s": 30})", two_knobs());
  EXPECT_DOUBLE_EQ(g.limits[0].max_delta, 0.05 * 99);
  EXPECT_EQ(g.limits[1].max_delta, 100);
  EXPECT_EQ(g.limits[1].max_rise, 0);
  EXPECT_EQ(g.limits[0].flips, 2U);
  EXPECT_EQ(g.window_s, 30);
  EXPECT_EQ(g.max_updates_per_second, 0.1);
  EXPECT_EQ(g.failures_per_hour, 3U);
}

TEST(ParseGuardrails, every_limit_is_read_by_name_or_position) {
  const guard::Guardrails g = read_rails(R"({
      "max_ratio": {"main.a": 2}, "max_rise": [null, 20], "travel": [50, 100], "flips": [3, null],
      "dwell_s": {"main.b": 5}, "jump": {"main.a": "down"}, "owner": {"main.b": "planner"},
      "cool_down_s": 60, "failures_per_hour": 4, "unproven_share": 0.05, "unproven_domains": 1,
      "spare_replicas": 2})",
                                         two_knobs());
  EXPECT_EQ(g.limits[0].max_ratio, 2);
  EXPECT_EQ(g.limits[1].max_rise, 20);
  EXPECT_EQ(g.limits[1].travel, 100);
  EXPECT_EQ(g.limits[0].flips, 3U);
  EXPECT_EQ(g.limits[1].dwell_s, 5);
  EXPECT_EQ(g.limits[0].protective, -1);
  EXPECT_EQ(g.limits[1].owner, guard::Owner::kPlanner);
  EXPECT_EQ(g.cool_down_s, 60);
  EXPECT_EQ(g.failures_per_hour, 4U);
  EXPECT_EQ(g.blast.share, 0.05);
  EXPECT_EQ(g.blast.domains, 1U);
  EXPECT_EQ(g.blast.spare, 2U);
}

TEST(ParseGuardrails, constraints_are_sums_of_weighted_knobs_and_products) {
  const guard::Guardrails g = read_rails(
      R"({"constraints": ["2 * main.a + main.b <= 600", "main.b >= main.a * main.b - 5 + 1"]})",
      two_knobs());
  ASSERT_EQ(g.constraints.size(), 2U);
  const auto sum = [](const guard::Constraint& c, double a, double b) {
    const std::array values{a, b};
    double out = 0;
    for (const auto& t : c.terms) {
      out += t.weight * values[t.slot] * (t.times == guard::Constraint::kOne ? 1 : values[t.times]);
    }
    return out - c.limit;
  };
  EXPECT_EQ(sum(g.constraints[0], 50, 500), 0);
  EXPECT_GT(sum(g.constraints[0], 51, 500), 0);
  // b >= a b - 4, so a b - b - 4 <= 0
  EXPECT_EQ(sum(g.constraints[1], 2, 10), 6);
  EXPECT_EQ(sum(g.constraints[1], 1, 10), -4);
}

TEST(ParseGuardrails, a_constraint_that_means_nothing_names_the_word) {
  const auto error = [](const std::string& text) {
    return rails_error("{\"constraints\": [\"" + text + "\"]}", two_knobs());
  };
  EXPECT_EQ(error("main.a <= 5"), "");
  EXPECT_NE(error("main.a < 5").find("<= or >="), std::string::npos);
  EXPECT_NE(error("main.c <= 5").find("main.c"), std::string::npos);
  EXPECT_NE(error("main.c <= 5").find("did you mean"), std::string::npos);
  EXPECT_NE(error("main.a * 5 <= 5").find("is no parameter"), std::string::npos);
  EXPECT_NE(error("1 <= 5").find("names no parameter"), std::string::npos);
  EXPECT_NE(error("main.a <= 5 main.b").find("what is"), std::string::npos);
  EXPECT_NE(error("main.a +").find("is no parameter"), std::string::npos);
  EXPECT_NE(error("main.a <= 1e999"), "");
}

TEST(ParseGuardrails, what_is_written_comes_back_as_it_was) {
  const std::string study = R"({"bounds": {"main.a": {"min": 1, "max": 100, "type": "int"},
      "main.b": {"min": 10, "max": 500}}, "guardrails": {"preset": "balanced", "max_ratio": [2, null],
      "jump": {"main.a": "up"}, "owner": {"main.b": "human"}, "constraints": ["main.a <= 64"],
      "spare_replicas": 1}})";
  const auto first = parse_study(study);
  ASSERT_TRUE(first.has_value());
  const std::string written = to_json(*first);
  const auto second = parse_study(written);
  ASSERT_TRUE(second.has_value()) << wire::to_string(second.error().front(), "written");
  EXPECT_EQ(to_json(*second), written);
  EXPECT_EQ(second->guardrails->limits[0].max_ratio, 2);
  EXPECT_EQ(second->guardrails->limits[0].travel, first->guardrails->limits[0].travel);
  EXPECT_EQ(second->guardrails->constraints.size(), 1U);
}

}  // namespace
}  // namespace arqon::documents
