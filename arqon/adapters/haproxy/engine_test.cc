#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "arqon/adapters/haproxy/engine.h"
#include "arqon/adapters/haproxy/fake_haproxy_test_util.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::haproxy {
namespace {

class Haproxy : public testing::Test {
 protected:
  Haproxy() : hap_({{.name = "small", .weight = 90}, {.name = "large", .weight = 10}}) {}

  AttachRequest request(const std::string& more = "") {
    const std::string text =
        fmt::format(R"({{"engine": "haproxy", "socket": "{}", "backend": "be"{}}})",
                    hap_.socket().string(), more);
    auto target = wire::parse_json(text);
    EXPECT_TRUE(target.has_value()) << text;
    return {.target = *target, .knobs = {}, .classes = classes_, .clock = clock_};
  }
  std::string with_log(const std::string& more = "") {
    return fmt::format(R"(, "log": {{"unix": "{}"}}{})", log_path().string(), more);
  }
  std::filesystem::path log_path() { return hap_.folder() / "log"; }
  std::unique_ptr<HaproxyEngine> attach(const std::string& more = "") {
    auto engine = HaproxyEngine::attach(request(more));
    EXPECT_TRUE(engine.has_value()) << engine.error().message;
    return engine ? std::move(*engine) : nullptr;
  }
  std::string refusal(AttachRequest request) {
    const auto engine = HaproxyEngine::attach(request);
    EXPECT_FALSE(engine.has_value());
    if (engine) return {};
    EXPECT_EQ(engine.error().code, ErrorCode::kInvalidConfig);
    return engine.error().message;
  }
  void send(const std::string& line) {
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strncpy(to.sun_path, log_path().c_str(), sizeof(to.sun_path) - 1);
    const auto* address = reinterpret_cast<const sockaddr*>(&to);
    EXPECT_EQ(::sendto(fd, line.data(), line.size(), MSG_DONTWAIT, address, sizeof to),
              static_cast<ssize_t>(line.size()));
    ::close(fd);
  }
  // One request that ended: the counter of its server moves and its line is sent.
  void finish(const std::string& server, int status, double total_ms, int pid = 4242,
              const std::string& header = "", bool marked = true) {
    hap_.with([&](FakeState& s) {
      for (FakeServer& fake : s.servers) {
        if (fake.name == server) ++fake.sent;
      }
    });
    send(fmt::format("arqon1 {} 1795417786.938 fe be {} {} 500 -- 0/0/0/1/{} {} 0/0 0 POST "
                     "\"{}\"",
                     pid, server, status, total_ms,
                     marked ? "1795417786938/1795417786948" : "-/-", header));
  }

  FakeHaproxy hap_;
  ManualClock clock_;
  std::vector<serving::Slo> classes_{{.name = "chat", .e2e_ms = 1000}};
};

TEST_F(Haproxy, OffersTheSplitAsItIsInForce) {
  const auto engine = attach();
  const serving::Capabilities& c = engine->capabilities();
  EXPECT_EQ(c.identity.engine, "haproxy 2.6.12-1+deb12u4");
  ASSERT_EQ(c.knobs.size(), 1u);
  EXPECT_EQ(c.knobs[0].name, "router.router_weights");
  EXPECT_EQ(c.knobs[0].choices, (std::vector<std::string>{"small", "large"}));
  EXPECT_EQ(c.knobs[0].change_class, ChangeClass::kLive);
  EXPECT_EQ(c.boot, (Config{0.9, 0.1}));
}

TEST_F(Haproxy, PutsASplitInForceInOneLineAndReturnsItAsAsked) {
  const auto engine = attach();
  const Config asked{0.7, 0.3};
  const auto effective = engine->apply(asked);
  ASSERT_TRUE(effective.has_value()) << effective.error().message;
  EXPECT_EQ(*effective, asked);
  hap_.with([](FakeState& s) {
    EXPECT_EQ(s.servers[0].weight, 179);
    EXPECT_EQ(s.servers[1].weight, 77);
    s.commands.clear();
  });
  EXPECT_EQ(engine->observe().effective, asked);
  ASSERT_TRUE(engine->apply(asked).has_value());
  hap_.with([](FakeState& s) { EXPECT_TRUE(s.commands.empty()) << "it was in force already"; });
}

TEST_F(Haproxy, TheSplitIsAcknowledgedByTheCountersOnly) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({0.5, 0.5}).has_value());
  EXPECT_FALSE(engine->observe().acknowledged) << "no request has come yet";
  hap_.with([](FakeState& s) { s.servers[0].sent = 300; });
  EXPECT_FALSE(engine->observe().acknowledged) << "one server got everything";
  hap_.with([](FakeState& s) {
    s.servers[0].sent = 420;
    s.servers[1].sent = 118;
  });
  EXPECT_TRUE(engine->observe().acknowledged);
}

TEST_F(Haproxy, RefusesSettingsOutsideTheDomainAndOtherReplicas) {
  const auto engine = attach();
  EXPECT_EQ(engine->apply({0.9, 0.2}).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(engine->apply({1.5, -0.5}).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(engine->apply({0.5, 0.5}, serving::Scope{1}).error().code, ErrorCode::kInvalidConfig);
  hap_.with([](FakeState& s) { EXPECT_TRUE(s.commands.empty()); });
}

TEST_F(Haproxy, YesWithoutAnEffectIsAConflict) {
  const auto engine = attach();
  ASSERT_TRUE(engine->apply({0.123, 0.877}).has_value());  // not a multiple of 1/256
  hap_.with([](FakeState& s) { s.deaf = true; });
  const auto effective = engine->apply({0.5, 0.5});
  EXPECT_EQ(engine->observe().effective, (Config{0.123, 0.877}));
  ASSERT_FALSE(effective.has_value());
  EXPECT_EQ(effective.error().code, ErrorCode::kConflict);
}

TEST_F(Haproxy, CapsOnlyWhereTheBackendHasOneServer) {
  AttachRequest two = request();
  two.knobs = {{.name = "main.batch_size", .type = ParamType::kInt, .min = 1, .max = 8}};
  EXPECT_NE(refusal(two).find("2 servers"), std::string::npos);

  hap_.with([](FakeState& s) { s.servers.resize(1); });
  const auto engine = attach();
  ASSERT_EQ(engine->capabilities().knobs[0].name, "main.batch_size");
  EXPECT_EQ(engine->capabilities().boot, (Config{64}));
  EXPECT_EQ(engine->apply({3}), (Config{3}));
  hap_.with([](FakeState& s) { EXPECT_EQ(s.servers[0].maxconn, "3"); });
  EXPECT_EQ(engine->apply({0}).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(engine->apply({65}).error().code, ErrorCode::kInvalidConfig);

  hap_.with([](FakeState& s) { s.servers[0].maxconn = ""; });
  AttachRequest unlimited = request();
  unlimited.knobs = {{.name = "main.batch_size", .type = ParamType::kInt, .min = 1, .max = 8}};
  EXPECT_NE(refusal(unlimited).find("maxconn N"), std::string::npos);
}

TEST_F(Haproxy, AttachSaysWhatDoesNotFit) {
  AttachRequest typo = request();
  typo.knobs = {{.name = "router.router_weight", .type = ParamType::kSimplex}};
  EXPECT_NE(refusal(typo).find("did you mean \"router_weights\""), std::string::npos);
  AttachRequest wrong = request();
  wrong.knobs = {{.name = "router.router_weights",
                  .type = ParamType::kSimplex,
                  .choices = {"small", "huge"}}};
  EXPECT_NE(refusal(wrong).find("it has small, large"), std::string::npos);
  EXPECT_NE(refusal(request(R"(, "prices": {"tiny": 1})")).find("no server \"tiny\""),
            std::string::npos);
  EXPECT_NE(refusal(request(R"(, "log": {"udp": "x"})")).find("PORT"), std::string::npos);
  EXPECT_NE(refusal(request(R"(, "prices": {"small": {"per_million_tokens": 2}})")).find("tokens"),
            std::string::npos);
  classes_ = {{.name = "chat", .tpot_ms = 20}};
  EXPECT_NE(refusal(request(with_log())).find("ttft_ms or e2e_ms"), std::string::npos);
  classes_ = {{.name = "chat", .e2e_ms = 20}, {.name = "code", .e2e_ms = 20}};
  EXPECT_NE(refusal(request(with_log())).find("class_by"), std::string::npos);
  hap_.with([](FakeState& s) { s.algorithm = "static-rr"; });
  AttachRequest fixed = request();
  fixed.knobs = {{.name = "router.router_weights",
                  .type = ParamType::kSimplex,
                  .choices = {"small", "large"}}};
  EXPECT_NE(refusal(fixed).find("static-rr"), std::string::npos);
}

TEST_F(Haproxy, CountsOutcomesByClassAndWaitingByHaproxy) {
  classes_ = {{.name = "chat", .e2e_ms = 1000}, {.name = "code", .e2e_ms = 5000}};
  const auto engine = attach(
      with_log(R"(, "class_by": "header", "class_names": {"interactive": "chat"})"));
  finish("small", 200, 900, 4242, "interactive");
  finish("large", 200, 1100, 4242, "interactive");
  finish("large", 200, 1100, 4242, "code");
  finish("small", 503, 10, 4242, "nobody knows this");
  hap_.with([](FakeState& s) {
    s.servers[0].open = 3;
    s.servers[1].queued = 2;
  });
  const serving::Observation now = engine->observe();
  EXPECT_TRUE(now.fresh);
  EXPECT_EQ(now.running, 3);
  EXPECT_EQ(now.waiting, 2);
  ASSERT_EQ(now.classes.size(), 2u);
  EXPECT_EQ(now.classes[0].arrived, 3u);
  EXPECT_EQ(now.classes[0].good, 1u);
  EXPECT_EQ(now.classes[0].bad_by[static_cast<std::size_t>(serving::Limit::kE2e)], 1u);
  EXPECT_EQ(now.classes[0].bad_by[static_cast<std::size_t>(serving::Limit::kRejected)], 1u);
  EXPECT_EQ(now.classes[1].good, 1u);
}

TEST_F(Haproxy, AReloadIsANewEpochAndTheLostValuesShow) {
  const auto engine = attach(with_log());
  ASSERT_TRUE(engine->apply({0.5, 0.5}).has_value());
  finish("small", 200, 100);
  EXPECT_EQ(engine->observe().classes[0].good, 1u);
  hap_.with([](FakeState& s) {  // as configured again, counters at 0
    s.pid = 4300;
    s.servers[0] = {.name = "small", .weight = 90};
    s.servers[1] = {.name = "large", .weight = 10};
  });
  finish("large", 200, 100, 4242);  // the old process ends what it held
  finish("large", 200, 100, 4300);
  hap_.with([](FakeState& s) { s.servers[1].sent = 1; });
  const serving::Observation now = engine->observe();
  EXPECT_EQ(now.epoch, 1u);
  EXPECT_EQ(now.effective, (Config{0.9, 0.1}));
  EXPECT_EQ(now.classes[0].arrived, 1u) << "the old process's request is of the old epoch";
  EXPECT_EQ(engine->health(), serving::Health::kOk);
  EXPECT_EQ(engine->apply({0.5, 0.5}), (Config{0.5, 0.5}));
}

TEST_F(Haproxy, SilenceAndGarbageMakeReadingsStaleAndNothingIsWritten) {
  const auto engine = attach(with_log());
  finish("small", 200, 100);
  EXPECT_EQ(engine->observe().classes[0].good, 1u);
  hap_.with([](FakeState& s) { s.instead = "<html>503</html>"; });
  const serving::Observation stale = engine->observe();
  EXPECT_FALSE(stale.fresh);
  EXPECT_EQ(stale.classes[0].good, 1u) << "the last good counters";
  EXPECT_EQ(engine->health(), serving::Health::kDown);
  EXPECT_EQ(engine->apply({0.5, 0.5}).error().code, ErrorCode::kUnavailable);
  hap_.stop();
  EXPECT_FALSE(engine->observe().fresh);
  hap_.with([](FakeState& s) { s.instead.clear(); });
  hap_.start();
  EXPECT_TRUE(engine->observe().fresh);
  EXPECT_EQ(engine->observe().epoch, 0u) << "the same process all along";
  hap_.with([](FakeState& s) { EXPECT_TRUE(s.commands.empty()); });
}

TEST_F(Haproxy, ALogThatDoesNotComeIsNoticed) {
  const auto engine = attach(with_log());
  EXPECT_TRUE(engine->observe().fresh);
  hap_.with([](FakeState& s) { s.servers[0].sent += 20; });
  EXPECT_FALSE(engine->observe().fresh) << "20 requests ended and no line came";
  EXPECT_NE(engine->front().log_trouble().find("20 requests ended and 0 log lines came"),
            std::string::npos);
  clock_.advance(11);
  (void)engine->observe();
  clock_.advance(11);
  for (int i = 0; i < 20; ++i) {
    finish("small", 200, 100);
    EXPECT_TRUE(engine->observe().fresh) << "lines come again";
  }
}

TEST_F(Haproxy, TtftIsJudgedOnlyWhereTheFirstByteIsMarked) {
  classes_ = {{.name = "chat", .ttft_ms = 5}};
  const auto engine = attach(with_log());
  finish("small", 200, 100);
  EXPECT_EQ(engine->observe().classes[0].bad, 1u) << "marked after 10 ms";
  finish("small", 200, 100, 4242, "", false);
  EXPECT_FALSE(engine->observe().fresh);
  EXPECT_NE(engine->front().log_trouble().find("first byte"), std::string::npos);
}

TEST_F(Haproxy, AnotherFleetBehindItMayNotBeWrittenTo) {
  const auto engine = attach();
  hap_.with([](FakeState& s) {
    s.pid = 4300;
    s.servers[1].address = "127.0.0.1:9";
  });
  EXPECT_EQ(engine->health(), serving::Health::kUnqualified);
  EXPECT_EQ(engine->apply({0.5, 0.5}).error().code, ErrorCode::kRefused);
  hap_.with([](FakeState& s) { EXPECT_TRUE(s.commands.empty()); });
  ASSERT_TRUE(engine->requalify().has_value());
  EXPECT_EQ(engine->health(), serving::Health::kOk);
  EXPECT_TRUE(engine->apply({0.5, 0.5}).has_value());
  hap_.with([](FakeState& s) { s.servers[1].name = "other"; });
  EXPECT_EQ(engine->health(), serving::Health::kUnqualified);
  EXPECT_EQ(engine->requalify().error().code, ErrorCode::kInvalidConfig);
}

TEST_F(Haproxy, AServerThatIsDownOrAQueueThatStandsStillIsDegraded) {
  const auto engine = attach(R"(, "stall_s": 5)");
  EXPECT_EQ(engine->health(), serving::Health::kOk);
  hap_.with([](FakeState& s) { s.servers[1].status = "DOWN"; });
  EXPECT_EQ(engine->health(), serving::Health::kDegraded);
  hap_.with([](FakeState& s) {
    s.servers[1].status = "UP";
    s.servers[0].open = s.servers[0].sent = 2;
  });
  EXPECT_EQ(engine->health(), serving::Health::kOk);
  clock_.advance(6);
  EXPECT_EQ(engine->health(), serving::Health::kDegraded) << "two open requests, none ends";
  hap_.with([](FakeState& s) { s.servers[0].open = 1; });
  EXPECT_EQ(engine->health(), serving::Health::kOk);
}

TEST_F(Haproxy, PaysByTheSecondAndByTheRequest) {
  const auto engine = attach(
      with_log(R"(, "prices": {"small": 0.5, "large": {"per_request": 2}})"));
  EXPECT_EQ(engine->observe().paid_dollars, 0);
  clock_.advance(10);
  finish("large", 200, 100);
  finish("small", 200, 100);
  EXPECT_DOUBLE_EQ(engine->observe().paid_dollars, 7);
  hap_.with([](FakeState& s) { s.servers[0].status = "MAINT"; });
  clock_.advance(10);
  EXPECT_DOUBLE_EQ(engine->observe().paid_dollars, 7) << "in maintenance it costs nothing";
}

TEST_F(Haproxy, RouterDrainsAllButTheLastServer) {
  const auto engine = attach();
  Router& router = engine->router();
  hap_.with([](FakeState& s) { s.servers[0].open = 1; });
  ASSERT_TRUE(router.drain(0).has_value());
  ASSERT_TRUE(router.drain(0).has_value()) << "drained already";
  EXPECT_EQ(router.is_idle(0), false);
  hap_.with([](FakeState& s) { s.servers[0].open = 0; });
  EXPECT_EQ(router.is_idle(0), true);
  EXPECT_EQ(router.drain(1).error().code, ErrorCode::kRefused);
  EXPECT_EQ(engine->health(), serving::Health::kOk) << "drained on purpose";
  ASSERT_TRUE(router.ready(0).has_value());
  hap_.with([](FakeState& s) { EXPECT_EQ(s.servers[0].status, "UP"); });
}

TEST_F(Haproxy, DoctorNamesWhatIsLiveAndWhatWouldMakeItSo) {
  const auto found = probe("unix:" + hap_.socket().string(), clock_);
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->reachable);
  ASSERT_EQ(found->knobs.size(), 2u);
  EXPECT_EQ(found->knobs[0].access, "live");
  EXPECT_EQ(found->knobs[0].value, "small 90, large 10");
  EXPECT_EQ(found->knobs[1].access, "absent");
  EXPECT_NE(found->knobs[1].why.find("2 servers"), std::string::npos);
  const auto nobody = probe("/nonexistent/socket", clock_);
  ASSERT_TRUE(nobody.has_value());
  EXPECT_FALSE(nobody->reachable);
  ASSERT_FALSE(nobody->next.empty());
  EXPECT_NE(nobody->next[0].find("stats socket"), std::string::npos);
}

}  // namespace
}  // namespace arqon::adapters::haproxy
