#include "arqon/adapters/sglang/sglang.h"

#include <gtest/gtest.h>

#include <map>

#include "arqon/adapters/scraped_rig_test.h"
#include "arqon/adapters/sglang/server.h"
#include "arqon/os/file.h"

namespace arqon::adapters::sglang {
namespace {

using wire::Value;

// Which SGLang is replayed.
enum class Build {
  kPatched,    // with change request #37661: live scheduler knobs, refuses unknown keys
  kStock,      // refuses what it does not take
  kCredulous,  // 0.4 to early 0.5: "updated" whatever was asked
};

class SglangRig final : public ScrapedRig {
 public:
  explicit SglangRig(Build build) : build_(build) { boot(); }

  Status attach(std::vector<Parameter> knobs, serving::Slo slo = {.name = "chat", .ttft_ms = 200},
                std::string_view options = "") {
    const Value target = parsed(fmt::format(
        R"({{"engine": "sglang", "url": "{}", "timeout_s": 0.2{}}})", server().url(), options));
    auto engine = sglang::attach({target, std::move(knobs), {slo}, clock_});
    if (!engine) return tl::unexpected<Error>(engine.error());
    engine_ = std::move(*engine);
    return {};
  }
  std::optional<Config> truth() override {
    const std::lock_guard lock(mutex_);
    Config out;
    for (const Parameter& knob : engine_->capabilities().knobs) {
      const std::string name = knob.name.substr(5);
      if (name == "batch_size") out.push_back(values_.at(batch_key()));
      if (name == "prefill_token_budget") out.push_back(values_.at("chunked_prefill_size"));
      if (name == "schedule_conservativeness") out.push_back(values_.at(name));
    }
    return out;
  }
  std::string admin_key_;
  std::string refused_key_;
  bool old_reply_ = false, old_name_ = false;

 protected:
  void boot() override {
    values_ = {{"max_running_requests", capacity()},
               {"pp_max_micro_batch_size", capacity()},
               {"chunked_prefill_size", 8192},
               {"max_prefill_tokens", 16384},
               {"schedule_conservativeness", 1}};
  }
  double capacity() const { return broken(Fault::kLessCapacity) ? 16 : 64; }
  std::string batch_key() const {
    return build_ == Build::kPatched ? "max_running_requests" : "pp_max_micro_batch_size";
  }

  ReplayAnswer answer(const ReplayRequest& request) override {
    if (request.path == (old_name_ ? "/get_server_info" : "/server_info")) return info();
    if (request.path == "/metrics") return metrics();
    if (request.path == "/set_internal_state") return set(request);
    return {.status = 404, .body = "{\"detail\":\"Not Found\"}"};
  }

  ReplayAnswer info() const {
    std::string state = fmt::format(
        R"("last_gen_throughput": 12.5, "effective_max_running_requests_per_dp": {},
           "pp_max_micro_batch_size": {}, "memory_usage": {{"kvcache": 1.5}})",
        capacity(), values_.at("pp_max_micro_batch_size"));
    if (build_ == Build::kPatched) {
      state += fmt::format(
          R"(, "trimtab": {{"max_running_requests": {}, "max_queued_requests": null,
             "chunked_prefill_size": {}, "max_prefill_tokens": {}, "schedule_policy": "fcfs",
             "schedule_conservativeness": {}, "ceilings": {{"max_running_requests": {},
             "max_prefill_tokens": 100000}}}})",
          values_.at("max_running_requests"), values_.at("chunked_prefill_size"),
          values_.at("max_prefill_tokens"), values_.at("schedule_conservativeness"), capacity());
    }
    return {.body = fmt::format(
                R"({{"model_path": "/models/m", "served_model_name": "m", "device": "cuda",
                     "tp_size": 1, "dp_size": 2, "pp_size": 1, "page_size": 1,
                     "mem_fraction_static": {}, "max_running_requests": {},
                     "max_queued_requests": null, "chunked_prefill_size": 8192,
                     "max_prefill_tokens": 16384, "schedule_conservativeness": 1.0,
                     "schedule_policy": "fcfs", "max_total_num_tokens": 100000,
                     "internal_states": [{{{}}}, {{{}}}], "version": "0.5.23"}})",
                broken(Fault::kOtherFlags) ? 0.7 : 0.85, capacity(), state, state)};
  }

  ReplayAnswer metrics() const {
    const std::string labels = "engine_type=\"unified\",model_name=\"m\"";
    std::string out = fmt::format(
        "sglang:num_running_reqs{{dp_rank=\"0\",{0}}} 0.0\n"
        "sglang:num_queue_reqs{{dp_rank=\"0\",{0}}} 0.0\n"
        "sglang:token_usage{{dp_rank=\"0\",{0}}} 0.1\n"
        "sglang:num_requests_total{{{0}}} {1}\n"
        "sglang:startup_time_seconds{{phase=\"total\"}} {2}\n",
        labels, traffic_.e2e.size(), 30 + traffic_.starts);
    // Labelled series appear with their first sample.
    if (!traffic_.ttft.empty()) {
      out += traffic_.histogram("sglang:time_to_first_token_seconds", labels, traffic_.ttft);
    }
    if (!traffic_.e2e.empty()) {
      out += traffic_.histogram("sglang:e2e_request_latency_seconds", labels, traffic_.e2e);
    }
    return {.body = out + fmt::format("sglang:generation_tokens_total{{{0}}} {1}\n"
                                      "sglang:prompt_tokens_total{{{0}}} {2}\n"
                                      "sglang:num_aborted_requests_total{{{0}}} {3}\n",
                                      labels, traffic_.tokens, traffic_.prompt_tokens,
                                      traffic_.failed)};
  }

  bool takes(const std::string& key) const {
    if (key == "pp_max_micro_batch_size") return true;
    return build_ == Build::kPatched && values_.contains(key);
  }

  ReplayAnswer set(const ReplayRequest& request) {
    const auto sent = std::find_if(request.headers.begin(), request.headers.end(),
                                   [](const auto& h) { return h.first == "authorization"; });
    if (!admin_key_.empty() &&
        (sent == request.headers.end() || sent->second != "Bearer " + admin_key_)) {
      return {.status = 401, .body = "{\"error\":\"Unauthorized\"}"};
    }
    const Value body = parsed(request.body);
    bool updated = !broken(Fault::kRefuse);
    for (const auto& [key, value] : *body.find("server_args")->as_object()) {
      const bool over = key == batch_key() && value.number() > capacity();
      if (!takes(key) || over || key == refused_key_ || broken(Fault::kRefuse)) {
        updated = false;  // what stands before it is in force already
        break;
      }
      if (broken(Fault::kNoEffect) || values_.at(key) == value.number()) continue;
      ++writes_;
      const bool clamp = broken(Fault::kClamp) && key == batch_key();
      values_[key] = clamp ? std::min(value.number(), 32.0) : value.number();
    }
    if (build_ == Build::kCredulous) updated = true;
    if (old_reply_) {
      return {.body = fmt::format(R"([{{"updated": {}, "server_args": {{}}}}])", updated)};
    }
    return {.body = fmt::format("[{0}, {0}]", updated)};
  }

 private:
  Build build_;
  std::map<std::string, double> values_;
};

Result<std::shared_ptr<arqon::testing::Rig>> make_patched() {
  auto rig = std::make_shared<SglangRig>(Build::kPatched);
  const Status attached = rig->attach(
      {int_knob("main.batch_size", 1, 64), int_knob("main.prefill_token_budget", 512, 8192)});
  if (!attached) return tl::unexpected<Error>(attached.error());
  return rig;
}

Result<std::shared_ptr<arqon::testing::Rig>> make_stock() {
  auto rig = std::make_shared<SglangRig>(Build::kStock);
  const Status attached = rig->attach({});
  if (!attached) return tl::unexpected<Error>(attached.error());
  return rig;
}

ARQON_ENGINE_SUITE(SglangPatched, make_patched);
ARQON_ENGINE_SUITE(SglangStock, make_stock);

std::string names(const serving::Engine& engine) {
  std::string out;
  for (const Parameter& knob : engine.capabilities().knobs) out += knob.name + " ";
  return out;
}

TEST(SglangAttach, offers_what_the_build_takes_and_nothing_else) {
  SglangRig patched(Build::kPatched);
  ASSERT_TRUE(patched.attach({}));
  EXPECT_EQ(names(patched.engine()),
            "main.batch_size main.prefill_token_budget main.max_prefill_tokens "
            "main.schedule_conservativeness ");
  EXPECT_EQ(patched.engine().capabilities().identity,
            (serving::Identity{"sglang 0.5.23", "m", "cuda"}));
  for (const Build build : {Build::kStock, Build::kCredulous}) {
    SglangRig stock(build);
    ASSERT_TRUE(stock.attach({}));
    EXPECT_EQ(names(stock.engine()), "main.batch_size ");
    EXPECT_EQ(stock.engine().capabilities().knobs[0].max, 64);
  }
}

TEST(SglangAttach, changes_nothing) {
  SglangRig rig(Build::kPatched);
  ASSERT_TRUE(rig.attach({}));
  EXPECT_EQ(rig.writes(), 0u);
}

TEST(SglangAttach, a_knob_the_build_lacks_is_refused_with_the_reason_and_what_there_is) {
  SglangRig rig(Build::kStock);
  const Status absent = rig.attach({int_knob("main.prefill_token_budget", 512, 8192)});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kInvalidConfig);
  EXPECT_NE(absent.error().message.find("#37661"), std::string::npos) << absent.error().message;
  EXPECT_NE(absent.error().message.find("offered: batch_size"), std::string::npos);
  const Status unknown = rig.attach({int_knob("main.bach_size", 1, 8)});
  EXPECT_NE(unknown.error().message.find("did you mean \"batch_size\""), std::string::npos);
  const Status wide = rig.attach({int_knob("main.batch_size", 1, 65)});
  EXPECT_NE(wide.error().message.find("go beyond [1, 64]"), std::string::npos);
  const Status restart = rig.attach({int_knob("main.speculative_decoding_k", 0, 4)});
  EXPECT_NE(restart.error().message.find("--speculative-num-steps"), std::string::npos);
}

TEST(SglangAttach, speaks_to_older_builds_too) {
  SglangRig rig(Build::kPatched);
  rig.old_name_ = rig.old_reply_ = true;
  ASSERT_TRUE(rig.attach({int_knob("main.batch_size", 1, 64)}));
  EXPECT_EQ(rig.engine().apply({8}).value(), Config{8});
}

TEST(SglangAttach, without_the_admin_key_says_where_to_give_it) {
  SglangRig rig(Build::kPatched);
  rig.admin_key_ = "secret";
  const Status without = rig.attach({int_knob("main.batch_size", 1, 64)});
  ASSERT_FALSE(without);
  EXPECT_NE(without.error().message.find("api_key_file"), std::string::npos);
  EXPECT_EQ(without.error().message.find("secret"), std::string::npos);
  const std::string file = ::testing::TempDir() + "/arqon_sglang_key";
  ASSERT_TRUE(os::write_file(file, "secret\n"));
  EXPECT_TRUE(rig.attach({int_knob("main.batch_size", 1, 64)}, {.name = "chat", .ttft_ms = 200},
                         fmt::format(R"(, "api_key_file": "{}")", file)));
}

TEST(SglangAttach, limits_that_histograms_cannot_judge_are_refused) {
  SglangRig rig(Build::kPatched);
  const serving::Slo slo{.name = "chat", .ttft_ms = 200, .max_gap_ms = 50};
  const Status refused = rig.attach({}, slo);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("max_gap_ms"), std::string::npos);
  EXPECT_TRUE(rig.attach({}, slo, R"(, "not_judged": ["max_gap_ms"])"));
  const Status key = rig.attach({}, slo, R"(, "not_juged": [])");
  EXPECT_NE(key.error().message.find("did you mean \"not_judged\""), std::string::npos);
}

TEST(SglangEngine, a_limit_inside_a_bucket_gives_no_verdict_and_a_note) {
  SglangRig rig(Build::kPatched);
  rig.traffic().serve(1);
  ASSERT_TRUE(rig.attach({}, {.name = "chat", .ttft_ms = 300}));
  EXPECT_NE(rig.engine().capabilities().facts[0].note.find("--bucket-time-to-first-token"),
            std::string::npos);
  rig.traffic().serve(5, 0.15);
  EXPECT_TRUE(rig.engine().observe().fresh);
  rig.traffic().serve(5, 0.35);
  const serving::Observation unsure = rig.engine().observe();
  EXPECT_FALSE(unsure.fresh);
  EXPECT_EQ(unsure.classes[0].good, 5u) << "the last that was certain";
}

TEST(SglangEngine, a_refusal_in_the_middle_of_several_knobs_takes_the_others_back) {
  SglangRig rig(Build::kPatched);
  ASSERT_TRUE(rig.attach(
      {int_knob("main.prefill_token_budget", 512, 8192), int_knob("main.batch_size", 1, 64)}));
  rig.refused_key_ = "max_running_requests";
  const auto out = rig.engine().apply({4096, 32});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, ErrorCode::kRefused) << out.error().message;
  EXPECT_EQ(rig.writes(), 2u) << "the budget went there and back";
  EXPECT_EQ(rig.truth(), (Config{8192, 64}));
}

TEST(SglangProbe, writes_nothing_and_says_what_is_live_and_why) {
  SglangRig rig(Build::kStock);
  const Probe seen = sglang::probe(rig.server().url(), rig.clock()).value();
  EXPECT_TRUE(seen.reachable);
  EXPECT_EQ(seen.identity.engine, "sglang 0.5.23");
  ASSERT_GE(seen.knobs.size(), 7u);
  EXPECT_EQ(seen.knobs[0].name + " " + seen.knobs[0].access + " " + seen.knobs[0].value,
            "batch_size live 64");
  EXPECT_EQ(seen.knobs[1].access, "absent");
  for (const ReplayRequest& request : rig.server().requests()) EXPECT_EQ(request.method, "GET");
  rig.server().stop();
  const Probe gone = sglang::probe(rig.server().url(), rig.clock()).value();
  EXPECT_FALSE(gone.reachable);
  EXPECT_FALSE(gone.next.empty());
}

TEST(AllUpdated, understands_every_form_of_reply) {
  EXPECT_TRUE(all_updated(parsed("[true, true]")).value());
  EXPECT_FALSE(all_updated(parsed("[true, false]")).value());
  EXPECT_TRUE(all_updated(parsed(R"([{"updated": true, "server_args": {}}])")).value());
  EXPECT_FALSE(all_updated(parsed(R"({"success": false, "error_msg": "x"})")).value());
  for (const char* none : {"[]", "null", "{}", "\"ok\"", "[1]"}) {
    EXPECT_EQ(all_updated(parsed(none)).error().code, ErrorCode::kUnavailable) << none;
  }
}

}  // namespace
}  // namespace arqon::adapters::sglang
