// /metrics, target options, knobs, outcomes, and the watch: everything that is values only.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "arqon/adapters/vllm/knobs.h"
#include "arqon/adapters/vllm/metrics.h"
#include "arqon/adapters/vllm/target.h"
#include "arqon/adapters/vllm/telemetry.h"
#include "arqon/adapters/vllm/watch.h"

namespace arqon::adapters::vllm {
namespace {

std::string recorded() {
  std::ifstream in(std::string(ARQON_SOURCE_DIR) + "/tests/golden/vllm_metrics_0.32.0.txt");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// --- /metrics -----------------------------------------------------------------------------------
TEST(VllmMetrics, a_recorded_scrape_is_read_with_its_bounds) {
  const auto m = read_metrics(recorded());
  ASSERT_TRUE(m) << m.error().message;
  EXPECT_EQ(m->finished, 2);
  EXPECT_EQ(m->generation_tokens, 12);
  EXPECT_EQ(m->rejected, 0);
  EXPECT_EQ(m->kv_blocks, 4096);
  EXPECT_EQ(m->gpu_memory_utilization, 0.92);
  EXPECT_EQ(m->kv_cache_bytes, 1073741824);
  ASSERT_FALSE(m->gap_s.bounds.empty());
  EXPECT_EQ(m->gap_s.bounds.front(), 0.01);
  EXPECT_EQ(m->ttft_s.count, 2);
  EXPECT_NEAR(m->ttft_s.sum, 0.164, 0.001);
  for (const MatchedName& name : m->names) {
    EXPECT_FALSE(name.former) << name.need;
    EXPECT_FALSE(name.name.empty()) << name.need;
    EXPECT_FALSE(says(std::string(name.name), "_created"));
  }
}

TEST(VllmMetrics, former_names_are_found_and_said) {
  std::string old = replaced(recorded(), "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc");
  old = replaced(old, "vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds");
  const auto m = read_metrics(old);
  ASSERT_TRUE(m) << m.error().message;
  std::vector<std::string_view> former;
  for (const MatchedName& name : m->names) {
    if (name.former) former.push_back(name.name);
  }
  EXPECT_EQ(former, (std::vector<std::string_view>{"vllm:gpu_cache_usage_perc",
                                                   "vllm:time_per_output_token_seconds"}));
  EXPECT_EQ(m->gap_s.count, 10);
}

TEST(VllmMetrics, ranks_are_added_up_and_shares_averaged) {
  std::string two = recorded();
  two +=
      "vllm:num_requests_running{engine=\"1\",model_name=\"m\"} 5.0\n"
      "vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"m\"} 0.5\n";
  const auto m = read_metrics(two);
  ASSERT_TRUE(m) << m.error().message;
  EXPECT_EQ(m->running, 5);
  EXPECT_EQ(m->kv_use, 0.25);
}

TEST(VllmMetrics, what_makes_no_sense_is_refused_whole) {
  const std::string good = recorded();
  const std::vector<std::string> bad = {
      "",
      "hello\n",
      "<html>502</html>\n",
      good.substr(0, good.size() / 2),
      good.substr(0, good.find("vllm:prompt_tokens_total")),
      replaced(good, "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 0.0",
               "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} -1.0"),
      replaced(good, "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.0",
               "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} NaN"),
      replaced(good, "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.0",
               "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 42"),
      replaced(good, "vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"m\"} 2.0",
               "vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"m\"} 3.0")};
  for (const std::string& text : bad) {
    const auto m = read_metrics(text);
    ASSERT_FALSE(m) << text.substr(0, 60);
    EXPECT_EQ(m.error().code, ErrorCode::kUnavailable);
    EXPECT_TRUE(says(m.error().message, "/metrics")) << m.error().message;
  }
}

// --- Target -------------------------------------------------------------------------------------
const std::vector<serving::Slo> kTwo = {{.name = "chat"}, {.name = "long"}};

Result<Target> target(const std::string& text, const std::vector<serving::Slo>& classes = kTwo) {
  return read_target(*wire::parse_json(text), classes);
}

TEST(VllmTarget, one_engine_and_class_rules) {
  const auto t = target(R"({"engine": "vllm", "url": "http://h:1/", "name": "a", "stuck_s": 2,
                            "classes": {"chat": {"prompt_tokens_max": 200}}})");
  ASSERT_TRUE(t) << t.error().message;
  ASSERT_EQ(t->replicas.size(), 1U);
  EXPECT_EQ(t->replicas[0].name, "a");
  EXPECT_EQ(t->scraped.options.stuck, std::chrono::seconds(2));
  EXPECT_EQ(class_of(*t, 200), 0U);
  EXPECT_EQ(class_of(*t, 201), 1U);
}

TEST(VllmTarget, one_class_takes_everything) {
  const auto t = target(R"({"url": "http://h:1"})", {{.name = "all"}});
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_EQ(class_of(*t, 1'000'000), 0U);
}

TEST(VllmTarget, the_smallest_bound_that_fits_wins) {
  const auto t = target(R"({"url": "http://h:1", "classes": {
                             "c": {"prompt_tokens_max": 1000}, "a": {"prompt_tokens_max": 10},
                             "b": {}}})",
                        {{.name = "a"}, {.name = "b"}, {.name = "c"}});
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_EQ(class_of(*t, 10), 0U);
  EXPECT_EQ(class_of(*t, 11), 2U);
  EXPECT_EQ(class_of(*t, 1001), 1U);
}

TEST(VllmTarget, mistakes_are_told_with_their_place) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {R"({"url": "http://h:1"})", "exactly one takes the rest"},
      {R"({"url": "h:1", "classes": {"chat": {"prompt_tokens_max": 9}}})", "url"},
      {R"({"url": "http://h:1", "classes": {"chad": {"prompt_tokens_max": 9}}})",
       "did you mean \"chat\""},
      {R"({"url": "http://h:1", "classes": {"chat": {"prompt_tokens_max": 0}}})", "N >= 1"},
      {R"({"url": "http://h:1", "classes": {"chat": {"prompt_token_max": 10}}})", "N >= 1"},
      {R"({"url": "http://h:1", "name": "../x", "classes": {"chat": {"prompt_tokens_max": 9}}})",
       "name"},
      {R"({"url": "http://h:1", "restart": ["x"], "classes": {"chat": {"prompt_tokens_max": 9}}})",
       "router"},
      {R"({"urll": "http://h:1", "classes": {"chat": {"prompt_tokens_max": 9}}})", "urll"},
      {R"({"replicas": [], "classes": {"chat": {"prompt_tokens_max": 9}}})", "at least one"},
      {R"({"replicas": [{"url": "http://h:1"}, {"url": "http://h:2"}],
           "classes": {"chat": {"prompt_tokens_max": 9}}})",
       "a page of its own"},
  };
  for (const auto& [text, part] : wrong) {
    const auto t = target(text);
    ASSERT_FALSE(t) << text;
    EXPECT_EQ(t.error().code, ErrorCode::kInvalidConfig);
    EXPECT_TRUE(says(t.error().message, part)) << t.error().message;
  }
}

// --- Knobs --------------------------------------------------------------------------------------
EngineFacts facts() {
  Report r;
  r.supported = 0x3f, r.start_ns = 1;
  r.max_num_seqs = 32, r.max_num_batched_tokens = 2048, r.max_model_len = 512;
  r.num_speculative_tokens = 1, r.block_size = 128, r.blocks = 100;
  r.effective = {32, 2048, 0, 0, 1, 1};
  EngineFacts out{.rank = r, .api = r, .metrics = *read_metrics(recorded())};
  out.api->supported = 0xc0;
  return out;
}

Parameter knob(const std::string& name, double min, double max) {
  return {.name = name, .type = ParamType::kInt, .min = min, .max = max};
}

TEST(VllmKnobs, everything_live_is_offered_within_what_the_engine_was_started_with) {
  const auto knobs = resolve_knobs({}, offers(facts()));
  ASSERT_TRUE(knobs) << knobs.error().message;
  std::vector<std::string> names;
  for (const Knob& k : *knobs) names.push_back(k.parameter.name);
  EXPECT_EQ(names,
            (std::vector<std::string>{"main.batch_size", "main.prefill_token_budget",
                                      "main.long_prefill_threshold", "main.kv_headroom_blocks",
                                      "main.reserve_full_prompt", "main.speculative_decoding_k",
                                      "main.max_queued_requests", "main.max_queued_tokens"}));
  EXPECT_EQ((*knobs)[0].parameter.max, 32);
  EXPECT_EQ((*knobs)[1].parameter.min, 64);  // (1 + K) x max_num_seqs
  EXPECT_EQ((*knobs)[3].parameter.max, 20);
  EXPECT_EQ((*knobs)[0].parameter.change_class, ChangeClass::kLive);
}

TEST(VllmKnobs, the_document_narrows_and_names_its_own_pool) {
  const auto knobs = resolve_knobs({knob("chat.batch_size", 2, 32)}, offers(facts()));
  ASSERT_TRUE(knobs) << knobs.error().message;
  EXPECT_EQ((*knobs)[0].parameter.name, "chat.batch_size");
  EXPECT_EQ((*knobs)[0].parameter.min, 2);
  EXPECT_EQ((*knobs)[0].boot_capacity, 32);
  EXPECT_EQ((*knobs)[0].boot_value, 32);
}

TEST(VllmKnobs, what_the_engine_lacks_or_outgrows_it_is_told_with_the_way_out) {
  const auto wrong = [](const Parameter& p, const std::string& part, const EngineFacts& f) {
    const auto knobs = resolve_knobs({p}, offers(f));
    ASSERT_FALSE(knobs) << part;
    EXPECT_EQ(knobs.error().code, ErrorCode::kInvalidConfig);
    EXPECT_TRUE(says(knobs.error().message, part)) << knobs.error().message;
  };
  wrong(knob("main.batch_size", 1, 64), "max_num_seqs 32", facts());
  wrong(knob("main.batch_size", 1, 16), "the value in force, 32", facts());
  wrong(knob("main.batchsize", 1, 16), "did you mean \"batch_size\"", facts());
  wrong(knob("main.max_num_seqs", 1, 64), "target.restart", facts());
  wrong(knob("main/0.batch_size", 1, 32), "address the pool", facts());
  EngineFacts without = facts();
  without.rank->supported = 0x1f;
  wrong(knob("main.speculative_decoding_k", 0, 1), "num_speculative_tokens_per_batch_size",
        without);
  EngineFacts stock = facts();
  stock.rank.reset();
  stock.no_plugin = "install the plugin";
  wrong(knob("main.batch_size", 1, 32), "install the plugin", stock);
}

TEST(VllmKnobs, restart_knobs_are_offered_with_a_restart_command) {
  EngineFacts f = facts();
  f.can_restart = true;
  const auto knobs = resolve_knobs({knob("main.max_num_seqs", 8, 128)}, offers(f));
  ASSERT_TRUE(knobs) << knobs.error().message;
  EXPECT_EQ((*knobs)[0].parameter.change_class, ChangeClass::kRestart);
  EXPECT_EQ((*knobs)[0].boot_value, 32);
}

TEST(VllmKnobs, rules_between_knobs_are_checked) {
  const auto knobs = *resolve_knobs({}, offers(facts()));
  const Report rank = *facts().rank;
  EXPECT_TRUE(check_rules(knobs, {32, 64, 0, 0, 1, 1, 0, 0}, rank));
  const auto starved = check_rules(knobs, {32, 63, 0, 0, 1, 1, 0, 0}, rank);
  ASSERT_FALSE(starved);
  EXPECT_TRUE(says(starved.error().message, "prefill_token_budget 63 is less than (1 + 1)"))
      << starved.error().message;
  const auto chunk = check_rules(knobs, {32, 64, 127, 0, 1, 1, 0, 0}, rank);
  ASSERT_FALSE(chunk);
  EXPECT_TRUE(says(chunk.error().message, "one KV block of 128")) << chunk.error().message;
  EXPECT_TRUE(check_rules(knobs, {32, 64, 128, 0, 1, 1, 0, 0}, rank));
}

// --- Outcomes -----------------------------------------------------------------------------------
TEST(VllmOutcome, times_become_ms_and_the_mean_per_token_leaves_the_first_out) {
  const Record r{.prompt_tokens = 7,
                 .output_tokens = 11,
                 .ttft_us = 20'000,
                 .decode_us = 100'000,
                 .e2e_us = 120'000,
                 .gap_us_max = 15'000};
  const auto out = outcome_of(r);
  EXPECT_EQ(out.ttft_ms, 20);
  EXPECT_EQ(out.tpot_ms, 10);
  EXPECT_EQ(out.max_gap_ms, 15);
  EXPECT_EQ(out.e2e_ms, 120);
  EXPECT_EQ(serving::judge(out, {.ttft_ms = 20, .tpot_ms = 10}), serving::Limit::kNone);
  EXPECT_EQ(serving::judge(out, {.tpot_ms = 9.9}), serving::Limit::kTpot);
}

TEST(VllmOutcome, no_token_or_an_error_is_a_failure_whatever_else_is_said) {
  EXPECT_EQ(serving::judge(outcome_of({.output_tokens = 0, .end = Record::kStop}), {}),
            serving::Limit::kRejected);
  EXPECT_EQ(serving::judge(outcome_of({.output_tokens = 0, .end = Record::kAbort}), {}),
            serving::Limit::kRejected);
  EXPECT_EQ(serving::judge(outcome_of({.output_tokens = 5, .end = Record::kError}), {}),
            serving::Limit::kRejected);
  EXPECT_EQ(serving::judge(outcome_of({.output_tokens = 5, .end = Record::kAbort}), {}),
            serving::Limit::kNone);
  EXPECT_EQ(serving::judge(outcome_of({.output_tokens = 5, .end = Record::kLength}), {}),
            serving::Limit::kNone);
}

// --- Watch --------------------------------------------------------------------------------------
Look look(double at_s, std::int64_t steps, double last_step_s) {
  Look out{.now = time_at(at_s)};
  out.scheduler = Look::Scheduler{.steps = steps,
                                  .last_step = time_at(last_step_s),
                                  .running = 2,
                                  .waiting = 0,
                                  .finished = 0,
                                  .cap = 4,
                                  .blocks_free = 0.9};
  out.api = Look::Api{.running = 2, .tokens = static_cast<double>(steps)};
  return out;
}

TEST(VllmWatch, steps_and_tokens_that_go_on_are_fine) {
  Watch watch(std::chrono::seconds(5));
  for (int i = 0; i < 60; ++i) {
    watch.update(look(i, 100 * i, i));
    EXPECT_EQ(watch.trouble(), "");
  }
}

TEST(VllmWatch, requests_without_a_step_are_stuck_and_an_idle_engine_is_not) {
  Watch watch(std::chrono::seconds(5));
  watch.update(look(10, 100, 5.1));
  EXPECT_EQ(watch.trouble(), "");
  watch.update(look(10.2, 100, 5.1));
  EXPECT_TRUE(says(watch.trouble(), "no step for 5.1 s")) << watch.trouble();
  Look idle = look(1000, 100, 5.1);
  idle.scheduler->running = 0;
  watch.update(idle);
  EXPECT_EQ(watch.trouble(), "");
}

TEST(VllmWatch, steps_of_which_the_api_process_tells_nothing_are_trouble) {
  Watch watch(std::chrono::seconds(5));
  for (int i = 0; i <= 6; ++i) {
    Look now = look(i, 100 * i, i);
    now.api->tokens = 7;
    watch.update(now);
    EXPECT_EQ(watch.trouble().empty(), i < 5) << i;
  }
  EXPECT_TRUE(says(watch.trouble(), "/health says 200"));
  watch.forget();
  EXPECT_EQ(watch.trouble(), "");
}

TEST(VllmWatch, open_requests_that_the_scheduler_does_not_have_are_trouble_when_it_lasts) {
  Watch watch(std::chrono::seconds(5));
  for (int i = 0; i <= 6; ++i) {
    Look now = look(i, 100, 0);
    now.scheduler->running = 0;
    watch.update(now);
    EXPECT_EQ(watch.trouble().empty(), i < 5) << i;
  }
  EXPECT_TRUE(says(watch.trouble(), "answers got lost")) << watch.trouble();
  Look idle = look(7, 100, 0);
  idle.scheduler->running = 0;
  idle.api->running = 0;
  watch.update(idle);
  EXPECT_EQ(watch.trouble(), "");
}

TEST(VllmWatch, a_long_prefill_that_fills_the_cache_is_no_silence) {
  Watch watch(std::chrono::seconds(5));
  for (int i = 0; i <= 30; ++i) {
    Look now = look(i, 100 * i, i);
    now.api->tokens = 7;
    now.api->kv_use = 0.01 * i;
    watch.update(now);
    EXPECT_EQ(watch.trouble(), "") << i;
  }
}

TEST(VllmWatch, admission_that_stands_still_beside_free_blocks_is_trouble) {
  Watch watch(std::chrono::seconds(5));
  for (int i = 0; i <= 16; ++i) {
    Look now = look(i, 100 * i, i);
    now.scheduler->waiting = 3;
    watch.update(now);
    EXPECT_EQ(watch.trouble().empty(), i < 15) << i;
  }
  EXPECT_TRUE(says(watch.trouble(), "#53130")) << watch.trouble();
  EXPECT_TRUE(says(watch.trouble(), "raise the cap"));
}

TEST(VllmWatch, waiting_at_the_cap_or_for_blocks_is_no_stall) {
  for (const bool at_cap : {true, false}) {
    Watch watch(std::chrono::seconds(5));
    for (int i = 0; i <= 40; ++i) {
      Look now = look(i, 100 * i, i);
      now.scheduler->waiting = 3;
      if (at_cap) now.scheduler->running = 4;
      if (!at_cap) now.scheduler->blocks_free = 0.05;
      watch.update(now);
      EXPECT_EQ(watch.trouble(), "") << i;
    }
  }
}

TEST(VllmWatch, without_the_plugin_figures_that_do_not_move_are_trouble) {
  Watch watch(std::chrono::seconds(5));
  for (int i = 0; i <= 5; ++i) {
    Look now = look(i, 0, 0);
    now.scheduler.reset();
    now.api->tokens = 7;
    watch.update(now);
    EXPECT_EQ(watch.trouble().empty(), i < 5) << i;
  }
}

}  // namespace
}  // namespace arqon::adapters::vllm
