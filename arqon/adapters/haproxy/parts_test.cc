#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

#include "arqon/adapters/haproxy/fake_haproxy_test_util.h"
#include "arqon/adapters/haproxy/log.h"
#include "arqon/adapters/haproxy/runtime.h"
#include "arqon/adapters/haproxy/weights.h"
#include "arqon/os/file.h"

namespace arqon::adapters::haproxy {
namespace {

std::string recorded(const std::string& name) {
  const auto text =
      os::read_file(std::filesystem::path(ARQON_SOURCE_DIR) / "tests/corpora" / name, 1u << 20);
  EXPECT_TRUE(text.has_value()) << name;
  return text.value_or("");
}

TEST(Stat, RealAnswerGivesServersWithWeightsCapsAndCounts) {
  const auto backends = parse_stat(recorded("haproxy_stat/stat_2.6.csv"));
  ASSERT_TRUE(backends.has_value()) << backends.error().message;
  ASSERT_EQ(backends->size(), 3u);
  const Backend& be = (*backends)[0];
  EXPECT_EQ(be.name, "be");
  EXPECT_EQ(be.algorithm, "roundrobin");
  EXPECT_EQ(be.sent, 14u);
  ASSERT_EQ(be.servers.size(), 2u);
  EXPECT_EQ(be.servers[0].name, "s1");
  EXPECT_EQ(be.servers[0].weight, 90);
  EXPECT_EQ(be.servers[0].maxconn, 64);
  EXPECT_EQ(be.servers[0].sent, 13u);
  EXPECT_EQ(be.servers[1].address, "127.0.0.1:26012");
  EXPECT_TRUE(be.servers[1].up());
  EXPECT_FALSE(takes_weights((*backends)[2].algorithm));
}

TEST(Stat, RealProcessIsReadWithVersionPidAndStart) {
  const auto process = parse_info(recorded("haproxy_stat/info_2.6.txt"));
  ASSERT_TRUE(process.has_value()) << process.error().message;
  EXPECT_EQ(process->version, "2.6.12-1+deb12u4");
  EXPECT_EQ(process->pid, 4457);
  EXPECT_GT(process->started_s, 1'700'000'000);
  EXPECT_FALSE(process->stopping);
}

TEST(Stat, HalfAndStrangeAnswersAreRefusedWithTheirReason) {
  for (const char* name : {"cut.csv", "negative.csv", "html.txt", "empty.txt"}) {
    const auto backends = parse_stat(recorded(std::string("haproxy_stat/") + name));
    ASSERT_FALSE(backends.has_value()) << name;
    EXPECT_EQ(backends.error().code, ErrorCode::kUnavailable) << name;
    EXPECT_NE(backends.error().message.find("show stat"), std::string::npos) << name;
  }
  EXPECT_FALSE(parse_info("Version: 2.6\nPid: 12").has_value());
}

TEST(Runtime, NonsenseIsRefusedBeforeItReachesTheSocket) {
  FakeHaproxy hap({{.name = "s1"}});
  const Runtime runtime(hap.socket());
  EXPECT_EQ(runtime.set_maxconn("be", "s1", -4).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(runtime.set_maxconn("be", "s1", 0).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(runtime.set_weights("be", {{"s1", 257}}).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(runtime.set_weights("be", {{"s1", -1}}).error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(runtime.set_weights("be", {{"s1 weight 0; shutdown frontend fe", 1}}).error().code,
            ErrorCode::kInvalidConfig);
  EXPECT_EQ(runtime.set_state("be\nset", "s1", Runtime::State::kDrain).error().code,
            ErrorCode::kInvalidConfig);
  hap.with([](FakeState& s) { EXPECT_TRUE(s.commands.empty()); });
}

TEST(Runtime, WritesAreReadBackAndRefusalsKeepHaproxysWords) {
  FakeHaproxy hap({{.name = "s1", .weight = 90}, {.name = "s2", .weight = 10}});
  const Runtime runtime(hap.socket());
  ASSERT_TRUE(runtime.set_weights("be", {{"s1", 200}, {"s2", 56}}).has_value());
  ASSERT_TRUE(runtime.set_maxconn("be", "s2", 7).has_value());
  const auto backend = runtime.backend("be");
  ASSERT_TRUE(backend.has_value()) << backend.error().message;
  EXPECT_EQ(backend->servers[0].weight, 200);
  EXPECT_EQ(backend->servers[1].weight, 56);
  EXPECT_EQ(backend->servers[1].maxconn, 7);
  const Status unknown = runtime.set_weights("be", {{"nope", 5}});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, ErrorCode::kRefused);
  EXPECT_NE(unknown.error().message.find("No such server."), std::string::npos);
  const auto other = runtime.backend("bee");
  ASSERT_FALSE(other.has_value());
  EXPECT_NE(other.error().message.find("it has be"), std::string::npos);
}

LogLine request(const std::string& text) {
  LogLine line;
  EXPECT_EQ(parse_log_line(text, line), LineKind::kRequest) << text;
  return line;
}

TEST(Log, StreamedAnswerHasTheFirstByteOfItsBodyNotOfItsHeaders) {
  const LogLine line = request(
      R"(arqon1 4457 1795417786.938 fe be s1 200 5591 -- 2/40/1/1/1045 1795417786940/1795417787925 0/3 0 POST "chat")");
  EXPECT_EQ(line.pid, 4457);
  EXPECT_EQ(line.server, "s1");
  EXPECT_EQ(line.status, 200);
  EXPECT_EQ(line.bytes, 5591u);
  EXPECT_EQ(line.queue_ms, 40);
  EXPECT_EQ(line.headers_ms, 1);
  EXPECT_EQ(line.total_ms, 1045);
  EXPECT_EQ(line.first_byte_ms, 987);  // 2 ms of reading and 985 of waiting
  EXPECT_EQ(line.header, "chat");
}

TEST(Log, SyslogHeadersAndTheMarkOfAnotherServerAreUnderstood) {
  EXPECT_EQ(request(recorded("haproxy_log/syslog.txt")).retries, 2);
  EXPECT_EQ(request(recorded("haproxy_log/syslog.txt")).frontend, "fe");  // "fe~" is TLS
  EXPECT_EQ(request(recorded("haproxy_log/rfc5424.txt")).first_byte_ms, -1);
}

TEST(Log, AHostileHeaderChangesNothingButItself) {
  const LogLine line = request(recorded("haproxy_log/hostile_header.txt"));
  EXPECT_EQ(line.status, 200);
  EXPECT_EQ(line.total_ms, 326);
  EXPECT_EQ(line.header.substr(0, 8), "arqon1 1");
}

TEST(Log, CutEarlyOrWildLinesAreBrokenAndMessagesAreNot) {
  LogLine line;
  for (const char* name : {"cut.txt", "logasap.txt", "nan.txt"}) {
    EXPECT_EQ(parse_log_line(recorded(std::string("haproxy_log/") + name), line),
              LineKind::kBroken)
        << name;
  }
  EXPECT_EQ(parse_log_line("backend be has no server available!\n", line), LineKind::kOther);
  EXPECT_TRUE(line.backend.empty());
}

RC_GTEST_PROP(Log, AnyCutOfALineIsBrokenOrOther, ()) {
  const std::string whole =
      R"(arqon1 4457 1795417786.938 fe be s1 200 5591 -- 2/40/1/1/1045 1/2 0/3 0 POST "chat")";
  const auto n = *rc::gen::inRange<std::size_t>(0, whole.size());
  LogLine line;
  RC_ASSERT(parse_log_line(whole.substr(0, n), line) != LineKind::kRequest);
}

struct EndCase {
  const char* name;
  int status;
  const char* termination;
  double total_ms, first_ms;
  const char* method;
  Ended::Kind kind;
  serving::Limit broken;
};

class HowItEnded : public testing::TestWithParam<EndCase> {};

TEST_P(HowItEnded, CountsAsItShould) {
  const EndCase& c = GetParam();
  const serving::Slo slo{.name = "chat", .ttft_ms = 100, .e2e_ms = 1000};
  LogLine line;
  line.status = c.status;
  line.termination = c.termination;
  line.total_ms = c.total_ms;
  line.first_byte_ms = c.first_ms;
  line.method = c.method;
  const Ended ended = how_it_ended(line, slo);
  EXPECT_EQ(ended.kind, c.kind);
  if (ended.kind == Ended::Kind::kCounted) {
    EXPECT_EQ(serving::judge(ended.outcome, slo), c.broken);
  }
}

using serving::Limit;
constexpr auto kCounted = Ended::Kind::kCounted;
INSTANTIATE_TEST_SUITE_P(
    Log, HowItEnded,
    testing::Values(
        EndCase{"good", 200, "--", 500, 50, "POST", kCounted, Limit::kNone},
        EndCase{"late_first", 200, "--", 500, 150, "POST", kCounted, Limit::kTtft},
        EndCase{"late_last", 200, "--", 1500, 50, "POST", kCounted, Limit::kE2e},
        EndCase{"no_server", 503, "SC", 0, -1, "POST", kCounted, Limit::kRejected},
        EndCase{"queue_timeout", 503, "sQ", 30000, -1, "POST", kCounted, Limit::kRejected},
        EndCase{"too_many", 429, "--", 1, 1, "POST", kCounted, Limit::kRejected},
        EndCase{"server_error", 500, "--", 1, 1, "POST", kCounted, Limit::kRejected},
        EndCase{"cut_by_server", 200, "SD", 500, 50, "POST", kCounted, Limit::kRejected},
        EndCase{"server_silent", 504, "sH", 60000, -1, "POST", kCounted, Limit::kRejected},
        EndCase{"left_early", -1, "CH", 60, -1, "POST", Ended::Kind::kCancelled, Limit::kNone},
        EndCase{"left_in_queue", -1, "CQ", 300, -1, "POST", kCounted, Limit::kTtft},
        EndCase{"left_while_reading", 200, "CD", 300, 50, "POST", Ended::Kind::kCancelled,
                Limit::kNone},
        EndCase{"own_mistake", 400, "--", 1, 1, "POST", Ended::Kind::kIgnored, Limit::kNone},
        EndCase{"list_of_models", 200, "--", 1, 1, "GET", Ended::Kind::kIgnored, Limit::kNone}),
    [](const auto& c) { return std::string(c.param.name); });

TEST(Weights, LargestRemainderKeepsTheSumAndTheOrder) {
  EXPECT_EQ(to_weights(std::vector<double>{0.5, 0.5}), (std::vector<int>{128, 128}));
  EXPECT_EQ(to_weights(std::vector<double>{1.0 / 3, 1.0 / 3, 1.0 / 3}),
            (std::vector<int>{86, 85, 85}));
  EXPECT_EQ(to_weights(std::vector<double>{1, 0}), (std::vector<int>{256, 0}));
  EXPECT_EQ(to_weights(std::vector<double>{0.9999, 0.0001}), (std::vector<int>{255, 1}));
}

RC_GTEST_PROP(Weights, AreWithinOnePartOfTheShares, (const std::vector<unsigned char>& raw)) {
  const double sum = std::accumulate(raw.begin(), raw.end(), 0.0);
  RC_PRE(sum > 0 && raw.size() <= 32);
  std::vector<double> shares;
  for (const unsigned char r : raw) shares.push_back(r / sum);
  const std::vector<int> weights = to_weights(shares);
  RC_ASSERT(std::accumulate(weights.begin(), weights.end(), 0) == 256);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    RC_ASSERT(weights[i] >= 0 && weights[i] <= 256);
    RC_ASSERT((weights[i] == 0) == (shares[i] == 0));
  }
}

TEST(Shares, AreBelievedWhenTheCountersShowThem) {
  ShareCheck check;
  check.begin({1000, 100}, {0.1, 0.9});
  EXPECT_FALSE(check.settled());
  const auto look = [&](std::uint64_t a, std::uint64_t b) {
    check.look(std::vector<std::uint64_t>{a, b});
  };
  look(1004, 136);  // too few
  EXPECT_FALSE(check.settled());
  look(1220, 100);  // 220 requests and the second server got none: the known stall
  EXPECT_FALSE(check.settled());
  look(1245, 290);  // the block after it
  EXPECT_TRUE(check.settled());
  EXPECT_NEAR(check.seen()[1], 190.0 / 215, 1e-9);
}

}  // namespace
}  // namespace arqon::adapters::haproxy
