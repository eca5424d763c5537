// A scripted OpenAI-style server for tests and benches: one thread, loopback, any free port.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "arqon/os/process.h"
#include "arqon/os/socket.h"

namespace arqon::load::testing {

// What is sent `delay_ms` after the step before it (the first: after the request was taken up).
struct Step {
  double delay_ms = 0;
  std::string bytes;
};
struct Script {
  std::vector<Step> steps;
  bool close_after = false;  // the connection is cut when the steps are over
  bool hang = false;         // ... or nothing more comes, ever
};

// A request as the server saw it.
struct Seen {
  double at_s = 0;
  std::string head, body;
  std::uint32_t max_tokens = 0;
};

// Pieces of scripts. An answer: head, first token after ttft_ms, the others gap_ms apart, usage.
Step head(double delay_ms = 0);
Step event(std::string_view data, double delay_ms = 0);
std::string token(bool chat = false, std::string_view finish = "");
std::string usage(std::uint32_t prompt, std::uint32_t output);
Step last_chunk(double delay_ms = 0);
Script answer(std::uint32_t tokens, double ttft_ms, double gap_ms);
Script status(int code, std::string_view body);

class SseServer {
 public:
  struct Plan {
    // The script of request number n (from 0). Called in the server's thread.
    std::function<Script(std::size_t n, const Seen& seen)> script;
    int slots = 0;          // > 0: so many are served at once, the others wait in line
    double stall_at_s = -1; // from so long after the first request on nothing happens at all ...
    double stall_s = 0;     // ... for so long
    bool remember = true;   // keep what was seen
  };
  explicit SseServer(Plan plan);
  ~SseServer();
  SseServer(const SseServer&) = delete;
  SseServer& operator=(const SseServer&) = delete;

  std::string url() const;
  std::vector<Seen> seen() const;

 private:
  struct Connection;
  void serve(const std::stop_token& stop);
  void accept_all();
  void read(Connection& connection);
  void take_up();
  void write_due(double now_s);
  int wait_ms(double now_s) const;
  double now_s() const;

  const Plan plan_;
  os::SystemClock clock_;
  const TimePoint start_;
  os::Fd listener_;
  std::uint16_t port_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::size_t taken_ = 0;
  double first_at_s_ = -1;
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  std::jthread thread_;
};

}  // namespace arqon::load::testing
