// A runtime socket that behaves as HAProxy 2.6 was seen to behave, its refusals word for word, and
// that can be told to misbehave. Log lines are sent to it as datagrams by the test.
#pragma once

#include <poll.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include "arqon/os/socket.h"

namespace arqon::adapters::haproxy {

struct FakeServer {
  std::string name;
  int weight = 1;
  std::string maxconn = "64";  // as shown; empty = no limit
  std::string status = "UP";
  std::uint64_t sent = 0, open = 0, queued = 0;
  std::string address = "127.0.0.1:1";
};

struct FakeState {
  std::string version = "2.6.12-1+deb12u4";
  int pid = 4242;
  int started = 1795417441;
  std::string backend = "be";
  std::string algorithm = "roundrobin";
  std::vector<FakeServer> servers;
  bool deaf = false;         // says yes to writes and does nothing
  bool silent = false;       // closes without an answer to anything
  std::string instead;       // answers this to everything, when not empty
  std::vector<std::string> commands;  // writes, in order
};

class FakeHaproxy {
 public:
  explicit FakeHaproxy(std::vector<FakeServer> servers, std::string name = "sock")
      : folder_(std::filesystem::temp_directory_path() /
                fmt::format("arqon_hap_{}_{}", ::getpid(), counter()++)),
        socket_(folder_ / name) {
    std::filesystem::create_directories(folder_);
    state_.servers = std::move(servers);
    start();
  }
  ~FakeHaproxy() {
    stop();
    std::filesystem::remove_all(folder_);
  }
  FakeHaproxy(const FakeHaproxy&) = delete;
  FakeHaproxy& operator=(const FakeHaproxy&) = delete;

  void start() {
    stopped_ = false;
    auto listener = os::UnixListener::open(socket_);
    if (!listener) std::abort();
    thread_ = std::thread([this, l = std::move(*listener)]() mutable { serve(l); });
  }
  // The socket goes away.
  void stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  template <typename Change>
  void with(Change change) {
    const std::lock_guard lock(mutex_);
    change(state_);
  }
  std::filesystem::path socket() const { return socket_; }
  std::filesystem::path folder() const { return folder_; }

 private:
  static std::atomic<int>& counter() {
    static std::atomic<int> n{0};
    return n;
  }
  void serve(os::UnixListener& listener) {
    while (!stopped_) {
      pollfd p{.fd = listener.fd(), .events = POLLIN, .revents = 0};
      if (::poll(&p, 1, 10) <= 0) continue;
      listener.serve([this](std::string_view line) {
        const std::lock_guard lock(mutex_);
        return answer(line);
      });
    }
  }
  std::string answer(std::string_view line) {
    if (state_.silent) return {};
    if (!state_.instead.empty()) return state_.instead;
    std::string out;
    while (!line.empty()) {
      const std::size_t end = std::min(line.find("; "), line.size());
      out += one(std::string(line.substr(0, end))) + "\n";
      line.remove_prefix(std::min(end + 2, line.size()));
    }
    return out;
  }
  std::string one(const std::string& command) {
    if (command == "show info") {
      return fmt::format("Name: HAProxy\nVersion: {}\nPid: {}\nStopping: 0\nStart_time_sec: {}\n",
                         state_.version, state_.pid, state_.started);
    }
    if (command == "show stat") return stat();
    state_.commands.push_back(command);
    std::vector<std::string> words;
    for (std::string_view rest = command; !rest.empty();) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      words.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return words.size() == 5 ? write(words) : "Unknown command.\n";
  }
  std::string write(const std::vector<std::string>& w) {
    const bool maxconn = w[1] == "maxconn";
    const std::string& path = maxconn ? w[3] : w[2];
    for (FakeServer& s : state_.servers) {
      if (path != state_.backend + "/" + s.name) continue;
      if (maxconn) {
        const long long n = std::stoll(w[4]);
        if (!state_.deaf) s.maxconn = n == 0 ? "" : std::to_string(static_cast<unsigned>(n));
      } else if (w[3] == "weight") {
        const long long n = std::stoll(w[4]);
        if (n < 0 || n > 256) return "Absolute weight can only be between 0 and 256 inclusive.\n";
        if (state_.algorithm == "static-rr") {
          return "Backend is using a static LB algorithm and only accepts weights '0%' and "
                 "'100%'.\n";
        }
        if (!state_.deaf) s.weight = static_cast<int>(n);
      } else if (!state_.deaf) {
        s.status = w[4] == "ready" ? "UP" : w[4] == "drain" ? "DRAIN" : "MAINT";
      }
      return {};
    }
    return "No such server.\n";
  }
  std::string stat() const {
    std::string out =
        "# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight,act,type,addr,algo,uweight,\n"
        "fe,FRONTEND,,,0,0,2000,0,OPEN,,,0,,,,\n";
    std::uint64_t sent = 0, open = 0, queued = 0;
    for (const FakeServer& s : state_.servers) {
      out += fmt::format("{},{},{},0,{},0,{},{},{},{},1,2,{},,{},\n", state_.backend, s.name,
                         s.queued, s.open, s.maxconn, s.sent, s.status, s.weight, s.address,
                         s.weight);
      sent += s.sent + s.queued;
      open += s.open + s.queued;
      queued += s.queued;
    }
    return out + fmt::format("{},BACKEND,{},0,{},0,200,{},UP,1,1,1,,{},1,\n", state_.backend,
                             queued, open, sent, state_.algorithm);
  }

  std::filesystem::path folder_, socket_;
  std::mutex mutex_;
  FakeState state_;
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

// Time that moves when waited for.
class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  void wait_until(TimePoint t) override { now_ = std::max(now_, t); }
  void advance(double seconds) { now_ += from_seconds(seconds); }

 private:
  TimePoint now_ = time_at(1000);
};

}  // namespace arqon::adapters::haproxy
