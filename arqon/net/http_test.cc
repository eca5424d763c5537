#include "arqon/net/http.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "arqon/testing/replay_server.h"

namespace arqon::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ReplayAnswer;
using testing::ReplayFault;
using testing::ReplayRequest;
using testing::ReplayServer;

ReplayServer::Handler always(ReplayAnswer answer) {
  return [answer = std::move(answer)](const ReplayRequest&) { return answer; };
}

const std::string* header(const ReplayRequest& request, std::string_view name) {
  for (const auto& h : request.headers) {
    if (h.first == name) return &h.second;
  }
  return nullptr;
}

TEST(HttpClient, an_answer_of_any_status_is_an_answer) {
  ReplayServer server(always({.status = 503, .headers = {{"X-Why", " busy "}}, .body = "full"}));
  Client client;
  const Response answer = client.get(server.url() + "/metrics?x=1").value();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "full");
  ASSERT_NE(answer.header("x-why"), nullptr);
  EXPECT_EQ(*answer.header("x-why"), "busy");
  EXPECT_EQ(answer.header("x-none"), nullptr);
  EXPECT_EQ(server.requests()[0].path, "/metrics?x=1");
}

TEST(HttpClient, sends_method_headers_and_body_as_asked) {
  ReplayServer server([](const ReplayRequest& r) { return ReplayAnswer{.body = r.body}; });
  Client client;
  EXPECT_EQ(client.post_json(server.url(), "{\"a\":1}").value().body, "{\"a\":1}");
  const std::string large(2'000'000, 'b');
  EXPECT_EQ(client.send({.method = "PUT", .url = server.url(), .body = large}).value().body, large);
  EXPECT_EQ(client.send({.method = "POST", .url = server.url()}).value().status, 200);
  EXPECT_EQ(client.send({.method = "DELETE", .url = server.url()}).value().status, 200);
  EXPECT_EQ(client.send({.method = "HEAD", .url = server.url()}).value().status, 200);
  EXPECT_EQ(client.send({.url = server.url(), .headers = {{"X-A", "1"}, {"X-E", ""}}})->status,
            200);
  const auto seen = server.requests();
  ASSERT_EQ(seen.size(), 6u);
  EXPECT_EQ(*header(seen[0], "content-type"), "application/json");
  EXPECT_EQ(header(seen[1], "content-type"), nullptr) << "no type of libcurl's own";
  EXPECT_EQ(header(seen[1], "expect"), nullptr);
  EXPECT_EQ(*header(seen[2], "content-length"), "0");
  EXPECT_EQ(seen[1].method + seen[2].method + seen[3].method + seen[4].method, "PUTPOSTDELETEHEAD");
  EXPECT_EQ(*header(seen[5], "x-a"), "1");
  EXPECT_EQ(*header(seen[5], "x-e"), "");
}

TEST(HttpClient, keeps_its_connection_between_calls) {
  ReplayServer server(always({.body = "ok"}));
  Client client;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.post_json(server.url(), "{}").has_value());
  for (const ReplayRequest& request : server.requests()) EXPECT_EQ(request.connection, 0);
}

TEST(HttpClient, a_silent_server_costs_the_timeout_and_is_named) {
  ReplayServer server(always({.fault = ReplayFault::kNeverAnswer}));
  Client client;
  const auto answer = client.send({.url = server.url() + "/slow", .timeout = milliseconds(50)});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(answer.error().message, server.url() + "/slow did not answer within 50 ms");
  server.set_handler(always({.body = "late", .delay = seconds(30)}));
  EXPECT_FALSE(client.send({.url = server.url(), .timeout = milliseconds(50)}).has_value());
  server.set_handler(always({.body = "ok"}));
  EXPECT_EQ(client.get(server.url()).value().body, "ok") << "the client is not spoilt";
}

TEST(HttpClient, a_cut_garbled_or_refused_exchange_is_unavailable_and_not_repeated) {
  ReplayServer server(always({.body = "0123456789", .fault = ReplayFault::kCloseHalfway}));
  Client client;
  EXPECT_EQ(client.get(server.url()).error().code, ErrorCode::kUnavailable);
  server.set_handler(always({.fault = ReplayFault::kCloseHalfway, .chunks = {"a", "b"}}));
  EXPECT_EQ(client.get(server.url()).error().code, ErrorCode::kUnavailable);
  server.set_handler(always({.fault = ReplayFault::kGarbage}));
  EXPECT_EQ(client.post_json(server.url(), "{}").error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(server.requests().size(), 3u);
  server.stop();
  EXPECT_EQ(client.get(server.url()).error().code, ErrorCode::kUnavailable);
}

TEST(HttpClient, a_post_on_a_kept_connection_that_breaks_is_not_sent_twice) {
  ReplayServer server(always({.body = "ok"}));
  Client client;
  ASSERT_TRUE(client.post_json(server.url(), "{}").has_value());
  server.set_handler(always({.fault = ReplayFault::kHangUp}));
  EXPECT_FALSE(client.post_json(server.url(), "{\"n\":2}").has_value());
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST(HttpClient, an_answer_beyond_the_bound_is_refused) {
  ReplayServer server(always({.body = std::string(5000, 'x')}));
  Client client;
  const auto answer = client.send({.url = server.url(), .bytes_max = 4999});
  EXPECT_EQ(answer.error().message, server.url() + " answered more than 4999 bytes");
  EXPECT_TRUE(client.send({.url = server.url(), .bytes_max = 5000}).has_value());
}

TEST(HttpClient, streams_the_body_as_it_comes_and_stops_early_when_told) {
  ReplayServer server(
      always({.chunks = {"one ", "two ", "three"}, .chunk_delay = milliseconds(2)}));
  Client client;
  std::string seen;
  const auto keep = [&](std::string_view bytes) { return seen += bytes, true; };
  EXPECT_EQ(client.stream({.url = server.url()}, keep).value().status, 200);
  EXPECT_EQ(seen, "one two three");
  int calls = 0;
  const auto first = client.stream({.url = server.url()}, [&](auto) { return ++calls, false; });
  EXPECT_EQ(first.value().status, 200);
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(client.stream({.url = server.url(), .bytes_max = 5}, keep).has_value());
}

TEST(HttpClient, trailers_come_after_the_headers) {
  ReplayServer server(
      always({.headers = {{"X-S", "early"}}, .chunks = {"body"}, .trailers = {{"X-S", "late"}}}));
  Client client;
  const Response answer = client.get(server.url()).value();
  EXPECT_EQ(answer.body, "body");
  EXPECT_EQ(*answer.header("x-s"), "late");
  EXPECT_EQ(answer.headers.back(), Header("x-s", "late"));
}

TEST(HttpClient, speaks_over_a_unix_socket) {
  std::string folder = (std::filesystem::temp_directory_path() / "arqon_http.XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  {
    ReplayServer server(always({.body = "local"}), folder + "/s");
    Client client;
    const auto answer = client.send({.url = "http://engine/x", .unix_socket = folder + "/s"});
    EXPECT_EQ(answer.value().body, "local");
    EXPECT_EQ(*header(server.requests()[0], "host"), "engine");
    EXPECT_FALSE(client.send({.url = "http://engine/", .unix_socket = folder + "/none"}));
  }
  std::filesystem::remove_all(folder);
}

TEST(HttpClient, refuses_what_is_no_request) {
  Client client;
  EXPECT_EQ(client.get("file:///etc/passwd").error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(client.get("127.0.0.1:8000").error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(client.get("http://a/\r\nX: 1").error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(client.send({.method = "GET /", .url = "http://a"}).error().code, ErrorCode::kUsage);
  const auto header = client.send({.url = "http://a", .headers = {{"A", "b\r\nC: d"}}});
  EXPECT_EQ(header.error().code, ErrorCode::kUsage);
}

}  // namespace
}  // namespace arqon::net
