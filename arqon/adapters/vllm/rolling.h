// A restart knob of one replica without a lost request: drain at the router, the user's restart
// command, ready, a warm-up request, back into service. When the engine does not come up with the
// new values, the former ones go back the same way.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "arqon/adapters/router.h"
#include "arqon/adapters/vllm/telemetry.h"
#include "arqon/base/result.h"
#include "arqon/os/process.h"

namespace arqon::adapters::vllm {

// "max_num_seqs" -> "64". Reaches the command as the words' {max_num_seqs} and as
// ARQONHPO_MAX_NUM_SEQS in its environment.
using RestartValues = std::vector<std::pair<std::string, std::string>>;
using RunCommand = std::function<Result<os::ProcessResult>(const std::vector<std::string>& argv,
                                                           const os::RunOptions& options)>;

struct RollingTools {
  Router* router = nullptr;
  RunCommand run;
  Http http;
  Clock* clock = nullptr;
  // The process that answers is another than before the restart.
  std::function<bool()> is_new;
  // Called while waiting, about ten times a second: leases of other replicas want renewing.
  std::function<void()> meanwhile;
};

struct RollingRequest {
  std::size_t replica = 0;
  std::string url;
  std::vector<std::string> command;
  RestartValues wanted, former;
};

struct RollingDeadlines {
  Duration drain = std::chrono::minutes(2);
  Duration command = std::chrono::minutes(10);
  Duration ready = std::chrono::minutes(10);
};

// kRefused: nothing changed, or the former values are back, and the replica serves. kUnavailable:
// the replica is out of service, drained; the message says what to do.
Status roll(const RollingRequest& request, const RollingTools& tools,
            const RollingDeadlines& deadlines = {});

// The command's words with {name} replaced.
std::vector<std::string> filled(const std::vector<std::string>& command,
                                const RestartValues& values);

}  // namespace arqon::adapters::vllm
