#include "arqon/documents/malformed_test_cases.h"

#include <string_view>

#include "arqon/base/assert.h"
#include "arqon/documents/example_test_documents.h"

namespace arqon::documents {
namespace {

struct Edit {
  const char* name;
  const char* from;  // first occurrence in the base document ...
  const char* to;    // ... becomes this
  const char* path;
  const char* at = "";
  const char* hint = "";
};

MalformedCase mutate(std::string_view base, const Edit& edit) {
  std::string text(base);
  const std::size_t where = text.find(edit.from);
  ARQON_ASSERT(where != std::string::npos);
  text.replace(where, std::string_view(edit.from).size(), edit.to);
  return {edit.name, std::move(text), edit.path, edit.at, edit.hint};
}

std::string repeated(std::string_view piece, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += piece;
  return out;
}

// What is wrong with any document, whatever it is about.
void add_broken_text(std::string_view base, std::vector<MalformedCase>& out) {
  const std::string text(base);
  const std::string inside = text.substr(1);
  out.push_back({"empty", "", "", "", ""});
  out.push_back({"blank", " \n\t ", "", "", ""});
  out.push_back({"truncated", text.substr(0, text.size() / 2), "", "", ""});
  out.push_back({"last_brace_missing", text.substr(0, text.size() - 1), "", "", ""});
  out.push_back({"trailing_text", text + " x", "", "", ""});
  out.push_back({"two_documents", text + "\n" + text, "", "", ""});
  out.push_back({"trailing_comma", text.substr(0, text.size() - 1) + ",}", "", "", ""});
  out.push_back({"single_quotes", "{'schema': 1," + inside, "", "'schema'", ""});
  out.push_back({"comment", "// " + text, "", "// ", ""});
  out.push_back({"array_at_the_top", "[" + text + "]", "", "[{", ""});
  out.push_back({"string_at_the_top", "\"scenario\"", "", "\"scenario\"", ""});
  out.push_back({"null_at_the_top", "null", "", "null", ""});
  out.push_back({"duplicate_key", "{\"twin\": 1, \"twin\": 2," + inside, "twin", "", ""});
  out.push_back({"invalid_utf8", "{\"\xC3\x28\": 1," + inside, "", "", ""});
  out.push_back({"overlong_utf8", "{\"\xC0\xAF\": 1," + inside, "", "", ""});
  out.push_back({"utf16", std::string("\xFF\xFE{\0}\0", 6), "", "", ""});
  out.push_back({"zero_byte", text + std::string("\0", 1), "", "", ""});
  out.push_back({"control_character", "{\"a\tb\": 1," + inside, "", "", ""});
  out.push_back({"half_surrogate", "{\"\\ud800\": 1," + inside, "", "", ""});
  out.push_back({"deep_arrays", "{\"deep\": " + repeated("[", 20000), "", "", ""});
  out.push_back({"deep_objects", repeated("{\"a\":", 10000), "", "", ""});
  out.push_back({"unknown_key", "{\"sede\": 1," + inside, "sede", "\"sede\"", "seed"});
}

// Too large to keep as files: size and number of values beyond their bounds, very many unknown
// keys.
void add_huge(std::string_view base, std::vector<MalformedCase>& out) {
  const std::string inside(base.substr(1));
  out.push_back({"huge_text", std::string(9u << 20, ' ') + std::string(base), "", "", ""});
  out.push_back(
      {"huge_array", "{\"sede\": [0" + repeated(",0", 300'000) + "]," + inside, "", "", ""});
  std::string keys = "{";
  for (int i = 0; i < 40'000; ++i) keys += "\"key_" + std::to_string(i) + "\":0,";
  out.push_back({"huge_number_of_keys", keys + inside, "key_0", "\"key_0\"", ""});
  out.push_back(
      {"huge_string", "{\"" + std::string(1u << 20, 'x') + "\": 0," + inside, "", "", ""});
  // Each list longer than it may be: what each entry would cost must not be paid.
  std::string objects, members;
  for (int i = 0; i < 20'000; ++i) {
    const std::string n = std::to_string(i);
    objects += (i > 0 ? ",{\"name\":\"" : "{\"name\":\"") + n + "\"}";
    members += (i > 0 ? ",\"" : "\"") + n + "\":{}";
  }
  out.push_back({"huge_lists",
                 "{\"constraints\": [" + objects + "], \"bounds\": {" + members +
                     "}, \"fleet\": {\"pools\": [" + objects + "]}, \"classes\": {" + members +
                     "}, \"knobs\": {" + members + "}}",
                 "", "", ""});
}

constexpr Edit kStudyEdits[] = {
    {"seed_negative", "\"seed\": 9", "\"seed\": -9", "seed", "-9"},
    {"seed_fraction", "\"seed\": 9", "\"seed\": 9.5", "seed", "9.5"},
    {"seed_too_large", "\"seed\": 9", "\"seed\": 1e30", "seed"},
    {"seed_overflow", "\"seed\": 9", "\"seed\": 1e999", "seed", "1e999"},
    {"seed_text", "\"seed\": 9", "\"seed\": \"9\"", "seed", "\"9\""},
    {"schema_unknown", "\"schema\": 1", "\"schema\": 2", "schema"},
    {"budget_zero", "\"budget\": 50", "\"budget\": 0", "budget"},
    {"budget_nan", "\"budget\": 50", "\"budget\": NaN", "budget", "NaN"},
    {"probe_ratio_above_one", "\"probe_ratio\": 0.3", "\"probe_ratio\": 1.5", "probe_ratio"},
    {"strategy_unknown", "\"sobol\"", "\"sobel\"", "strategy", "\"sobel\"", "sobol"},
    {"direction_beside_objective", "\"seed\": 9", "\"direction\": \"minimize\"", "direction",
     "\"direction\""},
    {"direction_unknown", "\"direction\": \"minimize\"", "\"direction\": \"down\"",
     "objective.direction"},
    {"objective_without_metric", "\"metric\": \"dollars_per_million_good_tokens\", ", "",
     "objective.metric"},
    {"objective_misspelled", "\"objective\"", "\"objectiv\"", "objectiv", "\"objectiv\"",
     "objective"},
    {"constraint_without_bound", ", \"min\": 0.99}", "}", "constraints[0]"},
    {"constraint_min_above_max", "\"min\": 0.99}", "\"min\": 0.99, \"max\": 0.5}",
     "constraints[0].max"},
    {"constraint_twice", "\"gap_ms\"", "\"attainment.chat\"", "constraints[1].metric"},
    {"constraint_infinite", "\"max\": 200", "\"max\": Infinity", "constraints[1].max", "Infinity"},
    {"bounds_empty", "\"budget\": {\"min\": 256", "\"x\": {\"mni\": 256", "bounds.x.min"},
    {"min_equals_max", "\"min\": 256", "\"min\": 8192", "bounds.budget.max"},
    {"min_above_max", "\"min\": 256", "\"min\": 8193", "bounds.budget.max"},
    {"log_from_zero", "\"min\": 256", "\"min\": 0", "bounds.budget.min", "0, \"max\": 8192"},
    {"log_from_below_zero", "\"min\": 256", "\"min\": -1", "bounds.budget.min"},
    {"min_missing", "\"min\": 256, ", "", "bounds.budget.min"},
    {"max_nan", "\"max\": 8192", "\"max\": NaN", "bounds.budget.max", "NaN"},
    {"max_negative_infinity", "\"max\": 8192", "\"max\": -Infinity", "bounds.budget.max"},
    {"max_overflow", "\"max\": 8.0", "\"max\": 1e999", "bounds.wait.max", "1e999"},
    {"range_overflow", "\"min\": 0.5, \"max\": 8.0", "\"min\": -1.7e308, \"max\": 1.7e308",
     "bounds.wait.max"},
    {"int_with_fraction", "\"min\": 256", "\"min\": 256.5", "bounds.budget.min"},
    {"scale_unknown", "\"lOG\"", "\"lag\"", "bounds.budget.scale", "\"lag\"", "Log"},
    {"type_unknown", "\"type\": \"int\"", "\"type\": \"integer\"", "bounds.budget.type"},
    {"step_zero", "\"step\": 64", "\"step\": 0", "bounds.budget.step"},
    {"step_negative", "\"step\": 0.25", "\"step\": -0.25", "bounds.wait.step"},
    {"step_wider_than_range", "\"step\": 64", "\"step\": 10000", "bounds.budget.step"},
    {"step_fraction_of_an_int", "\"step\": 64", "\"step\": 0.5", "bounds.budget.step"},
    {"step_too_fine", "\"step\": 0.25", "\"step\": 1e-300", "bounds.wait.step"},
    {"default_outside", "\"default\": 8192", "\"default\": 8193", "bounds.budget.default"},
    {"default_off_the_grid", "\"default\": 8192", "\"default\": 1000", "bounds.budget.default", "",
     "1024"},
    {"default_unknown_choice", "\"default\": \"sjf\"", "\"default\": \"sjg\"",
     "bounds.policy.default", "\"sjg\"", "sjf"},
    {"default_sum_not_one", "\"small\": 0.25", "\"small\": 0.5", "bounds.split.default"},
    {"default_part_missing", "\"small\": 0.25, ", "", "bounds.split.default.small"},
    {"class_unknown", "\"class\": \"live\"", "\"class\": \"life\"", "bounds.budget.class",
     "\"life\"", "live"},
    {"unit_empty", "\"unit\": \"tokens\"", "\"unit\": \"\"", "bounds.budget.unit"},
    {"key_of_a_parameter_unknown", "\"unit\"", "\"units\"", "bounds.budget.units", "\"units\"",
     "unit"},
    {"choices_missing", "\"choices\": [\"fcfs\", \"sjf\", \"edf\"], ", "", "bounds.policy.choices"},
    {"choices_empty", "[\"fcfs\", \"sjf\", \"edf\"]", "[]", "bounds.policy.choices"},
    {"choices_twice", "\"edf\"]", "\"sjf\"]", "bounds.policy.choices[2]"},
    {"choices_of_numbers", "\"edf\"]", "3]", "bounds.policy.choices[2]"},
    {"categorical_with_min", "\"type\": \"categorical\"", "\"type\": \"categorical\", \"min\": 0",
     "bounds.policy.min", "\"min\": 0, \"choices\""},
    {"bool_with_choices", "\"type\": \"bool\"", "\"type\": \"bool\", \"choices\": [\"a\", \"b\"]",
     "bounds.chunked.choices"},
    {"guardrail_of_an_unknown_name", "\"max_delta\": {\"budget\"", "\"max_delta\": {\"bugdet\"",
     "guardrails.max_delta.bugdet", "\"bugdet\"", "budget"},
    {"guardrails_too_short", "{\"budget\": 1024}", "[1024]", "guardrails.max_delta", "[1024]"},
    {"guardrails_too_long", "{\"budget\": 1024}", "[1, 1, 1, 1, 1, 1, 1]", "guardrails.max_delta"},
    {"guardrail_step_zero", "{\"budget\": 1024}", "{\"budget\": 0}", "guardrails.max_delta.budget"},
    {"guardrail_step_below_the_grid", "{\"budget\": 1024}", "{\"budget\": 63}",
     "guardrails.max_delta.budget"},
    {"guardrail_bounds_outside", "\"wait\": [1, 4]", "\"wait\": [1, 9]",
     "guardrails.bounds.wait[1]"},
    {"guardrail_bounds_reversed", "\"wait\": [1, 4]", "\"wait\": [4, 1]", "guardrails.bounds.wait"},
    {"guardrail_bounds_of_one", "\"wait\": [1, 4]", "\"wait\": [4]", "guardrails.bounds.wait"},
    {"guardrail_rate_zero", "\"max_updates_per_second\": 0.2", "\"max_updates_per_second\": 0",
     "guardrails.max_updates_per_second"},
    {"guardrail_rate_overflow", "\"max_updates_per_second\": 0.2",
     "\"max_updates_per_second\": 1e999", "guardrails.max_updates_per_second"},
    {"guardrail_key_unknown", "\"max_delta\"", "\"max_deltas\"", "guardrails.max_deltas",
     "\"max_deltas\"", "max_delta"},
};

constexpr Edit kScenarioEdits[] = {
    {"schema_missing", "\"schema\": 1, ", "", "schema"},
    {"schema_unknown", "\"schema\": 1", "\"schema\": 99", "schema", "99"},
    {"name_missing", "\"name\": \"every.key_1\", ", "", "name"},
    {"name_empty", "\"every.key_1\"", "\"\"", "name"},
    {"name_leaves_its_folder", "\"every.key_1\"", "\"../up\"", "name", "\"../up\""},
    {"seed_negative", "\"seed\": 7", "\"seed\": -7", "seed", "-7"},
    {"duration_zero", "\"duration_s\": 600", "\"duration_s\": 0", "duration_s"},
    {"duration_nan", "\"duration_s\": 600", "\"duration_s\": NaN", "duration_s", "NaN"},
    {"duration_endless", "\"duration_s\": 600", "\"duration_s\": 1e12", "duration_s"},
    {"measure_unknown", "\"cost\"", "\"costs\"", "measure", "\"costs\"", "cost"},
    {"gain_expected_text", "\"gain_expected\": false", "\"gain_expected\": \"no\"",
     "gain_expected"},
    {"target_unknown", "\"simulated\"", "\"Simulated\"", "target.engine"},
    {"target_key_of_no_engine", "{\"engine\": \"simulated\"}",
     "{\"engine\": \"simulated\", \"url\": \"http://a\"}", "target.url", "\"url\""},
    {"agent_of_the_twin", "\"mode\": \"approve\"", "\"agent\": {}, \"mode\": \"approve\"", "agent"},
    {"mode_unknown", "\"approve\"", "\"aprove\"", "mode", "\"aprove\"", "approve"},
    {"budget_zero", "\"budget\": 40", "\"budget\": 0", "budget"},
    {"fleet_missing", "\"fleet\"", "\"flet\"", "fleet"},
    {"pools_empty_list", "\"pools\": [", "\"pools\": [], \"pool\": [", "fleet.pools"},
    {"pool_name_missing", "\"name\": \"small\", ", "", "fleet.pools[1].name"},
    {"pool_name_twice", "\"name\": \"small\"", "\"name\": \"main\"", "fleet.pools[1].name"},
    {"pool_name_with_a_dot", "\"name\": \"small\"", "\"name\": \"sm.all\"", "fleet.pools[1].name"},
    {"pool_name_router", "\"name\": \"small\"", "\"name\": \"router\"", "fleet.pools[1].name"},
    {"model_unknown", "\"llama-3.1-8b\"", "\"llama-3.1-9b\"", "fleet.pools[1].model",
     "\"llama-3.1-9b\"", "llama-3.1-8b"},
    {"gpu_unknown", "\"a100-sxm-80g\"", "\"a100\"", "fleet.pools[1].gpu", "\"a100\"",
     "a100-sxm-80g"},
    {"gpu_missing", ", \"gpu\": \"a100-sxm-80g\"", "", "fleet.pools[1].gpu"},
    {"tp_three", "\"tp\": 4", "\"tp\": 3", "fleet.pools[0].tp"},
    {"dtype_that_the_gpu_lacks", "\"h100-sxm-80g\"", "\"a100-sxm-80g\"", "fleet.pools[0].dtype",
     "\"fp8\""},
    {"dtype_unknown", "\"fp8\"", "\"fp16\"", "fleet.pools[0].dtype"},
    {"replicas_zero", "\"replicas\": 2", "\"replicas\": 0", "fleet.pools[0].replicas"},
    {"weights_larger_than_memory", "\"tp\": 4, \"dtype\": \"fp8\"", "\"tp\": 1, \"dtype\": "
                                                                    "\"bf16\"",
     "fleet.pools[0].tp", "1, \"dtype\": \"bf16\""},
    {"nothing_left_to_the_cache", "\"tp\": 4, \"dtype\": \"fp8\"", "\"tp\": 1, \"dtype\": \"fp8\"",
     "fleet.pools[0].tp"},
    {"tp_that_does_not_divide_the_heads", "\"tp\": 4", "\"tp\": 6", "fleet.pools[0].tp"},
    {"block_size_of_no_kernel", "\"block_size\": 32", "\"block_size\": 20",
     "fleet.pools[0].engine.block_size"},
    {"block_size_beyond_the_kernels", "\"block_size\": 32", "\"block_size\": 512",
     "fleet.pools[0].engine.block_size"},
    {"prompt_of_a_billion_tokens", "\"prompt_tokens\": [10, 20]",
     "\"prompt_tokens\": [10, 1000000000]", "workload[0].lengths.code.prompt_tokens[1]"},
    {"length_nan", "\"output_tokens\": [5, 6]", "\"output_tokens\": [NaN, 6]",
     "workload[0].lengths.code.output_tokens[0]", "NaN"},
    {"duration_negative", "\"duration_s\": 600", "\"duration_s\": -600", "duration_s"},
    {"replicas_huge", "\"replicas\": 2", "\"replicas\": 1000000", "fleet.pools[0].replicas"},
    {"price_negative", "\"price_per_gpu_hour\": 1.5", "\"price_per_gpu_hour\": -1",
     "fleet.pools[0].price_per_gpu_hour"},
    {"pool_quality_above_one", "\"quality\": 0.9", "\"quality\": 9", "fleet.pools[0].quality"},
    {"scheduler_unknown", "\"vllm-v1\"", "\"vllm-v0\"", "fleet.pools[0].engine.scheduler"},
    {"batch_size_zero", "\"batch_size\": 256", "\"batch_size\": 0",
     "fleet.pools[0].engine.batch_size"},
    {"memory_above_one", "\"gpu_memory_utilization\": 0.9", "\"gpu_memory_utilization\": 1.1",
     "fleet.pools[0].engine.gpu_memory_utilization"},
    {"engine_key_unknown", "\"block_size\": 32", "\"blocksize\": 32",
     "fleet.pools[0].engine.blocksize", "\"blocksize\"", "block_size"},
    {"policy_unknown", "\"policy\": \"weighted\"", "\"policy\": \"least_requests\"",
     "fleet.router.policy"},
    {"weights_too_short", "[1, 1, 1, 2]", "[1, 1]", "fleet.router.weights"},
    {"weights_all_zero", "[1, 1, 1, 2]", "[0, 0, 0, 0]", "fleet.router.weights"},
    {"weights_negative", "[1, 1, 1, 2]", "[1, -1, 1, 2]", "fleet.router.weights[1]"},
    {"pool_weights_too_long", "[3, 1]", "[3, 1, 1]", "fleet.router.pool_weights"},
    {"spill_depth_beside_pool_weights", "\"pool_weights\": [3, 1]",
     "\"pool_weights\": [3, 1], \"spill_depth\": 4", "fleet.router.spill_depth",
     "\"spill_depth\""},
    {"cascade_of_one_pool", "\"pool_weights\": [3, 1]",
     "\"cascade\": {\"small\": \"main\", \"large\": \"main\"}", "fleet.router.cascade.large"},
    {"cascade_of_no_pool", "\"pool_weights\": [3, 1]",
     "\"cascade\": {\"small\": \"smal\", \"large\": \"main\"}", "fleet.router.cascade.small",
     "\"smal\"", "small"},
    {"cascade_share_above_one", "\"pool_weights\": [3, 1]",
     "\"cascade\": {\"small\": \"small\", \"large\": \"main\", \"hard_share\": 30}",
     "fleet.router.cascade.hard_share"},
    {"replicas_max_below_replicas", "\"replicas_max\": 3", "\"replicas_max\": 1",
     "fleet.pools[0].replicas_max"},
    {"nobody_left_to_decode", "\"prefill_replicas\": 1", "\"prefill_replicas\": 2",
     "fleet.pools[0].prefill_replicas"},
    {"event_unknown", "\"throttle\"", "\"trottle\"", "fleet.events[0].event", "\"trottle\"",
     "throttle"},
    {"event_of_no_pool", "\"replica\": \"small\"", "\"replica\": \"smal\"",
     "fleet.events[1].replica", "\"smal\"", "small"},
    {"event_of_no_replica", "\"replica\": \"main/1\"", "\"replica\": \"main/3\"",
     "fleet.events[0].replica"},
    {"event_speed_zero", "\"speed\": 0.5", "\"speed\": 0", "fleet.events[0].speed"},
    {"event_speed_of_a_failure", "\"event\": \"throttle\"", "\"event\": \"fail\"",
     "fleet.events[0].speed", "\"speed\""},
    {"events_unsorted", "{\"at_s\": 10", "{\"at_s\": 30", "fleet.events[1].at_s"},
    {"kv_link_too_slow", "\"gb_per_s\": 25", "\"gb_per_s\": 0", "fleet.kv_transfer.gb_per_s"},
    {"retries_negative", "\"retries\": 2", "\"retries\": -1", "workload[0].retries"},
    {"diurnal_swing_below_one", "\"swing\": 4", "\"swing\": 0.4", "workload[0].diurnal.swing"},
    {"spike_factor_turned_round", "\"factor\": [2, 4]", "\"factor\": [4, 2]",
     "workload[0].spikes.factor"},
    {"session_kind_unknown", "\"agent\"", "\"agents\"", "workload[0].sessions.kind", "\"agents\"",
     "agent"},
    {"clients_of_another_generator", "\"cv\": 3", "\"clients\": 3",
     "workload[0].source.clients", "\"clients\""},
    {"lesser_share_without_quality", "\"quality\": 0.8, ", "", "classes.chat.lesser_share"},
    {"replicas_knob_beyond_the_pool", "{\"min\": 1, \"max\": 3, \"type\": \"int\"}",
     "{\"min\": 1, \"max\": 4, \"type\": \"int\"}", "knobs.main.replicas.max"},
    {"replicas_knob_from_zero", "{\"min\": 1, \"max\": 3, \"type\": \"int\"}",
     "{\"min\": 0, \"max\": 3, \"type\": \"int\"}", "knobs.main.replicas.min"},
    {"replicas_knob_of_one_replica", "\"main.replicas\"", "\"main/1.replicas\"",
     "knobs.main/1.replicas", "\"main/1.replicas\""},
    {"pool_weights_knob_of_the_wrong_length", "\"choices\": [\"main\", \"small\"]",
     "\"choices\": [\"main\"]", "knobs.router.pool_weights.default"},
    {"weights_without_their_policy", "\"policy\": \"weighted\", ", "", "fleet.router.weights"},
    {"state_age_negative", "\"state_age_ms\": 100", "\"state_age_ms\": -1",
     "fleet.router.state_age_ms"},
    {"noise_number", "\"noise\": false", "\"noise\": 0", "fleet.noise"},
    {"workload_missing", "\"workload\"", "\"workloads\"", "workload"},
    {"source_missing", "\"source\": {\"generator\"", "\"sauce\": {\"generator\"",
     "workload[0].source"},
    {"source_of_two_kinds", "\"trace\": \"csv\"", "\"trace\": \"csv\", \"generator\": \"poisson\"",
     "workload[1].source"},
    {"generator_unknown", "\"gamma\"", "\"gama\"", "workload[0].source.generator", "\"gama\"",
     "gamma"},
    {"rate_missing", "\"rate_per_s\": 2, ", "", "workload[0].source.rate_per_s"},
    {"rate_zero", "\"rate_per_s\": 2", "\"rate_per_s\": 0", "workload[0].source.rate_per_s"},
    {"cv_of_another_generator", "\"gamma\"", "\"poisson\"", "workload[0].source.cv", "\"cv\""},
    {"trace_format_unknown", "\"trace\": \"csv\"", "\"trace\": \"parquet\"",
     "workload[1].source.trace"},
    {"trace_path_missing", "\"path\": \"data/x.csv\", ", "", "workload[1].source.path"},
    {"trace_class_unknown", "\"class\": \"code\"", "\"class\": \"coda\"",
     "workload[1].source.class", "\"coda\"", "code"},
    {"trace_class_missing", ", \"class\": \"code\"", "", "workload[1].source.class"},
    {"trace_scale_zero", "\"scale\": 0.5", "\"scale\": 0", "workload[1].source.scale"},
    {"closed_loop_beside_others",
     "{\"trace\": \"csv\", \"path\": \"data/x.csv\", \"scale\": 0.5, \"class\": \"code\"}",
     "{\"closed_loop\": {}}", "workload[1].source.closed_loop", "{}}"},
    {"priority_unknown", "\"backfill\"", "\"offline\"", "workload[1].priority"},
    {"acceptance_above_one", "\"conditional\": 0.5", "\"conditional\": 1.5",
     "workload[0].acceptance.conditional"},
    {"draft_ms_negative", "\"per_k\": 0.2", "\"per_k\": -0.2",
     "workload[0].acceptance.draft_ms.per_k"},
    {"lengths_of_no_class", "\"segments\": [{\"at_s\": 0, \"rate\": 2}]",
     "\"lengths\": {\"chta\": {\"prompt_tokens\": [1, 2], \"output_tokens\": [1, 2]}}",
     "workload[1].lengths.chta", "\"chta\"", "chat"},
    {"lengths_upside_down", "\"segments\": [{\"at_s\": 0, \"rate\": 2}]",
     "\"lengths\": {\"chat\": {\"prompt_tokens\": [9, 2], \"output_tokens\": [1, 2]}}",
     "workload[1].lengths.chat.prompt_tokens"},
    {"lengths_half", "\"segments\": [{\"at_s\": 0, \"rate\": 2}]",
     "\"lengths\": {\"chat\": {\"prompt_tokens\": [1], \"output_tokens\": [1, 2]}}",
     "workload[1].lengths.chat.prompt_tokens"},
    {"segments_empty", "\"segments\": [{\"at_s\": 0, \"rate\": 2}]", "\"segments\": []",
     "workload[1].segments"},
    {"segment_not_at_zero", "{\"at_s\": 0, \"mix\"", "{\"at_s\": 1, \"mix\"",
     "workload[0].segments[0].at_s"},
    {"segments_out_of_order", "\"at_s\": 400", "\"at_s\": 200", "workload[0].segments[2].at_s",
     "200, \"acceptance\""},
    {"segment_after_the_end", "\"at_s\": 400", "\"at_s\": 600", "workload[0].segments[2].at_s"},
    {"segment_rate_negative", "\"rate\": 0.5", "\"rate\": -0.5", "workload[0].segments[1].rate"},
    {"mix_of_an_unknown_class", "\"chat\": 1, \"code\": 3", "\"chta\": 1, \"code\": 3",
     "workload[0].segments[1].mix.chta", "\"chta\"", "chat"},
    {"mix_of_nothing", "\"mix\": {\"chat\": 1}", "\"mix\": {}", "workload[0].segments[0].mix"},
    {"mix_all_zero", "\"mix\": {\"chat\": 1}", "\"mix\": {\"chat\": 0}",
     "workload[0].segments[0].mix"},
    {"mix_missing", "\"mix\": {\"chat\": 1}", "\"rate\": 1", "workload[0].segments[0]"},
    {"mix_of_a_trace", "\"rate\": 2}]", "\"mix\": {\"code\": 1}}]", "workload[1].segments[0].mix"},
    {"classes_empty", "\"classes\": {", "\"classes\": {}, \"class\": {", "classes"},
    {"limit_negative", "\"tpot_ms\": 50", "\"tpot_ms\": -50", "classes.chat.tpot_ms"},
    {"limit_unknown", "\"tpot_ms\": 50", "\"tpot\": 50", "classes.chat.tpot", "\"tpot\"",
     "tpot_ms"},
    {"ttft_base_missing", "\"base\": 300, ", "", "classes.chat.ttft_ms.base"},
    {"attainment_in_percent", "\"attainment\": 0.99", "\"attainment\": 99",
     "classes.chat.attainment", "99"},
    {"attainment_zero", "\"attainment\": 0.99", "\"attainment\": 0", "classes.chat.attainment"},
    {"class_quality_that_no_pool_has", "\"quality\": 0.8", "\"quality\": 0.95",
     "classes.chat.quality", "0.95"},
    {"class_quality_above_one", "\"quality\": 0.8", "\"quality\": 80", "classes.chat.quality"},
    {"knob_of_an_unknown_pool", "\"main.prefill_token_budget\": {", "\"mian.batch_size\": {",
     "knobs.mian.batch_size", "\"mian.batch_size\"", "main.batch_size"},
    {"knob_unknown", "\"main.prefill_token_budget\": {", "\"main.temperature\": {",
     "knobs.main.temperature", "\"main.temperature\"", "batch_size"},
    {"knob_without_a_pool", "\"main.prefill_token_budget\": {", "\"prefill_token_budget\": {",
     "knobs.prefill_token_budget"},
    {"knob_of_a_replica_that_is_not_there", "\"main/1.batch_size\"", "\"main/3.batch_size\"",
     "knobs.main/3.batch_size", "\"main/3.batch_size\""},
    {"knob_of_no_replica", "\"main/1.batch_size\"", "\"main/x.batch_size\"",
     "knobs.main/x.batch_size"},
    {"knob_twice", "\"main/1.batch_size\"", "\"main.prefill_token_budget\"",
     "knobs.main.prefill_token_budget"},
    {"knob_min_above_max", "\"min\": 256", "\"min\": 9000", "knobs.main.prefill_token_budget.max"},
    {"knob_log_from_zero", "\"min\": 256", "\"min\": 0", "knobs.main.prefill_token_budget.min"},
    {"knob_below_what_engines_allow", "\"min\": 8,", "\"min\": 0,", "knobs.main/1.batch_size.min"},
    {"knob_above_what_engines_allow", "\"max\": 0.95", "\"max\": 1.5",
     "knobs.main.gpu_memory_utilization.max"},
    {"knob_of_the_wrong_type", "\"max\": 1024, \"type\": \"int\"",
     "\"max\": 1024, \"type\": \"float\"", "knobs.main/1.batch_size.type"},
    {"knob_default_off_the_grid", "\"default\": 8192", "\"default\": 8001",
     "knobs.main.prefill_token_budget.default"},
    {"knob_live_that_needs_a_restart", "\"max\": 0.95", "\"max\": 0.95, \"class\": \"live\"",
     "knobs.main.gpu_memory_utilization.class"},
    {"knob_min_overflow", "\"min\": 0.5", "\"min\": -1e999",
     "knobs.main.gpu_memory_utilization.min", "-1e999"},
    {"protective_way_unknown", "\"gap\": \"down\"", "\"gap\": \"left\"",
     "knobs.main.prefill_token_budget.protective.gap"},
    {"protective_limit_unknown", "\"gap\": \"down\"", "\"gaps\": \"down\"",
     "knobs.main.prefill_token_budget.protective.gaps", "\"gaps\"", "gap"},
    {"router_weights_of_the_wrong_length",
     "[\"m0\", \"m1\", \"m2\", \"s0\"],\n"
     "                       \"default\": {\"m0\": 0.25, \"m1\": 0.25, \"m2\": 0.25, \"s0\": 0.25}",
     "[\"m0\", \"m1\"]", "knobs.router.weights"},
    {"guardrails_too_short", "{\"main.prefill_token_budget\": 2048}", "[2048]",
     "guardrails.max_delta", "[2048]"},
    {"guardrail_of_an_unknown_knob", "{\"main.prefill_token_budget\": 2048}",
     "{\"main.prefil_token_budget\": 2048}", "guardrails.max_delta.main.prefil_token_budget",
     "\"main.prefil_token_budget\"", "main.prefill_token_budget"},
    {"guardrail_step_below_the_grid", "{\"main.prefill_token_budget\": 2048}",
     "{\"main.prefill_token_budget\": 32}", "guardrails.max_delta.main.prefill_token_budget"},
    {"guardrail_bounds_outside", "[512, 8192]", "[128, 8192]",
     "guardrails.bounds.main.prefill_token_budget[0]"},
    {"guardrail_rate_negative", "\"max_updates_per_second\": 0.2",
     "\"max_updates_per_second\": -0.2", "guardrails.max_updates_per_second"},
    {"window_of_no_requests", "\"requests_min\": 100", "\"requests_min\": 0",
     "window.requests_min"},
    {"window_ends_before_it_begins", "\"seconds_max\": 60", "\"seconds_max\": 6",
     "window.seconds_max"},
    {"window_key_unknown", "\"seconds_max\"", "\"second_max\"", "window.second_max",
     "\"second_max\"", "seconds_max"},
};

constexpr Edit kClosedLoopEdits[] = {
    {"closed_loop_of_nothing", "\"concurrency\": 8", "\"concurrency\": 0",
     "workload.source.closed_loop.concurrency"},
    {"closed_loop_jitter_of_one", "\"length_jitter\": 0.2", "\"length_jitter\": 1",
     "workload.source.closed_loop.length_jitter"},
    {"closed_loop_endless", "\"requests_per_slot\": 3", "\"requests_per_slot\": 10000000",
     "workload.source.closed_loop.requests_per_slot"},
    {"closed_loop_with_a_rate", "\"source\"",
     "\"segments\": [{\"at_s\": 0, \"rate\": 2}], \"source\"", "workload.segments[0].rate",
     "\"rate\""},
};

constexpr Edit kLiveEdits[] = {
    {"live_engine_with_a_space", "\"vllm\"", "\"vllm 0.32\"", "target.engine", "\"vllm 0.32\""},
    {"live_engine_empty", "\"vllm\"", "\"\"", "target.engine"},
    {"live_address_without_a_pool", "\"main.batch_size\"", "\"batch_size\"", "knobs.batch_size"},
    {"live_address_of_no_replica", "\"main.batch_size\"", "\"main/x.batch_size\"",
     "knobs.main/x.batch_size"},
    {"live_address_leaves_its_folder", "\"main.batch_size\"", "\"../main.batch_size\"",
     "knobs.../main.batch_size"},
    {"live_knob_min_above_max", "\"min\": 4", "\"min\": 99", "knobs.main.batch_size.max"},
    {"live_knob_key_unknown", "\"unit\"", "\"units\"", "knobs.main.batch_size.units", "\"units\"",
     "unit"},
    {"live_guardrail_of_an_unknown_knob", "{\"main.batch_size\": 8}", "{\"main.batch_sise\": 8}",
     "guardrails.max_delta.main.batch_sise", "\"main.batch_sise\"", "main.batch_size"},
    {"live_guardrail_bounds_outside", "[8, 64]", "[2, 64]", "guardrails.bounds.main.batch_size[0]"},
    {"live_classes_missing", "\"classes\"", "\"clases\"", "classes"},
    {"agent_key_unknown", "\"socket\"", "\"sockets\"", "agent.sockets", "\"sockets\"", "socket"},
    {"agent_socket_too_long", "run/agent.sock",
     "a/very/long/path/to/a/socket/that/the/system/would/cut/off/somewhere/in/the/middle/of/it/if/"
     "it/"
     "were/let/through.sock",
     "agent.socket"},
};

constexpr Edit kPartlySaidEdits[] = {
    {"part_max_text", "\"max\": 64", "\"max\": \"64\"", "knobs.main.batch_size.max"},
    {"part_step_zero", "\"step\": 128", "\"step\": 0", "knobs.main/1.prefill_token_budget.step"},
    {"part_scale_unknown", "\"log\"", "\"cubic\"", "knobs.main/1.prefill_token_budget.scale"},
    {"part_min_above_max", "\"max\": 64", "\"min\": 65, \"max\": 64", "knobs.main.batch_size.max"},
    {"part_knob_no_object", "{}", "[]", "knobs.main.long_prefill_threshold"},
    {"part_guardrail_bounds_reversed", "[8, 48]", "[48, 8]", "guardrails.bounds.main.batch_size"},
};

template <std::size_t N>
std::vector<MalformedCase> cases(std::string_view base, const Edit (&edits)[N]) {
  std::vector<MalformedCase> out;
  add_broken_text(base, out);
  add_huge(base, out);
  for (const Edit& edit : edits) out.push_back(mutate(base, edit));
  return out;
}

}  // namespace

std::vector<MalformedCase> malformed_studies() { return cases(kEveryKeyStudy, kStudyEdits); }

std::vector<MalformedCase> malformed_scenarios() {
  std::vector<MalformedCase> out = cases(kEveryKeyScenario, kScenarioEdits);
  for (const Edit& edit : kClosedLoopEdits) out.push_back(mutate(kClosedLoopScenario, edit));
  for (const Edit& edit : kLiveEdits) out.push_back(mutate(kEveryKeyLive, edit));
  for (const Edit& edit : kPartlySaidEdits) out.push_back(mutate(kPartlySaidLive, edit));
  return out;
}

}  // namespace arqon::documents
