// HAProxy's runtime socket: what it reports, and the few writes that tune it. Checked against 2.6;
// the commands are unchanged up to 3.5. Every write is validated here first, because HAProxy takes
// some nonsense silently: `set maxconn server be/s1 -4` means 4294967292 afterwards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"

namespace arqon::adapters::haproxy {

constexpr int kWeightMax = 256;          // of one server, by HAProxy's rules
constexpr std::int64_t kMaxconnMax = 1'000'000;

// `show info`. A reload starts a new process: counters begin at 0 and runtime values are lost.
struct Process {
  std::string version;
  std::int64_t pid = 0;
  std::int64_t started_s = 0;  // unix time
  bool stopping = false;       // an old process that only finishes what it holds
  std::uint64_t dropped_logs = 0;
  bool same_run(const Process& other) const {
    return pid == other.pid && started_s == other.started_s;
  }
};

// One server of `show stat`.
struct Server {
  std::string name;
  std::string status;   // "UP", "UP 1/3", "DOWN", "DRAIN", "MAINT", "no check", ...
  std::string address;  // "127.0.0.1:8000"; empty where the socket's level hides it
  int weight = 0;       // as set, 0..256, also while drained
  std::optional<std::int64_t> maxconn;  // absent: no limit
  std::uint64_t queued = 0;             // waiting for this server alone
  std::uint64_t open = 0;               // requests it holds now
  std::uint64_t sent = 0;               // requests sent to it since the process began
  bool up() const;                      // takes new requests
  bool drained() const;
  bool in_maintenance() const;
};

struct Backend {
  std::string name;
  std::string algorithm;     // "roundrobin"; empty where the socket's level hides it
  std::uint64_t queued = 0;  // waiting for any server, or for one
  std::uint64_t open = 0;    // queued ones too
  std::uint64_t sent = 0;    // requests given to the backend since the process began
  std::vector<Server> servers;
  const Server* find(std::string_view server) const;
};

// False for the algorithms whose weights HAProxy fixes at start.
bool takes_weights(std::string_view algorithm);
// True for those that share requests out by weight (leastconn only prefers).
bool shares_by_weight(std::string_view algorithm);

// kUnavailable when the text is not what `show info` or `show stat` prints.
Result<Process> parse_info(std::string_view text);
// Every backend of the answer, in its order; frontends and listeners are left out.
Result<std::vector<Backend>> parse_stat(std::string_view text);

// One thread; a new connection for each call (18 us under load), bounded by the timeout.
class Runtime {
 public:
  explicit Runtime(std::filesystem::path socket, Duration timeout = std::chrono::seconds(1))
      : socket_(std::move(socket)), timeout_(timeout) {}

  Result<Process> process() const;
  Result<std::vector<Backend>> backends() const;
  // kInvalidConfig, with the names there are, when HAProxy has no such backend.
  Result<Backend> backend(std::string_view name) const;

  // All of them in one line, so that no request sees a half-changed split. kInvalidConfig for a
  // weight outside 0..256 or a name HAProxy could not have, kRefused with HAProxy's own words.
  // None of these reads back: the caller compares backend() with what it asked for.
  Status set_weights(std::string_view backend,
                     const std::vector<std::pair<std::string, int>>& weights) const;
  // 1 to kMaxconnMax.
  Status set_maxconn(std::string_view backend, std::string_view server, std::int64_t value) const;
  enum class State : std::uint8_t { kReady, kDrain, kMaintenance };
  Status set_state(std::string_view backend, std::string_view server, State state) const;

  const std::filesystem::path& socket() const { return socket_; }

 private:
  Result<std::string> ask(std::string_view command) const;
  Status write(const std::string& commands) const;

  std::filesystem::path socket_;
  Duration timeout_;
};

}  // namespace arqon::adapters::haproxy
