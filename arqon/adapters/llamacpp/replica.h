// One llama.cpp replica behind HAProxy: the values it runs with, and how they are changed without
// losing a request - out of the router, empty, restarted or reloaded, back into the router.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "arqon/adapters/haproxy/front.h"
#include "arqon/adapters/llamacpp/server.h"
#include "arqon/base/result.h"
#include "arqon/base/time.h"

namespace arqon::adapters::llamacpp {

// What a server is started with.
struct Flags {
  std::int64_t slots = 1;      // --parallel
  std::int64_t context = 0;    // --ctx-size, tokens of all slots together
  std::int64_t draft_max = 0;  // --spec-draft-n-max; 0 = no speculation
  bool operator==(const Flags&) const = default;
};

struct ReplicaOptions {
  std::string url;
  std::string server;       // its name in HAProxy's backend
  std::string cap_backend;  // a one-server backend in front of it whose maxconn caps it; may be ""
  // Stops the server and starts it again, and ends when that is done; {slots}, {ctx}, {draft_max},
  // {url} and {server} are filled in. Empty: the flags cannot be changed by a restart.
  std::vector<std::string> restart;
  std::filesystem::path preset;  // router mode: rewritten and reloaded instead of a restart
  std::int64_t draft_max = 0;    // what it was started with; no reading tells
};

struct Patience {
  Duration answer = std::chrono::seconds(1);    // of one reading
  Duration drain = std::chrono::seconds(60);    // for open requests to end
  Duration restart = std::chrono::seconds(60);  // of the restart command
  Duration ready = std::chrono::seconds(60);    // until the new flags show and HAProxy sees it up
};

// One thread.
class Replica {
 public:
  Replica(ReplicaOptions options, std::string model, Patience patience);

  const ReplicaOptions& options() const { return options_; }
  Server& server() { return server_; }
  bool can_change_flags() const { return !options_.restart.empty() || !options_.preset.empty(); }

  // What it runs with, from a reading of its slots. llama.cpp rounds each slot's context up, so the
  // context that was asked for (or found) is reported as such while the slots fit it: otherwise it
  // would grow with each change of their number.
  Flags flags(const Slots& slots) const;
  // As flags(), read now.
  Result<Flags> read_flags();

  // The whole way round. kRefused and kUnavailable before the change: nothing was changed and the
  // replica serves. When the change itself fails the old flags are put back; when that fails too
  // the replica stays out of the router, and the error says so.
  Status change(const Flags& to, haproxy::Front& router, Clock& clock);
  // What it was found with: the base of what flags() says of a context that is rounded up.
  void found(const Slots& slots) { asked_.context = slots.count * slots.context; }
  // Another process of ours has asked for these flags; whether a reading of its slots shows them.
  bool changed_for_us(const Slots& slots, const Flags& to);

 private:
  Status empty(haproxy::Front& router, std::size_t place, Clock& clock);
  Status restart_with(const Flags& flags, Clock& clock);
  Status run_restart(const Flags& flags);
  Status run_reload(const Flags& flags);
  Status wait_until_up(haproxy::Front& router, std::size_t place, Clock& clock);
  bool shows(const Slots& slots, const Flags& flags) const;

  ReplicaOptions options_;
  std::string model_;
  Patience patience_;
  Server server_;
  Flags asked_;
};

}  // namespace arqon::adapters::llamacpp
