#include "arqon/load/load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "arqon/load/testing/sse_server.h"
#include "arqon/os/process.h"

namespace arqon::load {
namespace {

using testing::answer;
using testing::event;
using testing::head;
using testing::last_chunk;
using testing::Script;
using testing::Seen;
using testing::SseServer;
using testing::token;
using testing::usage;

std::shared_ptr<workload::Trace> every(double gap_s, std::size_t n, std::uint32_t tokens = 3) {
  auto trace = std::make_shared<workload::Trace>();
  for (std::size_t i = 0; i < n; ++i) {
    workload::Request request;
    request.arrival = from_seconds(gap_s * static_cast<double>(i));
    request.prompt_tokens = 11;
    request.output_tokens = tokens;
    trace->push_back(request);
  }
  return trace;
}

Options options_for(const SseServer& server, std::shared_ptr<workload::Trace> trace) {
  Options options;
  options.url = server.url();
  options.model = "m";
  options.trace = std::move(trace);
  options.classes = {{.name = "chat", .ttft_ms = 5000}};
  options.drain_s = 20;
  return options;
}

Outcome must_run(const Options& options, const Hooks& hooks = {}) {
  os::SystemClock clock;
  auto outcome = run(options, clock, hooks);
  EXPECT_TRUE(outcome) << outcome.error().message;
  return std::move(*outcome);
}

SseServer::Plan always(double ttft_ms, double gap_ms) {
  return {.script = [=](std::size_t, const Seen& seen) {
    return answer(seen.max_tokens, ttft_ms, gap_ms);
  }};
}

std::uint64_t failures(const Outcome& outcome, Failure failure) {
  return outcome.failures[static_cast<std::size_t>(failure)];
}

TEST(Load, EveryRequestEndsGoodWithTheTokensAskedFor) {
  SseServer server(always(1, 1));
  const Outcome outcome = must_run(options_for(server, every(0.005, 60, 7)));
  EXPECT_EQ(outcome.totals.ledger.arrived, 60U);
  EXPECT_EQ(outcome.totals.ledger.good, 60U);
  EXPECT_EQ(outcome.totals.good_tokens, 420U);
  EXPECT_EQ(outcome.tokens, 420U);
  EXPECT_EQ(outcome.totals.tpot_ms.n, 60U);
  EXPECT_EQ(outcome.totals.attainment, 1);
  for (const Row& row : outcome.rows) {
    EXPECT_EQ(row.prompt_tokens, 11U);
    EXPECT_EQ(row.output_tokens, 7U);
    EXPECT_EQ(row.pieces, 7U);
    EXPECT_TRUE(row.arrival_s <= row.sent_s && row.sent_s <= row.first_token_s &&
                row.first_token_s <= row.last_token_s && row.last_token_s <= row.end_s);
  }
  EXPECT_FALSE(outcome.saturation.server());
  EXPECT_GT(outcome.cpu_s, 0);
}

TEST(Load, TheSameSeedSendsTheSameBytes) {
  const auto bodies = [](std::uint64_t seed) {
    SseServer server(always(0, 0));
    Options options = options_for(server, every(0.01, 10));
    options.seed = seed;
    must_run(options);
    std::vector<std::string> out;
    for (const Seen& seen : server.seen()) out.push_back(seen.body);
    return out;
  };
  const auto first = bodies(1);
  EXPECT_EQ(first.size(), 10U);
  EXPECT_EQ(first, bodies(1));
  EXPECT_NE(first, bodies(2));
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()).size(), 10U);
}

// The reason for the intended-arrival clock: a server that stands still for a second hides itself
// from a client that counts from sending, or that waits before it sends.
TEST(Load, AStallIsSeenByEveryRequestThatWasDueInIt) {
  SseServer::Plan plan = always(1, 1);
  plan.stall_at_s = 0.5;
  plan.stall_s = 1;
  SseServer server(std::move(plan));
  const Outcome outcome = must_run(options_for(server, every(0.01, 200)));
  EXPECT_EQ(outcome.totals.ledger.good, 200U);
  std::size_t long_waits = 0;
  for (const Row& row : outcome.rows) {
    const double ttft_ms = outcome_of(row).ttft_ms;
    if (ttft_ms > 500) ++long_waits;
    // Due 0.2 s into the stall, a request has 0.8 s of it before itself.
    if (row.arrival_s > 0.6 && row.arrival_s < 1.4) {
      EXPECT_GT(ttft_ms, (1.5 - row.arrival_s) * 1e3 - 60) << row.arrival_s;
    }
  }
  EXPECT_GE(long_waits, 40U);
  EXPECT_GT(outcome.totals.ttft_ms.p90, 400);
}

TEST(Load, ALateClientCannotHideEither) {
  SseServer server(always(100, 1));
  Options options = options_for(server, every(0.02, 150, 2));
  options.streams_max = 2;  // carries 20 requests a second of the 50 that are due
  const Outcome outcome = must_run(options);
  EXPECT_EQ(outcome.totals.ledger.arrived, 150U);
  EXPECT_EQ(outcome.failures, decltype(outcome.failures){});
  EXPECT_GT(outcome.lag_ms_max, 1000);
  EXPECT_GT(outcome_of(outcome.rows.back()).ttft_ms, outcome.lag_ms_max * 0.9);
  EXPECT_TRUE(outcome.saturation.client() || outcome.seconds < 4);
  EXPECT_TRUE(outcome.saturation.streams_full);
}

TEST(Load, TheLargestGapIsExact) {
  SseServer server({.script = [](std::size_t, const Seen&) {
    Script script = answer(6, 5, 10);
    script.steps[4].delay_ms = 150;  // before the fourth token
    return script;
  }});
  const Outcome outcome = must_run(options_for(server, every(0.1, 10, 6)));
  EXPECT_EQ(outcome.totals.ledger.good, 10U);
  std::vector<double> gaps;
  for (const Row& row : outcome.rows) gaps.push_back(row.max_gap_ms);
  std::sort(gaps.begin(), gaps.end());
  EXPECT_GE(gaps.front(), 140);
  // The median, because a busy machine may wake either side late.
  EXPECT_NEAR(gaps[5], 150, 15);
  EXPECT_NEAR(outcome.totals.tpot_ms.p50, (150 + 4 * 10) / 5.0, 10);
}

TEST(Load, OneTokenHasNoGapAndNoTimePerToken) {
  SseServer server(always(1, 1));
  const Outcome outcome = must_run(options_for(server, every(0.01, 5, 1)));
  EXPECT_EQ(outcome.totals.ledger.good, 5U);
  EXPECT_EQ(outcome.totals.tpot_ms.n, 0U);
  EXPECT_EQ(outcome.totals.max_gap_ms.n, 0U);
  EXPECT_EQ(outcome.totals.ttft_ms.n, 5U);
}

TEST(Load, LimitsMakeALateRequest) {
  SseServer server(always(60, 1));
  Options options = options_for(server, every(0.02, 5));
  options.classes[0].ttft_ms = 30;
  const Outcome outcome = must_run(options);
  EXPECT_EQ(outcome.totals.ledger.late, 5U);
  EXPECT_EQ(outcome.totals.classes[0].late_by[static_cast<std::size_t>(serving::Limit::kTtft)], 5U);
  EXPECT_EQ(outcome.totals.attainment, 0);
}

struct BadAnswer {
  Failure failure;
  Script script;
};

std::vector<BadAnswer> bad_answers() {
  const auto streamed = [](std::vector<std::string> events, bool close) {
    Script script{{head()}, close};
    for (const std::string& e : events) script.steps.push_back(event(e));
    if (!close) script.steps.push_back(last_chunk());
    return script;
  };
  return {
      {Failure::kRefused, testing::status(503, R"({"error":"queue full"})")},
      {Failure::kRefused, testing::status(429, "slow down")},
      {Failure::kStatus, testing::status(400, R"({"message":"too long"})")},
      {Failure::kStatus, testing::status(204, "")},
      {Failure::kNoTokens, streamed({usage(11, 0), "[DONE]"}, false)},
      {Failure::kNoTokens, streamed({"[DONE]"}, false)},
      {Failure::kNoTokens, testing::status(200, R"({"choices":[{"text":"whole"}]})")},
      {Failure::kShort, streamed({token(), token(), usage(11, 2), "[DONE]"}, false)},
      {Failure::kShort, streamed({token(), token(false, "stop"), "[DONE]"}, false)},
      {Failure::kBroken, streamed({token(), token()}, true)},
      {Failure::kBroken, streamed({token(), token(), token()}, false)},
      {Failure::kBroken, streamed({token(), "{\"choices\":[{", "[DONE]"}, false)},
      {Failure::kBroken, streamed({token(), token(false, "abort"), "[DONE]"}, false)},
      {Failure::kError, streamed({token(), R"({"error":{"message":"died"}})", "[DONE]"}, false)},
  };
}

TEST(Load, EveryBadAnswerIsAFailureOfItsKind) {
  const std::vector<BadAnswer> bad = bad_answers();
  SseServer server({.script = [&](std::size_t n, const Seen&) { return bad[n].script; }});
  Options options = options_for(server, every(0.03, bad.size(), 3));
  options.api_key = "s3cret";
  const Outcome outcome = must_run(options);
  ASSERT_EQ(outcome.rows.size(), bad.size());
  for (std::size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(to_string(outcome.rows[i].failure), to_string(bad[i].failure)) << i;
    EXPECT_EQ(outcome.rows[i].broke, serving::Limit::kRejected) << i;
  }
  EXPECT_EQ(outcome.totals.ledger.rejected, bad.size());
  EXPECT_EQ(outcome.totals.good_tokens, 0U);
  EXPECT_EQ(outcome.totals.e2e_ms.n, 0U);
  EXPECT_EQ(outcome.examples.size(), 6U);
  for (const FailureExample& example : outcome.examples) {
    EXPECT_FALSE(example.text.empty());
    EXPECT_EQ(example.text.find("s3cret"), std::string::npos);
  }
  EXPECT_NE(server.seen().front().head.find("Bearer s3cret"), std::string::npos);
}

// llama.cpp's server does this: it ends a connection after a stream without a word.
TEST(Load, AKeptConnectionThatIsClosedLosesNoRequestAndSaysSo) {
  SseServer server({.script = [](std::size_t n, const Seen& seen) {
    // Taken up, and the connection goes without a byte: as if it had been closed just before.
    return n == 5 ? Script{{}, true} : answer(seen.max_tokens, 1, 1);
  }});
  const Outcome outcome = must_run(options_for(server, every(0.05, 20)));
  EXPECT_EQ(outcome.totals.ledger.good, 20U);
  EXPECT_EQ(outcome.resent, 1U);
  EXPECT_TRUE(outcome.rows[5].resent);
  EXPECT_EQ(server.seen().size(), 21U);
}

TEST(Load, AFreshConnectionThatIsClosedIsAFailure) {
  SseServer server({.script = [](std::size_t, const Seen&) { return Script{{}, true}; }});
  const Outcome outcome = must_run(options_for(server, every(0.02, 4)));
  EXPECT_EQ(outcome.resent, 0U);
  EXPECT_EQ(failures(outcome, Failure::kConnection), 4U);
}

TEST(Load, NobodyThereIsAConnectionFailure) {
  std::string url;
  {
    SseServer gone(always(1, 1));
    url = gone.url();
  }
  SseServer server(always(1, 1));
  Options options = options_for(server, every(0.01, 4));
  options.url = url;
  const Outcome outcome = must_run(options);
  EXPECT_EQ(failures(outcome, Failure::kConnection), 4U);
  EXPECT_EQ(outcome.totals.ledger.rejected, 4U);
}

TEST(Load, AnAnswerThatNeverEndsIsATimeoutOrUnfinished) {
  const SseServer::Plan plan{.script = [](std::size_t, const Seen&) {
    Script script{{head(), event(token())}};
    script.hang = true;
    return script;
  }};
  SseServer server(plan);
  Options options = options_for(server, every(0.01, 3));
  options.request_timeout_s = 0.2;
  const Outcome timed = must_run(options);
  EXPECT_EQ(failures(timed, Failure::kTimeout), 3U);
  EXPECT_EQ(timed.totals.ledger.rejected, 3U);

  options.request_timeout_s = 60;
  options.drain_s = 0.3;
  const Outcome drained = must_run(options);
  EXPECT_EQ(drained.totals.ledger.unfinished, 3U);
  EXPECT_EQ(drained.totals.ledger.arrived, 3U);
  EXPECT_EQ(failures(drained, Failure::kCancelled), 3U);
  EXPECT_LT(drained.seconds, 5);
}

TEST(Load, WithoutIgnoreEosAShortAnswerIsGood) {
  SseServer server({.script = [](std::size_t, const Seen&) { return answer(2, 1, 1); }});
  Options options = options_for(server, every(0.01, 3, 9));
  options.ignore_eos = false;
  EXPECT_EQ(must_run(options).totals.ledger.good, 3U);
  EXPECT_EQ(server.seen().front().body.find("ignore_eos"), std::string::npos);
}

TEST(Load, WarmUpIsSentAndNotCounted) {
  SseServer server(always(1, 1));
  Options options = options_for(server, every(0.02, 20));
  options.warmup_s = 0.2;
  const Outcome outcome = must_run(options);
  EXPECT_EQ(outcome.warmup_requests, 10U);
  EXPECT_EQ(outcome.warmup_failures, 0U);
  EXPECT_EQ(outcome.totals.ledger.arrived, 20U);
  EXPECT_EQ(outcome.rows.size(), 30U);
  EXPECT_TRUE(outcome.rows.front().warmup);
  EXPECT_NEAR(outcome.rows.front().arrival_s, -0.2, 1e-9);
  std::set<std::string> bodies;
  for (const Seen& seen : server.seen()) bodies.insert(seen.body);
  EXPECT_EQ(bodies.size(), 30U) << "a warm-up prompt may not come again: prefix caches";
}

TEST(Load, StopDrainsAndKeepsWhatWasSent) {
  SseServer server(always(50, 1));
  std::stop_source source;
  Hooks hooks;
  hooks.stop = source.get_token();
  std::size_t seen = 0;
  hooks.ended = [&](const Row&) {
    if (++seen == 10) source.request_stop();
  };
  const Outcome outcome = must_run(options_for(server, every(0.01, 5000)), hooks);
  EXPECT_TRUE(outcome.stopped);
  EXPECT_EQ(outcome.totals.ledger.unfinished, 0U);
  EXPECT_EQ(outcome.totals.ledger.good, outcome.rows.size());
  EXPECT_GE(outcome.rows.size(), 10U);
  EXPECT_LT(outcome.rows.size(), 1000U);
}

TEST(Load, AbortLeavesWhatIsInFlightUnfinished) {
  SseServer server(always(60'000, 1));
  std::stop_source source;
  Hooks hooks;
  hooks.abort = source.get_token();
  hooks.progress = [&](const Progress& p) {
    if (p.arrived >= 20) source.request_stop();
  };
  const Outcome outcome = must_run(options_for(server, every(0.01, 5000)), hooks);
  EXPECT_EQ(outcome.totals.ledger.unfinished, outcome.rows.size());
  EXPECT_LT(outcome.seconds, 15);
}

TEST(Load, AClosedLoopKeepsItsConcurrency) {
  SseServer server({.script = [&](std::size_t, const Seen& seen) {
    return answer(seen.max_tokens, 5, 1);
  }});
  Options options = options_for(server, every(0, 60, 4));
  options.closed_loop_concurrency = 4;
  options.warmup_s = 0.1;
  const Outcome outcome = must_run(options);
  EXPECT_EQ(outcome.totals.ledger.arrived, 60U);
  EXPECT_EQ(outcome.totals.ledger.good, 60U);
  EXPECT_GT(outcome.warmup_requests, 0U);
  // At no time were more than four open: replay the rows.
  std::vector<std::pair<double, int>> edges;
  for (const Row& row : outcome.rows) {
    edges.emplace_back(row.sent_s, 1);
    edges.emplace_back(row.end_s, -1);
  }
  std::sort(edges.begin(), edges.end());
  int open = 0;
  for (const auto& [t, change] : edges) {
    open += change;
    EXPECT_LE(open, 4);
  }
}

TEST(Load, AServerThatCannotKeepUpIsNamed) {
  SseServer::Plan plan = always(50, 0);
  plan.slots = 1;  // 20 a second of 40
  SseServer server(std::move(plan));
  Options options = options_for(server, every(0.025, 320, 1));
  const Outcome outcome = must_run(options);
  ASSERT_TRUE(outcome.saturation.server());
  EXPECT_LT(outcome.saturation.server_from_s, 4);
  EXPECT_GT(outcome.saturation.backlog_to, 50);
  EXPECT_EQ(outcome.totals.ledger.arrived, 320U);
}

TEST(Load, WindowsAddUpToTheRun) {
  SseServer server(always(1, 1));
  const Outcome outcome = must_run(options_for(server, every(0.01, 90)));
  const auto classes = options_for(server, nullptr).classes;
  const serving::Totals a = totals_of(outcome.rows, classes, 0, 0.3);
  const serving::Totals b = totals_of(outcome.rows, classes, 0.3, 10);
  EXPECT_EQ(a.ledger.arrived, 30U);
  EXPECT_EQ(a.ledger.arrived + b.ledger.arrived, 90U);
  EXPECT_EQ(a.good_tokens + b.good_tokens, outcome.totals.good_tokens);
  EXPECT_NEAR(a.output_tokens_per_s, 300, 1);
}

TEST(Load, ChatSendsWordsAndReadsDeltas) {
  SseServer server({.script = [](std::size_t, const Seen&) {
    Script script{{head()}};
    script.steps.push_back(
        event(R"({"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]})"));
    script.steps.push_back(event(token(true), 80));
    script.steps.push_back(event(token(true, "length")));
    script.steps.push_back(event(usage(31, 2)));
    script.steps.push_back(event("[DONE]"));
    script.steps.push_back(last_chunk());
    return script;
  }});
  Options options = options_for(server, every(0.01, 3, 2));
  options.endpoint = Endpoint::kChat;
  options.prompts = Prompts::kWords;
  const Outcome outcome = must_run(options);
  EXPECT_EQ(outcome.totals.ledger.good, 3U);
  EXPECT_GE(outcome.totals.ttft_ms.p50, 79) << "the role is not the first token";
  EXPECT_EQ(outcome.rows[0].prompt_tokens, 31U) << "as the server counts";
  EXPECT_NE(server.seen()[0].head.find("/v1/chat/completions"), std::string::npos);
}

TEST(Load, OptionsThatCannotBeAreRefused) {
  os::SystemClock clock;
  SseServer server(always(1, 1));
  const Options good = options_for(server, every(0.1, 1));
  const auto refused = [&](auto change) {
    Options options = good;
    change(options);
    const auto outcome = run(options, clock);
    return !outcome && outcome.error().code == ErrorCode::kInvalidConfig;
  };
  EXPECT_TRUE(refused([](Options& o) { o.url = "127.0.0.1:80"; }));
  EXPECT_TRUE(refused([](Options& o) { o.url = "file:///etc/passwd"; }));
  EXPECT_TRUE(refused([](Options& o) { o.classes.clear(); }));
  EXPECT_TRUE(refused([](Options& o) { o.trace.reset(); }));
  EXPECT_TRUE(refused([](Options& o) { o.token_id_first = 900; }));
  EXPECT_TRUE(refused([](Options& o) { o.endpoint = Endpoint::kChat; }));
  EXPECT_TRUE(refused([](Options& o) { o.warmup_s = -1; }));
  EXPECT_TRUE(refused([](Options& o) { o.streams_max = 0; }));
}

}  // namespace
}  // namespace arqon::load
