// A small HTTP/1.1 server on a loopback port that answers as a test tells it, faults included, and
// remembers what it was asked. For hermetic tests of everything that talks to an engine.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "arqon/base/time.h"

namespace arqon::testing {

struct ReplayRequest {
  std::string method, path, body;                            // path with its query
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  int connection = 0;                                        // counts from 0: tells keep-alive
};

enum class ReplayFault {
  kNone,
  kHangUp,        // closes the connection without a byte
  kCloseHalfway,  // half of the body, then the connection goes
  kNeverAnswer,   // holds the connection until the server stops
  kGarbage,       // bytes that are no HTTP
};

struct ReplayAnswer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  ReplayFault fault = ReplayFault::kNone;
  Duration delay{};  // before the answer
  // When not empty the body is sent in these pieces (chunked), `chunk_delay` before each.
  std::vector<std::string> chunks;
  Duration chunk_delay{};
  std::vector<std::pair<std::string, std::string>> trailers;  // after the chunks
};

// One thread per connection; the handler is called under a lock, one request at a time. Stopping
// ends every delay and connection and joins every thread.
class ReplayServer {
 public:
  using Handler = std::function<ReplayAnswer(const ReplayRequest& request)>;

  // Listens on any free loopback port, or on a unix socket when a path is given.
  explicit ReplayServer(Handler handler, const std::string& unix_path = "")
      : handler_(std::move(handler)) {
    unix_path.empty() ? listen_tcp(0) : listen_unix(unix_path);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ReplayServer(const ReplayServer&) = delete;
  ReplayServer& operator=(const ReplayServer&) = delete;
  ~ReplayServer() { stop(); }

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // What was asked so far, in the order of the handler's calls.
  std::vector<ReplayRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  // Another handler from the next request on.
  void set_handler(Handler handler) {
    const std::lock_guard lock(mutex_);
    handler_ = std::move(handler);
  }

  // Nobody is reached any more (connection refused). Idempotent.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      stopped_ = true;
      ::shutdown(listener_, SHUT_RDWR);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    wake_.notify_all();
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
    ::close(listener_);
  }

  // Listens again on the same port after stop(), as an engine that was restarted.
  void restart() {
    ASSERT_TRUE(stopped_ && port_ != 0);
    threads_.clear();
    open_.clear();
    stopped_ = false;
    listen_tcp(port_);
    acceptor_ = std::thread([this] { accept_all(); });
  }

 private:
  void listen_tcp(std::uint16_t port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    listen_at(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }

  void listen_unix(const std::string& path) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    listen_at(reinterpret_cast<const sockaddr*>(&address), sizeof address);
  }

  void listen_at(const sockaddr* address, socklen_t size) {
    const bool up = ::bind(listener_, address, size) == 0 && ::listen(listener_, 64) == 0;
    if (!up) ADD_FAILURE() << "the replay server cannot listen: " << std::strerror(errno);
  }

  void accept_all() {
    for (int count = 0;; ++count) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const std::lock_guard lock(mutex_);
      if (fd < 0 || stopped_) {
        if (fd >= 0) ::close(fd);
        return;
      }
      open_.push_back(fd);
      threads_.emplace_back([this, fd, count] { converse(fd, count); });
    }
  }

  void converse(int fd, int connection) {
    std::string buffer;
    ReplayRequest request;
    while (receive(fd, buffer, request)) {
      request.connection = connection;
      ReplayAnswer answer;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
        answer = handler_(request);
      }
      if (!reply(fd, request, answer)) break;
    }
    const std::lock_guard lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
  }

  static bool more(int fd, std::string& buffer) {
    char bytes[16384];
    const ssize_t n = ::recv(fd, bytes, sizeof bytes, 0);
    if (n > 0) buffer.append(bytes, static_cast<std::size_t>(n));
    return n > 0;
  }

  // One request with a Content-Length body, or none.
  static bool receive(int fd, std::string& buffer, ReplayRequest& request) {
    std::size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!more(fd, buffer)) return false;
    }
    request = {};
    parse_head(std::string_view(buffer).substr(0, end), request);
    std::size_t length = 0;
    for (const auto& [name, value] : request.headers) {
      if (name == "content-length") length = std::stoul(value);
    }
    buffer.erase(0, end + 4);
    while (buffer.size() < length) {
      if (!more(fd, buffer)) return false;
    }
    request.body = buffer.substr(0, length);
    buffer.erase(0, length);
    return true;
  }

  static void parse_head(std::string_view head, ReplayRequest& request) {
    const std::string_view first = head.substr(0, head.find("\r\n"));
    const std::size_t one = first.find(' '), two = first.rfind(' ');
    request.method = first.substr(0, one);
    request.path = first.substr(one + 1, two - one - 1);
    for (std::size_t at = first.size(); at < head.size();) {
      at += 2;
      const std::string_view line = head.substr(at, head.find("\r\n", at) - at);
      const std::size_t colon = line.find(':');
      std::string name(line.substr(0, colon));
      for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      const std::size_t value = line.find_first_not_of(' ', colon + 1);
      request.headers.emplace_back(name, value < line.size() ? line.substr(value) : "");
      at += line.size();
    }
  }

  static bool send_all(int fd, std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  // False when the server stops meanwhile.
  bool pause(Duration delay) {
    std::unique_lock lock(mutex_);
    return !wake_.wait_for(lock, delay, [this] { return stopped_; });
  }

  // False when the connection is to be closed.
  bool reply(int fd, const ReplayRequest& request, const ReplayAnswer& answer) {
    if (answer.delay > Duration{} && !pause(answer.delay)) return false;
    if (answer.fault == ReplayFault::kHangUp) return false;
    if (answer.fault == ReplayFault::kNeverAnswer) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopped_; });
      return false;
    }
    if (answer.fault == ReplayFault::kGarbage) {
      send_all(fd, "\x16\x03\x01 no http here\r\n\r\n");
      return false;
    }
    std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " Answer\r\n";
    for (const auto& [name, value] : answer.headers) head += name + ": " + value + "\r\n";
    if (!answer.chunks.empty()) {
      return send_all(fd, head + "Transfer-Encoding: chunked\r\n\r\n") && send_chunks(fd, answer);
    }
    if (answer.status >= 200 && answer.status != 204) {
      head += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
    }
    const bool half = answer.fault == ReplayFault::kCloseHalfway;
    std::string_view body = request.method == "HEAD" ? "" : std::string_view(answer.body);
    if (half) body = body.substr(0, body.size() / 2);
    return send_all(fd, head + "\r\n" + std::string(body)) && !half;
  }

  bool send_chunks(int fd, const ReplayAnswer& answer) {
    const bool half = answer.fault == ReplayFault::kCloseHalfway;
    const std::size_t count = half ? answer.chunks.size() / 2 : answer.chunks.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (answer.chunk_delay > Duration{} && !pause(answer.chunk_delay)) return false;
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", answer.chunks[i].size());
      if (!send_all(fd, size + answer.chunks[i] + "\r\n")) return false;
    }
    if (half) return false;
    std::string end = "0\r\n";
    for (const auto& [name, value] : answer.trailers) end += name + ": " + value + "\r\n";
    return send_all(fd, end + "\r\n");
  }

  Handler handler_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::vector<int> open_;
  std::list<std::thread> threads_;
  std::vector<ReplayRequest> requests_;
  std::thread acceptor_;
};

}  // namespace arqon::testing
