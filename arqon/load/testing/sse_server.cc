#include "arqon/load/testing/sse_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

#include "arqon/base/assert.h"

namespace arqon::load::testing {
namespace {

std::string chunked(std::string_view payload) {
  return fmt::format("{:x}\r\n{}\r\n", payload.size(), payload);
}

}  // namespace

Step head(double delay_ms) {
  return {delay_ms,
          "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
          "Transfer-Encoding: chunked\r\n\r\n"};
}

Step event(std::string_view data, double delay_ms) {
  return {delay_ms, chunked(fmt::format("data: {}\n\n", data))};
}

std::string token(bool chat, std::string_view finish) {
  const std::string reason = finish.empty() ? "null" : fmt::format("\"{}\"", finish);
  const std::string what = chat ? R"("delta":{"content":" a"})" : R"("text":" a")";
  return fmt::format(
      R"({{"id":"cmpl-1","object":"text_completion","created":1790000000,"model":"m",)"
      R"("choices":[{{"index":0,{},"logprobs":null,"finish_reason":{},"stop_reason":null}}],)"
      R"("usage":null}})",
      what, reason);
}

std::string usage(std::uint32_t prompt, std::uint32_t output) {
  return fmt::format(
      R"({{"id":"cmpl-1","choices":[],"usage":{{"prompt_tokens":{},"total_tokens":{},)"
      R"("completion_tokens":{}}}}})",
      prompt, prompt + output, output);
}

Step last_chunk(double delay_ms) { return {delay_ms, "0\r\n\r\n"}; }

Script answer(std::uint32_t tokens, double ttft_ms, double gap_ms) {
  Script out;
  out.steps.push_back(head());
  for (std::uint32_t i = 0; i < tokens; ++i) {
    out.steps.push_back(
        event(token(false, i + 1 == tokens ? "length" : ""), i == 0 ? ttft_ms : gap_ms));
  }
  out.steps.push_back(event(usage(11, tokens)));
  out.steps.push_back(event("[DONE]"));
  out.steps.push_back(last_chunk());
  return out;
}

Script status(int code, std::string_view body) {
  Script out;
  out.steps.push_back({0, fmt::format("HTTP/1.1 {} Nope\r\nContent-Type: application/json\r\n"
                                      "Content-Length: {}\r\n\r\n{}",
                                      code, body.size(), body)});
  return out;
}

struct SseServer::Connection {
  os::Fd fd;
  std::string in;
  enum class State { kReading, kQueued, kWriting, kHanging, kClosed } state = State::kReading;
  std::size_t number = 0;  // of its request
  Seen seen;
  Script script;
  std::size_t step = 0;
  double step_due_s = 0;
  std::string out;
};

SseServer::SseServer(Plan plan) : plan_(std::move(plan)), start_(clock_.now()) {
  listener_ = os::Fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  ARQON_ASSERT(bind(listener_.get(), raw, size) == 0);
  ARQON_ASSERT(listen(listener_.get(), 1024) == 0);
  ARQON_ASSERT(getsockname(listener_.get(), raw, &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
}

SseServer::~SseServer() {
  thread_.request_stop();
  thread_.join();
}

std::string SseServer::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

std::vector<Seen> SseServer::seen() const {
  const std::scoped_lock lock(mutex_);
  return seen_;
}

double SseServer::now_s() const { return to_seconds(clock_.now() - start_); }

void SseServer::accept_all() {
  while (true) {
    os::Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) return;
    const int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    auto connection = std::make_unique<Connection>();
    connection->fd = std::move(fd);
    connections_.push_back(std::move(connection));
  }
}

void SseServer::read(Connection& connection) {
  char buffer[65536];
  while (true) {
    const ssize_t n = recv(connection.fd.get(), buffer, sizeof(buffer), 0);
    if (n > 0) {
      connection.in.append(buffer, static_cast<std::size_t>(n));
      continue;
    }
    if (n == 0) connection.state = Connection::State::kClosed;
    break;
  }
  if (connection.state != Connection::State::kReading) return;
  const std::size_t end = connection.in.find("\r\n\r\n");
  if (end == std::string::npos) return;
  const std::size_t at = connection.in.find("Content-Length: ");
  const std::size_t length =
      at < end ? static_cast<std::size_t>(std::atoi(connection.in.c_str() + at + 16)) : 0;
  if (connection.in.size() < end + 4 + length) return;
  Seen& seen = connection.seen;
  seen.at_s = now_s();
  seen.head = connection.in.substr(0, end);
  seen.body = connection.in.substr(end + 4, length);
  const std::size_t tokens = seen.body.find("\"max_tokens\":");
  if (tokens != std::string::npos) {
    seen.max_tokens = static_cast<std::uint32_t>(std::atoi(seen.body.c_str() + tokens + 13));
  }
  connection.in.erase(0, end + 4 + length);
  connection.state = Connection::State::kQueued;
  connection.number = taken_++;
  if (first_at_s_ < 0) first_at_s_ = seen.at_s;
  if (!plan_.remember) return;
  const std::scoped_lock lock(mutex_);
  seen_.push_back(seen);
}

// Takes up what waits, oldest first, while there are slots.
void SseServer::take_up() {
  using State = Connection::State;
  auto busy = std::count_if(connections_.begin(), connections_.end(),
                            [](const auto& c) { return c->state == State::kWriting; });
  while (plan_.slots == 0 || busy < plan_.slots) {
    Connection* oldest = nullptr;
    for (const auto& c : connections_) {
      if (c->state != State::kQueued) continue;
      if (oldest == nullptr || c->number < oldest->number) oldest = c.get();
    }
    if (oldest == nullptr) return;
    oldest->script = plan_.script(oldest->number, oldest->seen);
    oldest->state = State::kWriting;
    oldest->step = 0;
    const double first = oldest->script.steps.empty() ? 0 : oldest->script.steps[0].delay_ms;
    oldest->step_due_s = now_s() + first * 1e-3;
    ++busy;
  }
}

void SseServer::write_due(double t_s) {
  using State = Connection::State;
  for (const auto& c : connections_) {
    if (c->state != State::kWriting) continue;
    while (c->step < c->script.steps.size() && c->step_due_s <= t_s) {
      c->out += c->script.steps[c->step].bytes;
      if (++c->step < c->script.steps.size()) {
        c->step_due_s += c->script.steps[c->step].delay_ms * 1e-3;
      }
    }
    if (!c->out.empty()) {
      const ssize_t n = send(c->fd.get(), c->out.data(), c->out.size(), MSG_NOSIGNAL);
      if (n > 0) c->out.erase(0, static_cast<std::size_t>(n));
    }
    if (c->step < c->script.steps.size() || !c->out.empty()) continue;
    c->state = c->script.hang          ? State::kHanging
               : c->script.close_after ? State::kClosed
                                       : State::kReading;
  }
}

int SseServer::wait_ms(double t_s) const {
  double wait_s = 0.02;  // how soon the end of the test is seen
  for (const auto& c : connections_) {
    if (c->state == Connection::State::kQueued && plan_.slots == 0) return 0;
    if (c->state == Connection::State::kWriting) wait_s = std::min(wait_s, c->step_due_s - t_s);
  }
  return std::max(0, static_cast<int>(wait_s * 1e3));
}

void SseServer::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const double stalled = first_at_s_ < 0 || plan_.stall_at_s < 0
                               ? -1
                               : first_at_s_ + plan_.stall_at_s + plan_.stall_s - now_s();
    if (stalled > 0 && stalled < plan_.stall_s) {
      poll(nullptr, 0, static_cast<int>(stalled * 1e3) + 1);
      continue;
    }
    std::vector<pollfd> fds{{listener_.get(), POLLIN, 0}};
    for (const auto& c : connections_) fds.push_back({c->fd.get(), POLLIN, 0});
    poll(fds.data(), fds.size(), wait_ms(now_s()));
    for (std::size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents != 0) read(*connections_[i - 1]);
    }
    accept_all();
    take_up();
    write_due(now_s());
    std::erase_if(connections_,
                  [](const auto& c) { return c->state == Connection::State::kClosed; });
  }
}

}  // namespace arqon::load::testing
