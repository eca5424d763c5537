#include "arqon/adapters/generic/generic.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "arqon/adapters/generic/call.h"
#include "arqon/adapters/generic/promql.h"
#include "arqon/adapters/scraped_rig_test.h"

namespace arqon::adapters::generic {
namespace {

namespace fs = std::filesystem;
using wire::Value;

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// The examples of docs/howto/generic.md, in their order.
std::vector<std::string> examples() {
  std::ifstream in(std::string(ARQON_SOURCE_DIR) + "/docs/howto/generic.md");
  std::stringstream all;
  all << in.rdbuf();
  std::vector<std::string> out;
  const std::string text = all.str();
  for (std::size_t at = 0; (at = text.find("```json\n", at)) != std::string::npos;) {
    const std::size_t end = text.find("```", at + 8);
    out.push_back(text.substr(at + 8, end - at - 8));
    at = end + 3;
  }
  return out;
}

// The service of the examples, and the Prometheus server that watches it.
class ShopRig final : public ScrapedRig {
 public:
  ShopRig() {
    std::string name = (fs::temp_directory_path() / "arqon_shop.XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    script("set-workers", "test -n \"$2\" && test ! -e refuse && echo $1 > workers");
    script("get-workers", "cat workers");
    script("set-nice", "test ! -e refuse_nice && echo $1 > nice");
    std::ofstream(folder_ / "workers") << "4\n";
  }
  ~ShopRig() override {
    server().stop();
    fs::remove_all(folder_);
  }

  std::string here(std::string text) {
    text = replaced(std::move(text), "http://127.0.0.1:9000", server().url());
    text = replaced(std::move(text), "http://127.0.0.1:9090", server().url() + "/prom");
    return replaced(std::move(text), "/opt/limits", folder_.string());
  }
  Status attach(const std::string& text, serving::Slo slo, std::vector<Parameter> knobs = {}) {
    const Value target = parsed(here(text));
    auto engine = generic::attach({target, std::move(knobs), {std::move(slo)}, clock_});
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
    return fault == Fault::kLessCapacity ? "a document's knob has no capacity but its own bounds"
                                         : ScrapedRig::why_not(fault);
  }
  std::optional<Config> truth() override {
    const std::lock_guard lock(mutex_);
    return Config{batch_};
  }
  std::string content(const std::string& name) const {
    std::ifstream in(folder_ / name);
    std::string out;
    std::getline(in, out);
    return out;
  }
  void touch(const std::string& name) { std::ofstream(folder_ / name) << "x"; }
  std::string policy_ = "fcfs";

 protected:
  void boot() override { batch_ = 16; }

  ReplayAnswer answer(const ReplayRequest& request) override {
    if (request.path == "/admin/limits" && request.method == "POST") return set(request);
    if (request.path == "/admin/limits") {
      return {.body = fmt::format(R"({{"version": "{}", "limits": {{"batch": {}}}}})",
                                  broken(Fault::kOtherFlags) ? "5" : "4", batch_)};
    }
    if (request.path == "/admin/policy") return {.body = policy_ + "\n"};
    if (request.path == "/admin/policy/shortest%20first" && request.method == "PUT") {
      policy_ = "shortest first";
      return {.status = 204};
    }
    if (request.path == "/metrics") return metrics();
    if (request.path.starts_with("/prom/api/v1/query?query=")) return query_answer(request.path);
    return {.status = 404};
  }

  ReplayAnswer set(const ReplayRequest& request) {
    if (broken(Fault::kRefuse)) return {.status = 409, .body = "not now"};
    const double asked = parsed(request.body).find("batch")->number();
    if (broken(Fault::kNoEffect) || asked == batch_) return {.body = "{}"};
    ++writes_;
    batch_ = broken(Fault::kClamp) ? std::min(asked, 32.0) : asked;
    return {.body = "{}"};
  }

  ReplayAnswer metrics() const {
    return {.body = traffic_.histogram("shop_first_token_seconds", "r=\"0\"", traffic_.ttft) +
                    traffic_.histogram("shop_request_seconds", "r=\"0\"", traffic_.e2e) +
                    fmt::format("shop_tokens_total {}\nshop_errors_total {}\nshop_running 0\n"
                                "shop_waiting 0\nshop_done_total {}\n"
                                "process_start_time_seconds {}\n",
                                traffic_.tokens, traffic_.failed, traffic_.e2e.size(),
                                1.79e9 + traffic_.starts)};
  }

  // Cumulative buckets as Prometheus sums them.
  ReplayAnswer query_answer(const std::string& path) const {
    const bool ttft = path.find("shop_first_token_seconds_bucket") != std::string::npos;
    std::string samples;
    if (path.find("_bucket") == std::string::npos) {
      samples = fmt::format(R"({{"metric": {{}}, "value": [1.5, "{}"]}})", traffic_.failed);
    } else {
      const auto& values = ttft ? traffic_.ttft : traffic_.e2e;
      for (const double bound : {0.2, 1.0, 1e9}) {
        const auto below =
            std::count_if(values.begin(), values.end(), [&](double v) { return v <= bound; });
        samples += fmt::format(R"({}{{"metric": {{"le": "{}"}}, "value": [1.5, "{}"]}})",
                               samples.empty() ? "" : ", ",
                               bound > 1e8 ? "+Inf" : fmt::format("{}", bound), below);
      }
    }
    return {.body = fmt::format(
                R"({{"status": "success", "data": {{"resultType": "vector", "result": [{}]}}}})",
                samples)};
  }

 private:
  void script(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << "#!/bin/sh\ncd " << folder_.string() << "\n" << text << "\n";
    fs::permissions(folder_ / name, fs::perms::owner_all);
  }

  fs::path folder_;
  double batch_ = 16;
};

std::string quick(std::string text) {
  return replaced(std::move(text), "\"engine\": \"generic\",",
                  "\"engine\": \"generic\", \"timeout_s\": 0.2,");
}

Result<std::shared_ptr<arqon::testing::Rig>> make_rig() {
  auto rig = std::make_shared<ShopRig>();
  const std::string text = replaced(quick(examples().at(0)), "\"settle_s\": 5",
                                    "\"settle_s\": 0.5, \"deadline_s\": 0.2");
  const Status attached = rig->attach(text, {.name = "chat", .ttft_ms = 200});
  if (!attached) return tl::unexpected<Error>(attached.error());
  return rig;
}

ARQON_ENGINE_SUITE(Generic, make_rig);

TEST(GenericHowTo, first_example_moves_a_limit_over_http) {
  ShopRig rig;
  ASSERT_EQ(examples().size(), 3u);
  ASSERT_TRUE(rig.attach(examples()[0], {.name = "chat", .ttft_ms = 200, .e2e_ms = 1000}));
  const serving::Capabilities& c = rig.engine().capabilities();
  EXPECT_EQ(c.identity.engine, "shop-llm 4");
  EXPECT_EQ(c.knobs[0].name, "main.batch_size");
  EXPECT_EQ(c.boot, Config{16});
  EXPECT_EQ(rig.engine().apply({48}).value(), Config{48});
  EXPECT_EQ(rig.truth(), Config{48});
  rig.traffic().serve(5);
  rig.traffic().serve(2, 0.3);
  const serving::Observation seen = rig.engine().observe();
  EXPECT_TRUE(seen.fresh);
  EXPECT_EQ(seen.classes[0].good, 5u);
  EXPECT_EQ(seen.classes[0].bad, 2u);
}

TEST(GenericHowTo, second_example_moves_workers_by_command) {
  ShopRig rig;
  ASSERT_TRUE(rig.attach(examples()[1], {.name = "all"}));
  const serving::Capabilities& c = rig.engine().capabilities();
  EXPECT_EQ(c.boot, (Config{4, 0.5}));
  EXPECT_EQ(c.knobs[0].change_class, ChangeClass::kReload);
  EXPECT_FALSE(c.facts[1].readback);
  EXPECT_EQ(rig.engine().apply({8, 0.75}).value(), (Config{8, 0.75}));
  EXPECT_EQ(rig.content("workers"), "8");
  EXPECT_EQ(rig.content("nice"), "0.75");
  EXPECT_EQ(rig.engine().observe().effective, (Config{8, 0.75}));
  rig.traffic().serve(3);
  rig.traffic().failed = 2;
  const serving::Observation seen = rig.engine().observe();
  EXPECT_EQ(seen.classes[0].good, 3u);
  EXPECT_EQ(seen.classes[0].bad, 2u);
}

TEST(GenericHowTo, third_example_reads_promql_and_writes_a_choice) {
  ShopRig rig;
  ASSERT_TRUE(rig.attach(examples()[2], {.name = "chat", .ttft_ms = 200, .e2e_ms = 1000}));
  EXPECT_EQ(rig.engine().capabilities().boot, Config{0});
  EXPECT_EQ(rig.engine().apply({1}).value(), Config{1});
  EXPECT_EQ(rig.policy_, "shortest first");
  rig.traffic().serve(4);
  rig.traffic().serve(3, 0.1, 5);
  const serving::Observation seen = rig.engine().observe();
  EXPECT_TRUE(seen.fresh);
  EXPECT_EQ(seen.classes[0].good, 4u);
  EXPECT_EQ(seen.classes[0].bad_by[static_cast<std::size_t>(serving::Limit::kE2e)], 3u);
}

TEST(GenericEngine, a_refusal_of_the_second_knob_takes_the_first_back) {
  ShopRig rig;
  ASSERT_TRUE(rig.attach(examples()[1], {.name = "all"}));
  rig.touch("refuse_nice");
  const auto out = rig.engine().apply({8, 0.75});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, ErrorCode::kRefused) << out.error().message;
  EXPECT_EQ(rig.content("workers"), "4");
  EXPECT_EQ(rig.engine().observe().effective, (Config{4, 0.5}));
}

TEST(GenericEngine, what_cannot_be_read_back_any_more_is_no_observation) {
  ShopRig rig;
  ASSERT_TRUE(rig.attach(examples()[1], {.name = "all"}));
  rig.touch("workers");  // "x" is no number
  EXPECT_FALSE(rig.engine().observe().fresh);
  const auto out = rig.engine().apply({8, 0.5});
  ASSERT_FALSE(out);
  EXPECT_NE(out.error().message.find("read back as \"x\""), std::string::npos);
}

TEST(GenericTarget, every_mistake_is_told_with_its_place) {
  ShopRig rig;
  const Status wrong = rig.attach(R"({"engine": "generic", "metrics": "http://127.0.0.1:9000/m",
  "knobs": {"a": {"min": 1, "max": 2, "write": {"url": "http://h/x"}, "read": "none"},
            "b": {"min": 1, "write": {"command": "set {value}"}, "reed": 1}},
  "readings": {"tftt": "x", "ttft": {"promql": "y"}}})",
                                  {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kInvalidConfig);
  const std::string& text = wrong.error().message;
  for (const std::string_view part :
       {"target.knobs.a.write (line 2, column 39): has no {value} in it", "target.knobs.a.value",
        "target.knobs.b.max", "target.knobs.b.write.command",
        "target.knobs.b.reed (line 3, column 66): unknown key; did you mean \"read\"?",
        "target.readings.tftt", "PromQL needs target.prometheus"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
  }
}

TEST(GenericTarget, something_must_count_requests) {
  ShopRig rig;
  const Status none =
      rig.attach(R"({"engine": "generic", "metrics": "http://127.0.0.1:9000/metrics",
                                     "readings": {"running": "shop_running"}})",
                 {});
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("give e2e or requests"), std::string::npos);
}

TEST(GenericCall, values_are_escaped_as_their_place_needs_it) {
  ReplayServer server([](const ReplayRequest& r) { return ReplayAnswer{.body = r.path + r.body}; });
  net::Client client;
  const Call call{.method = "POST",
                  .url = server.url() + "/x?v={value}",
                  .body = R"({"v": "{value}", "was": "{former}"})"};
  EXPECT_EQ(make_call(client, call, {"a b\"&", "c"}, std::chrono::seconds(2)).value(),
            R"(/x?v=a%20b%22%26{"v": "a b\"&", "was": "c"})");
  const Call command{.command = {"echo", "{value}; $HOME"}};
  EXPECT_EQ(make_call(client, command, {"`id`", ""}, std::chrono::seconds(2)).value(),
            "`id`; $HOME\n");
}

TEST(GenericCall, takes_the_value_out_of_every_kind_of_answer) {
  Call pointer{.pointer = "/a/1/b~1c", .has_pointer = true};
  EXPECT_EQ(value_in(pointer, R"({"a": [0, {"b/c": 7}]})").value(), "7");
  EXPECT_EQ(value_in(pointer, R"({"a": [0]})").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(value_in(pointer, "<html>").error().code, ErrorCode::kUnavailable);
  Call series{.series = "x", .labels = {{"r", "1"}}};
  EXPECT_EQ(value_in(series, "x{r=\"0\"} 3\nx{r=\"1\"} 4\n").value(), "4");
  EXPECT_FALSE(value_in(series, "y 1\n"));
  EXPECT_EQ(value_in({}, " 12 \n").value(), "12");
}

TEST(PromQl, takes_vectors_and_scalars_and_nothing_else) {
  const auto scalar = samples_of(parsed(R"({"status": "success", "data": {"resultType": "scalar",
                            "result": [1, "2.5"]}})"),
                                 "x");
  EXPECT_EQ(scalar->at(0).value, 2.5);
  for (
      const char* bad :
      {R"({"status": "error"})", R"({"status": "success", "data": {}})", "[]",
       R"({"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, 2]}]}})"}) {
    EXPECT_FALSE(samples_of(parsed(bad), "x")) << bad;
  }
  ReplayServer server([](const ReplayRequest&) {
    return ReplayAnswer{.status = 400, .body = R"({"status":"error","error":"parse error"})"};
  });
  net::Client client;
  const auto refused = query(client, server.url(), "sum(", "x", std::chrono::seconds(2));
  EXPECT_EQ(refused.error().code, ErrorCode::kRefused);
  EXPECT_EQ(refused.error().message, "sum(: parse error");
}

TEST(GenericProbe, says_what_answers_and_what_to_write) {
  ShopRig rig;
  const Probe seen = generic::probe(rig.server().url() + "/metrics", rig.clock()).value();
  EXPECT_TRUE(seen.reachable);
  EXPECT_NE(seen.notes[0].find("fit for target.metrics"), std::string::npos);
  EXPECT_NE(seen.next[0].find("docs/howto/generic.md"), std::string::npos);
}

}  // namespace
}  // namespace arqon::adapters::generic
