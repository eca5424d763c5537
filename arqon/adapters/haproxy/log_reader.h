// Takes the log lines that have come and counts them per server and class.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "arqon/adapters/haproxy/log.h"
#include "arqon/base/result.h"
#include "arqon/os/socket.h"
#include "arqon/serving/engine.h"

namespace arqon::adapters::haproxy {

// Where HAProxy's `log` line points: a unix datagram socket or a UDP port of this machine.
using LogAddress = std::variant<std::filesystem::path, std::uint16_t>;

// What tells the class of a request.
enum class ClassBy : std::uint8_t { kNothing, kFrontend, kHeader };

struct LogRules {
  std::string backend;               // lines of others are skipped
  std::vector<std::string> servers;  // in the order of the counters
  std::vector<serving::Slo> classes;
  ClassBy class_by = ClassBy::kNothing;
  // Text of the frontend or header -> class; beside these, a class's own name means it. What
  // matches nothing counts for the first class, so that no traffic goes unseen.
  std::vector<std::pair<std::string, std::string>> class_names;
};

// Beside the counters of requests; all since the reader was opened.
struct LogCounts {
  std::uint64_t lines = 0;      // of our backend and process, counted or not
  std::uint64_t broken = 0;     // began as ours and could not be read
  std::uint64_t foreign = 0;    // of another process: the one before a reload, or another HAProxy
  std::uint64_t cancelled = 0;  // clients that left before any limit was broken
  std::uint64_t unmarked = 0;   // good answers whose first byte HAProxy did not mark
};

// One thread. Bounded: at most kBatch datagrams a call; what waits longer is read at the next.
class LogReader {
 public:
  static constexpr int kBatch = 50'000;

  // kUnavailable or kConflict when the socket cannot be opened.
  static Result<LogReader> open(const LogAddress& address, LogRules rules);

  // Takes what has come; lines of processes other than `pid` are kept back until the next call in
  // case that is the process after a reload, and then dropped.
  void drain(std::int64_t pid);
  // Counters begin again (a new process); counts() go on.
  void reset();

  // Of one server by its place in the rules; the place after the last: no server was chosen.
  const std::vector<serving::ClassCounters>& of_server(std::size_t server) const {
    return counters_[server];
  }
  std::vector<serving::ClassCounters> total() const;
  const LogCounts& counts() const { return counts_; }
  std::uint64_t dropped() const { return receiver_.dropped(); }
  std::uint16_t port() const { return receiver_.port(); }

  // Counts one line as drain() does; for tests and drivers with a transport of their own.
  void take(std::string_view datagram, std::int64_t pid);

 private:
  LogReader(os::DatagramReceiver receiver, LogRules rules);
  void count(const LogLine& line);
  std::size_t class_of(const LogLine& line) const;
  std::size_t place_of(std::string_view server) const;

  static constexpr std::size_t kKeptMax = 4096;
  os::DatagramReceiver receiver_;
  LogRules rules_;
  std::vector<std::vector<serving::ClassCounters>> counters_;
  std::vector<LogLine> kept_;  // of another process
  LogCounts counts_;
};

// Adds counters and histograms of one set of classes to another of the same length.
void add(const std::vector<serving::ClassCounters>& from,
         std::vector<serving::ClassCounters>& to);

}  // namespace arqon::adapters::haproxy
