#include "arqon/adapters/tensorrt_llm/tensorrt_llm.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "arqon/adapters/scraped_rig_test.h"
#include "arqon/adapters/tensorrt_llm/server.h"

namespace arqon::adapters::tensorrt_llm {
namespace {

namespace fs = std::filesystem;
using wire::Value;

// The options file that the restart command writes is what the server is started with.
constexpr std::string_view kRestart =
    R"(["sh", "-c", "test ! -e $0.refuse && echo $1 $2 > $0.new && mv $0.new $0 && echo >> $0.log",
        "{}/options", "{{max_batch_size}}", "{{batch_wait_timeout_ms}}"])";

class TrtRig final : public ScrapedRig {
 public:
  TrtRig() {
    std::string name = (fs::temp_directory_path() / "arqon_trt.XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    std::ofstream(folder_ / "options") << "64 0\n";
    load();
  }
  ~TrtRig() override {
    server().stop();
    fs::remove_all(folder_);
  }

  Status attach(std::vector<Parameter> knobs, std::string_view options = "",
                serving::Slo slo = {.name = "chat", .ttft_ms = 200, .tpot_ms = 100}) {
    const std::string restart = fmt::format(fmt::runtime(kRestart), folder_.string());
    return attach_to(fmt::format(R"({{"engine": "tensorrt_llm", "url": "{}", "timeout_s": 0.2,
        "restart_s": 1, "restart_timeout_s": 3, "restart": {},
        "started_with": {{"max_batch_size": 64, "batch_wait_timeout_ms": 0}}{}}})",
                                 server().url(), restart, options),
                     std::move(knobs), std::move(slo));
  }
  Status attach_to(const std::string& text, std::vector<Parameter> knobs, serving::Slo slo) {
    const Value target = parsed(text);
    auto engine = tensorrt_llm::attach({target, std::move(knobs), {std::move(slo)}, clock_});
    if (!engine) return tl::unexpected<Error>(engine.error());
    engine_ = std::move(*engine);
    return {};
  }

  std::set<Fault> supports() const override {
    std::set<Fault> out = ScrapedRig::supports();
    out.erase(Fault::kLessCapacity);
    return out;
  }
  std::string why_not(Fault fault) const override {
    return fault == Fault::kLessCapacity ? "what a restart may ask for has no capacity of the start"
                                         : ScrapedRig::why_not(fault);
  }
  Status inject(Fault fault) override {
    if (fault == Fault::kRefuse) std::ofstream(folder_ / "options.refuse") << "x";
    return ScrapedRig::inject(fault);
  }
  Status heal(Fault fault) override {
    if (fault == Fault::kRefuse) fs::remove(folder_ / "options.refuse");
    return ScrapedRig::heal(fault);
  }
  std::optional<std::uint64_t> writes() override {
    std::ifstream log(folder_ / "options.log");
    return static_cast<std::uint64_t>(
        std::count(std::istreambuf_iterator<char>(log), std::istreambuf_iterator<char>(), '\n'));
  }
  bool gauges_ = true;  // the C++ runtime fills them in, the PyTorch one leaves 0
  bool perf_metrics_ = true;

 protected:
  void boot() override {}
  bool is_metrics(const ReplayRequest& request) const override {
    return request.path == "/prometheus/metrics";
  }

  // Restarted when its options are others than those in force.
  void load() {
    double batch = 0, wait = 0;
    std::ifstream(folder_ / "options") >> batch >> wait;
    if (broken(Fault::kNoEffect)) return;
    if (broken(Fault::kClamp)) batch = std::min(batch, 32.0);
    if (batch == batch_ && wait == wait_) return;
    batch_ = batch;
    wait_ = wait;
    traffic_.restart();
  }

  ReplayAnswer answer(const ReplayRequest& request) override {
    load();
    if (request.path == "/version") {
      return {.body = broken(Fault::kOtherFlags) ? R"({"version": "1.3.0"})"
                                                 : R"({"version": "1.2.1"})"};
    }
    if (request.path == "/v1/models") {
      return {.body = R"({"object": "list", "data": [{"id": "m", "object": "model"}]})"};
    }
    if (request.path == "/metrics") return iterations();
    if (request.path == "/prometheus/metrics" && perf_metrics_) return prometheus();
    return {.status = 404, .body = R"({"detail": "Not Found"})"};
  }

  ReplayAnswer iterations() {
    return {.body = R"([{"iter": 153, "numActiveRequests": 9, "maxBatchSizeStatic": 0},
      {"gpuMemUsage": 76665782272, "iter": 154, "iterLatencyMS": 7.0068, "numActiveRequests": 3,
       "numQueuedRequests": 2, "maxBatchSizeStatic": 0, "maxBatchSizeRuntime": 0,
       "kvCacheStats": {"maxNumBlocks": 400, "freeNumBlocks": 300, "usedNumBlocks": 100,
                        "tokensPerBlock": 32, "cacheHitRate": 0.00128}}])"};
  }

  ReplayAnswer prometheus() const {
    const std::string labels = "engine_type=\"trtllm\",model_name=\"m\"";
    std::string out = fmt::format(
        "trtllm_model_config_info{{model=\"m\"}} 1.0\ntrtllm_max_batch_size_static{{{0}}} {1}\n",
        labels, gauges_ ? batch_ : 0);
    if (!traffic_.e2e.empty()) {
      out += traffic_.histogram("trtllm_time_to_first_token_seconds", labels, traffic_.ttft) +
             traffic_.histogram("trtllm_time_per_output_token_seconds", labels, traffic_.tpot) +
             traffic_.histogram("trtllm_e2e_request_latency_seconds", labels, traffic_.e2e);
    }
    return {.body = out + fmt::format("trtllm_generation_tokens_total{{{0}}} {1}\n"
                                      "trtllm_prompt_tokens_total{{{0}}} {2}\n"
                                      "process_start_time_seconds {3}\n",
                                      labels, traffic_.tokens, traffic_.prompt_tokens,
                                      1.79e9 + traffic_.starts)};
  }

 private:
  fs::path folder_;
  double batch_ = 0, wait_ = 0;
};

Result<std::shared_ptr<arqon::testing::Rig>> make_rig() {
  auto rig = std::make_shared<TrtRig>();
  const Status attached = rig->attach({int_knob("main.batch_size", 1, 128)});
  if (!attached) return tl::unexpected<Error>(attached.error());
  return rig;
}

ARQON_ENGINE_SUITE(TensorrtLlm, make_rig);

TEST(TensorrtLlmAttach, knobs_are_of_the_restart_class_and_say_what_that_costs) {
  TrtRig rig;
  ASSERT_TRUE(rig.attach({}));
  const serving::Capabilities& c = rig.engine().capabilities();
  ASSERT_EQ(c.knobs.size(), 2u) << "no word for max_num_tokens, so no such knob";
  EXPECT_EQ(c.knobs[0].name, "main.batch_size");
  EXPECT_EQ(c.knobs[1].name, "main.max_wait_ms");
  EXPECT_EQ(c.knobs[0].change_class, ChangeClass::kRestart);
  EXPECT_EQ(c.facts[0].apply_cost, std::chrono::seconds(1));
  EXPECT_TRUE(c.facts[0].readback);
  EXPECT_FALSE(c.facts[1].readback);
  EXPECT_NE(c.facts[0].note.find("loses the requests in flight"), std::string::npos);
  EXPECT_EQ(c.boot, (Config{64, 0}));
}

TEST(TensorrtLlmAttach, what_is_missing_is_named) {
  TrtRig rig;
  const std::string bare =
      fmt::format(R"({{"engine": "tensorrt_llm", "url": "{}"}})", rig.server().url());
  const serving::Slo slo{.ttft_ms = 250};
  const Status none = rig.attach_to(bare, {int_knob("main.batch_size", 1, 8)}, slo);
  EXPECT_NE(none.error().message.find("give target.restart"), std::string::npos);
  EXPECT_TRUE(rig.attach_to(bare, {}, slo)) << "to observe needs no command";
  const Status tokens = rig.attach({int_knob("main.prefill_token_budget", 1, 8)});
  EXPECT_NE(tokens.error().message.find("{max_num_tokens}"), std::string::npos);
  rig.perf_metrics_ = false;
  const Status off = rig.attach({});
  EXPECT_NE(off.error().message.find("return_perf_metrics"), std::string::npos);
}

TEST(TensorrtLlmEngine, a_value_that_is_not_read_back_is_the_one_it_was_restarted_with) {
  TrtRig rig;
  rig.gauges_ = false;  // and a zero is not divided by, nor taken for a value
  ASSERT_TRUE(rig.attach({}));
  EXPECT_FALSE(rig.engine().capabilities().facts[0].readback);
  const auto out = rig.engine().apply({32, 2.5});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(*out, (Config{32, 2.5}));
  EXPECT_EQ(rig.engine().observe().effective, (Config{32, 2.5}));
  EXPECT_EQ(rig.writes(), 1u);
}

TEST(TensorrtLlmEngine, a_restart_that_does_not_come_back_ends_at_its_deadline) {
  TrtRig rig;
  ASSERT_TRUE(rig.attach({}));
  std::thread dies([&] { EXPECT_TRUE(rig.ScrapedRig::inject(Fault::kDown)); });
  dies.join();
  const auto out = rig.engine().apply({32, 0});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, ErrorCode::kUnavailable);
}

TEST(TensorrtLlmEngine, the_iteration_list_is_left_alone_unless_we_are_its_only_reader) {
  TrtRig rig;
  const auto drained = [&] {
    const auto seen = rig.server().requests();
    return std::count_if(seen.begin(), seen.end(),
                         [](const ReplayRequest& r) { return r.path == "/metrics"; });
  };
  ASSERT_TRUE(rig.attach({}));
  EXPECT_EQ(rig.engine().observe().running, 0);
  EXPECT_EQ(rig.engine().health(), serving::Health::kOk);
  ASSERT_TRUE(tensorrt_llm::probe(rig.server().url(), rig.clock())->reachable);
  EXPECT_EQ(drained(), 0);
  ASSERT_TRUE(rig.attach({}, R"(, "iteration_stats": "drain")"));
  const serving::Observation seen = rig.engine().observe();
  EXPECT_TRUE(seen.fresh);
  EXPECT_EQ(seen.running, 3);
  EXPECT_EQ(seen.waiting, 2);
  EXPECT_DOUBLE_EQ(seen.kv_use, 0.25);
  EXPECT_GT(drained(), 0);
}

TEST(FromIterations, fields_that_are_not_filled_in_are_not_divided_by) {
  EXPECT_TRUE(from_iterations(parsed("[]")).empty());
  EXPECT_TRUE(from_iterations(parsed("{}")).empty());
  const auto series = from_iterations(parsed(
      R"([{"numActiveRequests": 1, "kvCacheStats": {"usedNumBlocks": 5, "maxNumBlocks": 0}}])"));
  ASSERT_EQ(series.size(), 1u);
  EXPECT_EQ(series[0].name, "trtllm_num_requests_running");
}

TEST(TensorrtLlmProbe, says_that_nothing_is_live_and_what_is_instead) {
  TrtRig rig;
  const Probe seen = tensorrt_llm::probe(rig.server().url(), rig.clock()).value();
  EXPECT_EQ(seen.identity, (serving::Identity{"tensorrt_llm 1.2.1", "m", ""}));
  ASSERT_EQ(seen.knobs.size(), 3u);
  EXPECT_EQ(seen.knobs[0].access, "restart");
  EXPECT_EQ(seen.knobs[0].value, "64");
  EXPECT_EQ(seen.knobs[1].value, "");
  EXPECT_NE(seen.next.back().find("maxconn"), std::string::npos);
}

}  // namespace
}  // namespace arqon::adapters::tensorrt_llm
