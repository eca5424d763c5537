// One HAProxy backend as an engine's adapter sees it: its target options, its socket, its log, its
// bill. HAProxy's own engine and those that stand behind HAProxy (llama.cpp) are made from it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arqon/adapters/haproxy/log_reader.h"
#include "arqon/adapters/haproxy/runtime.h"
#include "arqon/adapters/router.h"
#include "arqon/adapters/target_reader.h"
#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/serving/engine.h"

namespace arqon::adapters::haproxy {

// What one server costs; what is not given is 0.
struct Price {
  double per_second = 0;   // while it is not in maintenance
  double per_request = 0;  // of requests that the log counted
  double per_token = 0;    // where the adapter knows output tokens; HAProxy itself does not
};

struct Options {
  std::filesystem::path socket;
  std::string backend;
  std::optional<LogAddress> log;  // absent: no outcomes are counted
  std::vector<std::pair<std::string, Price>> prices;
  ClassBy class_by = ClassBy::kNothing;
  std::vector<std::pair<std::string, std::string>> class_names;
  Duration timeout = std::chrono::seconds(1);   // of one answer of the runtime socket
  Duration stall = std::chrono::seconds(60);    // open requests and none ends: stuck
};

// Keys of a haproxy target beside "engine"; further ones may follow.
std::vector<std::string> option_keys();
// Reads them; errors are in the reader's status().
Options read_options(TargetReader& reader);

// One thread. The order of servers is HAProxy's own.
class Front final : public Router {
 public:
  // kInvalidConfig when backend, prices or classes do not fit what HAProxy runs; kUnavailable when
  // it does not answer.
  static Result<Front> open(Options options, const std::vector<serving::Slo>& classes);

  // Looks at process, backend and log once. False when HAProxy did not answer or made no sense: all
  // readings below are then those of the last good look.
  bool look(TimePoint now);

  const Process& process() const { return process_; }
  const Backend& backend() const { return backend_; }
  const Runtime& runtime() const { return runtime_; }
  const Options& options() const { return options_; }
  const std::vector<std::string>& server_names() const { return names_; }
  std::optional<std::size_t> place_of(std::string_view server) const;
  // Null without a log.
  const LogReader* log() const { return log_.get(); }

  // Rises by one whenever HAProxy starts anew; counters begin again then.
  std::uint64_t epoch() const { return epoch_; }
  // Counters of the log begin again though HAProxy does not: an engine behind it began anew.
  void begin_counting();
  // Dollars since attach.
  double paid_dollars() const { return paid_; }
  // Why the log's counts cannot be believed, empty when they can: lines are lost or never come.
  std::string log_trouble() const { return log_trouble_; }
  // Why HAProxy is another one than at open (version, servers, addresses, algorithm); empty when it
  // is the same. accept() takes it as it is now; kInvalidConfig when its servers are others.
  std::string stranger() const;
  Status accept();
  // Requests are open and none has ended for the time given in the options.
  bool stuck(TimePoint now) const;

  // Router: places in server_names(). drain() is kRefused when no other server takes requests.
  // After ready() HAProxy sends requests as soon as its own health check has passed.
  Status drain(std::size_t server) override;
  Result<bool> is_idle(std::size_t server) override;
  Status ready(std::size_t server) override;

 private:
  Front(Options options, Process process, Backend backend);
  Status check_names() const;
  void begin_epoch();
  void charge(TimePoint now);
  void compare_log(TimePoint now);
  Status set_state(std::size_t server, Runtime::State state);
  std::uint64_t finished() const { return backend_.sent - std::min(backend_.sent, backend_.open); }

  Options options_;
  Runtime runtime_;
  Process process_;
  Backend backend_;
  std::string version_, shape_;  // as opened or accepted
  std::string lost_;             // why the backend is gone, empty when it is there
  std::vector<std::string> names_;
  std::unique_ptr<LogReader> log_;
  bool needs_first_byte_ = false;  // a class has a limit that only the mark can tell
  std::uint64_t epoch_ = 0;

  // Requests that have ended by HAProxy's counters, beside lines of its log, since a mark that
  // moves on every few seconds.
  struct Mark {
    TimePoint at{};
    std::uint64_t finished = 0, lines = 0, unmarked = 0, broken = 0;
  };
  Mark mark_;
  std::string log_trouble_;
  TimePoint trouble_until_{};
  std::uint64_t last_finished_ = 0;
  TimePoint moved_at_{};  // when a request ended last, or none was open
  std::optional<TimePoint> looked_at_;
  std::vector<std::uint64_t> billed_;  // requests of each server already charged
  double paid_ = 0;
};

}  // namespace arqon::adapters::haproxy
