#include "arqon/adapters/triton/engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "arqon/adapters/triton/triton.h"
#include "arqon/adapters/triton/triton_test_fake.h"

namespace arqon::adapters::triton {
namespace {

using serving::Health;

class StillClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  void wait_until(TimePoint t) override { now_ = std::max(now_, t); }
  void pass(double seconds) { now_ += from_seconds(seconds); }

 private:
  TimePoint now_ = time_at(100);
};

Parameter knob(std::string name, double min, double max, ParamType type = ParamType::kInt) {
  Parameter p;
  p.name = std::move(name);
  p.type = type;
  p.min = min;
  p.max = max;
  return p;
}

std::vector<Parameter> size_and_wait() {
  return {knob("main.preferred_batch_size", 1, 32),
          knob("main.max_wait_ms", 0, 50, ParamType::kFloat)};
}

struct Bench {
  FakeTriton triton;
  StillClock clock;
  std::unique_ptr<serving::Engine> engine;
  std::string error;
  ErrorCode code = ErrorCode::kInternal;

  bool attach(std::vector<Parameter> knobs = size_and_wait(), double e2e_ms = 100,
              std::string_view more = "") {
    const std::string target =
        R"({"engine":"triton","url":"http://h:8000","model":"sleeper")" + std::string(more) + "}";
    serving::Slo slo{.name = "all"};
    slo.e2e_ms = e2e_ms;
    const AttachRequest request{.target = wire::parse_json(target).value(),
                                .knobs = std::move(knobs),
                                .classes = {slo},
                                .clock = clock};
    auto made = attach_over(request, triton.transport());
    error = made ? "" : made.error().message;
    if (!made) code = made.error().code;
    engine = made ? std::move(*made) : nullptr;
    return engine != nullptr;
  }
  bool says(std::string_view words) const { return error.find(words) != std::string::npos; }
};

// ---- attach

TEST(TritonAttach, finds_values_capacity_and_class_of_each_knob) {
  Bench b;
  ASSERT_TRUE(b.attach()) << b.error;
  const serving::Capabilities& caps = b.engine->capabilities();
  EXPECT_EQ(caps.identity.engine, "triton 2.51.0");
  EXPECT_EQ(caps.identity.model, "sleeper");
  EXPECT_EQ(caps.boot, (Config{4, 5}));
  EXPECT_EQ(caps.facts[0].boot_capacity, 32);
  EXPECT_EQ(caps.knobs[0].change_class, ChangeClass::kReload);
  EXPECT_GE(caps.settle[0], std::chrono::seconds(60));  // quantiles of the last minute
  EXPECT_EQ(b.triton.loads, 0);
}

TEST(TritonAttach, with_no_knobs_named_offers_preferred_size_and_wait_and_instances_are_live) {
  Bench b;
  ASSERT_TRUE(b.attach({})) << b.error;
  ASSERT_EQ(b.engine->capabilities().knobs.size(), 2u);
  EXPECT_EQ(b.engine->capabilities().knobs[0].max, 32);
  ASSERT_TRUE(b.attach({knob("main.instances", 1, 4)})) << b.error;
  EXPECT_EQ(b.engine->capabilities().knobs[0].change_class, ChangeClass::kLive);
}

TEST(TritonAttach, a_server_that_takes_no_loads_is_refused_with_the_flag_it_needs) {
  Bench b;
  b.triton.explicit_control = false;
  EXPECT_FALSE(b.attach());
  EXPECT_EQ(b.code, ErrorCode::kRefused);
  EXPECT_TRUE(b.says("--model-control-mode=explicit")) << b.error;
}

TEST(TritonAttach, knobs_it_lacks_and_bounds_beyond_capacity_name_the_way_out) {
  Bench b;
  EXPECT_FALSE(b.attach({knob("main.max_queue_delay_microseconds", 0, 1000)}));
  EXPECT_TRUE(b.says("did you mean \"max_wait_ms\"")) << b.error;
  EXPECT_FALSE(b.attach({knob("main.kv_cache_size", 1, 2)}));
  EXPECT_TRUE(b.says("this model offers preferred_batch_size, max_wait_ms")) << b.error;
  EXPECT_FALSE(b.attach({knob("main.batch_size", 1, 64)}));
  EXPECT_TRUE(b.says("max_batch_size")) << b.error;
  EXPECT_EQ(b.code, ErrorCode::kInvalidConfig);
  EXPECT_FALSE(b.attach({knob("main.preferred_batch_size", 8, 32)}));
  EXPECT_TRUE(b.says("the value in force, 4, is outside")) << b.error;
}

TEST(TritonAttach, a_limit_that_triton_cannot_measure_is_an_error_and_not_a_guess) {
  Bench b;
  b.triton.summaries = false;
  EXPECT_FALSE(b.attach());
  EXPECT_TRUE(b.says("summary_latencies=true")) << b.error;
  EXPECT_TRUE(b.says("--trace-config")) << b.error;
  EXPECT_TRUE(b.attach(size_and_wait(), serving::kNoLimit)) << b.error;
  EXPECT_FALSE(b.attach(size_and_wait(), 100, R"(,"latency":"trace")"));
  EXPECT_TRUE(b.says("does not trace every request")) << b.error;
}

TEST(TritonAttach, refusals_of_a_full_queue_need_the_trace_that_shows_them) {
  Bench b;
  EXPECT_FALSE(b.attach({knob("main.max_queued_requests", 1, 1'000'000)}));
  EXPECT_TRUE(b.says("only its trace shows them")) << b.error;
  replace_all(b.triton.config, "\"priority_queue_policy\":{}",
              "\"priority_queue_policy\":{},\"default_queue_policy\":{\"max_queue_size\":8}");
  EXPECT_FALSE(b.attach());
  EXPECT_TRUE(b.says("the model limits max_queue_size")) << b.error;
}

// ---- apply

TEST(TritonApply, loads_the_whole_config_once_and_reads_it_back) {
  Bench b;
  ASSERT_TRUE(b.attach());
  const auto before = wire::parse_json(b.triton.config);
  const auto effective = b.engine->apply({8, 12.3456});
  ASSERT_TRUE(effective.has_value()) << effective.error().message;
  EXPECT_EQ(*effective, (Config{8, 12.3456}));  // as whole microseconds, which is what was meant
  EXPECT_EQ(b.triton.loads, 1);
  const std::array<Knob, 2> ours{Knob::kPreferredBatchSize, Knob::kMaxWait};
  EXPECT_EQ(fingerprint(wire::parse_json(b.triton.config).value(), ours),
            fingerprint(*before, ours));
  EXPECT_NE(b.triton.config.find("12346"), std::string::npos) << b.triton.config;
  EXPECT_EQ(b.engine->observe().effective, (Config{8, 12.3456}));
}

TEST(TritonApply, a_time_between_two_microseconds_is_shown_as_it_was_asked_for) {
  Bench b;
  ASSERT_TRUE(b.attach()) << b.error;
  const Config asked{4, 3.14159265};
  EXPECT_EQ(b.engine->apply(asked), asked);
  EXPECT_EQ(b.engine->observe().effective, asked);
  ASSERT_TRUE(b.engine->apply({4, 2}).has_value());
  EXPECT_EQ(b.engine->observe().effective, (Config{4, 2}));
}

TEST(TritonApply, what_an_agent_loads_is_no_stranger_with_less_capacity) {
  Bench b;
  ASSERT_TRUE(b.attach({knob("main.batch_size", 8, 32)})) << b.error;
  auto agent = std::move(b.engine);
  ASSERT_TRUE(b.attach({knob("main.batch_size", 8, 32)})) << b.error;
  ASSERT_EQ(agent->apply({16}), (Config{16}));
  EXPECT_EQ(b.engine->health(), Health::kUnqualified) << "nobody has told it";
  dynamic_cast<serving::SecondHand&>(*b.engine).written_for_us({16}, serving::Scope{});
  EXPECT_EQ(b.engine->health(), Health::kOk);
  EXPECT_EQ(b.engine->observe().effective, (Config{16}));
}

TEST(TritonApply, sends_nothing_when_nothing_would_change) {
  Bench b;
  ASSERT_TRUE(b.attach());
  EXPECT_EQ(b.engine->apply({4, 5}).value(), (Config{4, 5}));
  EXPECT_EQ(b.engine->apply({4, 5.0001}).value(), (Config{4, 5.0001}));
  EXPECT_EQ(b.triton.loads, 0);
}

TEST(TritonApply, a_config_answer_that_is_not_whole_never_reaches_the_server) {
  const std::vector<std::function<void(std::string&)>> hostile = {
      [](std::string& text) { text.resize(text.size() / 2); },
      [](std::string& text) { text.clear(); },
      [](std::string& text) { text = "<html>502 Bad Gateway</html>"; },
      [](std::string& text) {
        text = R"({"name":"sleeper","backend":"python","max_batch_size":32})";
      },
      [](std::string& text) { replace_all(text, "\"input\":[", "\"inputs\":["); },
      [](std::string& text) { replace_all(text, "\"dynamic_batching\"", "\"dynamic\""); },
      [](std::string& text) { replace_all(text, ",\"model_warmup\":[]", ""); },
      [](std::string& text) { replace_all(text, "\"dims\":[2]", "\"dims\":[]"); },
      [](std::string& text) { replace_all(text, "sleeper", "other"); },
      [](std::string& text) { text.assign(9u << 20, '['); }};
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    Bench b;
    ASSERT_TRUE(b.attach());
    b.triton.mangle_config = hostile[i];
    const auto effective = b.engine->apply({8, 10});
    ASSERT_FALSE(effective) << i;
    EXPECT_EQ(effective.error().code, ErrorCode::kRefused) << i << effective.error().message;
    EXPECT_EQ(b.triton.loads, 0) << i;
    EXPECT_NE(b.engine->health(), Health::kOk) << i;
    EXPECT_EQ(b.triton.config, recorded("config.json"));
  }
}

TEST(TritonApply, a_failed_load_is_refused_in_the_servers_words_and_the_old_config_stays) {
  Bench b;
  ASSERT_TRUE(b.attach());
  b.triton.refuse = true;
  const auto effective = b.engine->apply({8, 10});
  ASSERT_FALSE(effective);
  EXPECT_EQ(effective.error().code, ErrorCode::kRefused);
  EXPECT_NE(effective.error().message.find("told to fail"), std::string::npos);
  EXPECT_EQ(b.engine->observe().effective, (Config{4, 5}));
  EXPECT_EQ(b.engine->health(), Health::kOk);
}

TEST(TritonApply, yes_without_effect_is_a_conflict) {
  Bench b;
  ASSERT_TRUE(b.attach());
  b.triton.no_effect = true;
  const auto effective = b.engine->apply({8, 10});
  ASSERT_FALSE(effective);
  EXPECT_EQ(effective.error().code, ErrorCode::kConflict);
}

TEST(TritonApply, a_load_that_changes_more_than_it_was_told_to_stops_all_writing) {
  Bench b;
  ASSERT_TRUE(b.attach());
  b.triton.load_breaks = R"("parameters":{"x":{"string_value":"y"}})";
  const auto effective = b.engine->apply({8, 10});
  ASSERT_FALSE(effective);
  EXPECT_EQ(effective.error().code, ErrorCode::kConflict);
  EXPECT_EQ(b.engine->health(), Health::kUnqualified);
  EXPECT_FALSE(b.engine->apply({4, 5}));
  EXPECT_EQ(b.triton.loads, 1);
}

TEST(TritonApply, values_outside_and_rules_between_knobs_are_checked_before_anything_is_sent) {
  Bench b;
  ASSERT_TRUE(b.attach({knob("main.preferred_batch_size", 1, 32), knob("main.batch_size", 1, 32)}));
  for (const Config& bad :
       {Config{33, 32}, Config{0, 32}, Config{4}, Config{8, 4}, Config{std::nan(""), 32}}) {
    const auto effective = b.engine->apply(bad);
    ASSERT_FALSE(effective);
    EXPECT_EQ(effective.error().code, ErrorCode::kInvalidConfig) << effective.error().message;
  }
  EXPECT_FALSE(b.engine->apply({4, 32}, {.replica = 1}));
  EXPECT_EQ(b.triton.loads, 0);
}

TEST(TritonApply, a_filled_in_preferred_size_follows_max_batch_size) {
  Bench b;
  replace_all(b.triton.config, "[4]", "[32]");
  ASSERT_TRUE(b.attach({knob("main.batch_size", 1, 32)}));
  EXPECT_EQ(b.engine->apply({16}).value(), Config{16});
  EXPECT_NE(b.triton.config.find("\"preferred_batch_size\":[16]"), std::string::npos);
  EXPECT_EQ(b.engine->apply({32}).value(), Config{32});
  EXPECT_EQ(b.engine->health(), Health::kOk);
}

// ---- observe

TEST(TritonObserve, counts_from_attach_and_bounds_late_requests_from_above) {
  Bench b;
  b.triton.success = 1000;
  ASSERT_TRUE(b.attach());
  EXPECT_EQ(b.engine->observe().classes[0].arrived, 0u);
  b.triton.success += 200;  // p99 is 20 ms, the limit 100: at most 1 % late
  b.triton.rejected += 3;
  b.triton.pending = 7;
  const serving::Observation seen = b.engine->observe();
  EXPECT_TRUE(seen.fresh);
  EXPECT_EQ(seen.classes[0].arrived, 203u);
  EXPECT_EQ(seen.classes[0].good, 198u);
  EXPECT_EQ(seen.classes[0].bad, 5u);
  EXPECT_EQ(seen.classes[0].bad_by[static_cast<std::size_t>(serving::Limit::kRejected)], 3u);
  EXPECT_EQ(seen.waiting, 7);
  b.triton.p99_ms = 150;  // the median is 75: between 1 % and 50 % late, so 50 %
  b.triton.success += 100;
  EXPECT_EQ(b.engine->observe().classes[0].bad, 55u);
}

TEST(TritonObserve, a_restart_raises_the_epoch_and_counts_from_nothing) {
  Bench b;
  b.triton.success = 1000;
  ASSERT_TRUE(b.attach());
  ASSERT_TRUE(b.engine->apply({8, 10}));
  const std::uint64_t epoch = b.engine->observe().epoch;
  b.triton.restart();
  b.triton.success = 100;
  const serving::Observation seen = b.engine->observe();
  EXPECT_EQ(seen.epoch, epoch + 1);
  EXPECT_EQ(seen.classes[0].arrived, 100u);
  EXPECT_EQ(seen.effective, (Config{4, 5}));  // the override went with the process
  EXPECT_EQ(b.engine->health(), Health::kOk);
}

TEST(TritonObserve, garbage_and_half_written_telemetry_leave_the_last_good_counts) {
  Bench b;
  ASSERT_TRUE(b.attach());
  b.engine->observe();
  b.triton.success += 100;
  const auto good = b.engine->observe().classes[0].good;
  const std::vector<std::function<void(std::string&)>> broken = {
      [](std::string& text) { text.resize(text.size() / 3); },
      [](std::string& text) { text = "nv_inference_request_success 12\n"; },
      [](std::string& text) { text.clear(); },
      [](std::string& text) { replace_all(text, "} 0\n", "} NaN\n"); },
      [](std::string& text) { text = "<html>"; }};
  for (const auto& mangle : broken) {
    b.triton.mangle_metrics = mangle;
    b.triton.success += 10;
    const serving::Observation seen = b.engine->observe();
    EXPECT_FALSE(seen.fresh);
    EXPECT_EQ(seen.classes[0].good, good);
    EXPECT_EQ(seen.epoch, 1u);
  }
  b.triton.mangle_metrics = nullptr;
  EXPECT_TRUE(b.engine->observe().fresh);
  EXPECT_GT(b.engine->observe().classes[0].good, good);
}

TEST(TritonObserve, with_the_trace_each_request_is_judged_by_its_own_time) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("arqon_engine_trace_" + std::to_string(::getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  Bench b;
  b.triton.trace_setting = R"({"trace_level":["TIMESTAMPS"],"trace_rate":"1","log_frequency":"6",)"
                           R"("trace_file":")" +
                           (folder / "t").string() + "\"}";
  ASSERT_TRUE(b.attach(size_and_wait(), 15.0)) << b.error;
  EXPECT_LT(b.engine->capabilities().settle[0], std::chrono::seconds(10));
  b.engine->observe();
  ASSERT_TRUE(os::write_file(folder / "t.0", recorded("trace.json")));
  b.triton.success += 4;
  b.triton.backend += 1;  // one of the traced ones failed
  const serving::Observation seen = b.engine->observe();
  EXPECT_EQ(seen.classes[0].arrived, 6u);
  // Refused, refused, timed out, failed in the backend; one of the others took above 15 ms.
  EXPECT_EQ(seen.classes[0].bad_by[static_cast<std::size_t>(serving::Limit::kRejected)], 4u);
  EXPECT_EQ(seen.classes[0].good + seen.classes[0].bad, 6u);
  std::filesystem::remove_all(folder);
}

// ---- health

TEST(TritonHealth, tells_down_mute_stuck_and_another_server_apart) {
  Bench b;
  ASSERT_TRUE(b.attach());
  EXPECT_EQ(b.engine->health(), Health::kOk);
  b.triton.down = true;
  EXPECT_EQ(b.engine->health(), Health::kDown);
  EXPECT_EQ(b.engine->apply({8, 10}).error().code, ErrorCode::kUnavailable);
  b.triton.down = false;
  b.triton.mute = true;
  EXPECT_EQ(b.engine->health(), Health::kDegraded);
  b.triton.mute = false;
  b.engine->observe();
  b.triton.pending = 3;
  b.engine->observe();
  b.clock.pass(60);
  b.engine->observe();
  EXPECT_EQ(b.engine->health(), Health::kDegraded);  // requests wait and none ends
  b.triton.success += 1;
  b.engine->observe();
  EXPECT_EQ(b.engine->health(), Health::kOk);
  replace_all(b.triton.server, "2.51.0", "2.60.0");
  EXPECT_EQ(b.engine->health(), Health::kUnqualified);
  EXPECT_EQ(b.engine->apply({8, 10}).error().code, ErrorCode::kRefused);
  EXPECT_EQ(b.triton.loads, 0);
  ASSERT_TRUE(b.engine->requalify());
  EXPECT_EQ(b.engine->health(), Health::kOk);
  EXPECT_EQ(b.engine->capabilities().identity.engine, "triton 2.60.0");
  EXPECT_TRUE(b.engine->apply({8, 10}));
}

TEST(TritonHealth, a_config_changed_by_another_hand_stops_writing_until_requalified) {
  Bench b;
  ASSERT_TRUE(b.attach());
  replace_all(b.triton.config, "\"count\":1", "\"count\":2");
  EXPECT_EQ(b.engine->health(), Health::kUnqualified);
  EXPECT_EQ(b.engine->apply({8, 10}).error().code, ErrorCode::kRefused);
  ASSERT_TRUE(b.engine->requalify());
  EXPECT_TRUE(b.engine->apply({8, 10}));
  replace_all(b.triton.config, "\"max_batch_size\":32", "\"max_batch_size\":8");
  EXPECT_EQ(b.engine->health(), Health::kUnqualified);
  const Status less = b.engine->requalify();
  ASSERT_FALSE(less);
  EXPECT_NE(less.error().message.find("max_batch_size is 8"), std::string::npos);
}

// ---- doctor

TEST(TritonProbe, lists_knobs_telemetry_and_the_service_curve) {
  FakeTriton triton;
  const auto probe = probe_over("http://h:8000", triton.transport());
  ASSERT_TRUE(probe.has_value());
  EXPECT_TRUE(probe->reachable);
  EXPECT_EQ(probe->identity.model, "sleeper");
  EXPECT_EQ(probe->knobs[0].name, "preferred_batch_size");
  EXPECT_EQ(probe->knobs[0].access, "reload");
  EXPECT_EQ(probe->knobs[0].value, "4");
  EXPECT_EQ(probe->knobs[3].access, "live");
  std::string notes;
  for (const std::string& note : probe->notes) notes += note + "\n";
  EXPECT_NE(notes.find("mean ms by batch size: 1: 12.0, 4: 14.0"), std::string::npos) << notes;
  EXPECT_EQ(triton.loads, 0);
}

TEST(TritonProbe, an_absent_server_and_a_closed_one_say_what_to_do) {
  FakeTriton triton;
  triton.explicit_control = false;
  auto probe = probe_over("http://h:8000/v2/models/sleeper", triton.transport());
  ASSERT_TRUE(probe.has_value());
  EXPECT_EQ(probe->knobs[0].access, "restart");
  EXPECT_NE(probe->next.front().find("--model-control-mode=explicit"), std::string::npos);
  triton.down = true;
  probe = probe_over("http://h:8000", triton.transport());
  ASSERT_TRUE(probe.has_value());
  EXPECT_FALSE(probe->reachable);
  EXPECT_FALSE(probe->next.empty());
}

// ---- protocol

TEST(TritonServer, load_message_is_the_protobuf_that_the_real_server_took) {
  const std::string message = load_message("m", "{}");
  const std::string expected = std::string("\x12\x01m") + "\x1a\x0e" +
                               "\x0a\x06"
                               "config" +
                               "\x12\x04"
                               "\x1a\x02{}";
  EXPECT_EQ(message, expected);
  EXPECT_EQ(load_message("m", ""), "\x12\x01m");
}

TEST(TritonServer, recorded_telemetry_and_stats_are_read) {
  const auto exposition = wire::parse_prometheus(recorded("metrics.txt"));
  ASSERT_TRUE(exposition.has_value()) << exposition.error().message;
  const auto counters = read_counters(*exposition, "sleeper");
  ASSERT_TRUE(counters.has_value()) << counters.error().message;
  EXPECT_GT(counters->success, 300);
  EXPECT_EQ(counters->failure, 10);
  EXPECT_EQ(counters->backend, 10);
  EXPECT_GT(counters->inferences / counters->executions, 3);
  EXPECT_FALSE(read_counters(*exposition, "other"));
  const auto summary = read_summary(*exposition, "sleeper");
  ASSERT_EQ(summary.size(), 5u);
  EXPECT_EQ(summary[0].q, 0.5);
  const auto above = share_above(summary, summary[3].ms);
  ASSERT_TRUE(above.has_value());
  EXPECT_NEAR(above->most, 0.01, 1e-9);
  EXPECT_NEAR(above->least, 0.001, 1e-9);
  FakeTriton triton;
  const Server server(triton.transport(), guess_addresses("http://h:8000"), "sleeper");
  const auto curve = server.service_curve();
  ASSERT_TRUE(curve.has_value());
  ASSERT_GE(curve->size(), 3u);
  for (const ServicePoint& point : *curve) EXPECT_NEAR(point.mean_ms, 9.5 + point.batch, 2);
}

}  // namespace
}  // namespace arqon::adapters::triton
