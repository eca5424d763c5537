// Closed-loop clients of one Triton model: each sends its next request when the last is answered.
// For the bench and the tests that need load; requests go over HTTP, one connection per client.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "arqon/base/time.h"
#include "arqon/net/http.h"
#include "arqon/os/process.h"

namespace arqon::bench {

struct LoadSample {
  TimePoint end{};
  double ms = 0;
  bool ok = false;
};

struct LoadWindow {
  double seconds = 0;
  std::uint64_t requests = 0;
  std::uint64_t failed = 0;
  std::uint64_t over = 0;  // answered later than the limit, or not at all
  double per_second = 0;   // answered
  double p50_ms = 0, p99_ms = 0, max_ms = 0;
};

// Threads run from construction to destruction.
class TritonLoad {
 public:
  TritonLoad(const std::string& url, const std::string& model, int clients);
  TritonLoad(const TritonLoad&) = delete;
  TritonLoad& operator=(const TritonLoad&) = delete;
  ~TritonLoad();

  // What ends within the next `seconds`.
  LoadWindow measure(double seconds, double limit_ms);
  // What ended between two moments.
  LoadWindow between(TimePoint from, TimePoint to, double limit_ms) const;
  TimePoint now() const { return clock_.now(); }
  void wait(double seconds) { clock_.wait_until(clock_.now() + from_seconds(seconds)); }

 private:
  struct Client {
    mutable std::mutex mutex;
    std::vector<LoadSample> samples;
  };
  void run(Client& client);

  std::string url_;
  os::SystemClock clock_;
  std::atomic<bool> stop_ = false;
  std::vector<Client> clients_;
  std::vector<std::thread> threads_;
};

}  // namespace arqon::bench
