// The agent as a process: found, started so that it outlives us, or run.
#pragma once

#include <filesystem>
#include <memory>

#include "arqon/agent/client.h"
#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/documents/scenario.h"
#include "arqon/serving/engine.h"

namespace arqon::app {

// STATE/agent.sock
std::filesystem::path agent_socket(const std::filesystem::path& state);

// Starts `arqonhpo agent` for this document in a session of its own and waits until it answers;
// what it says goes to STATE/agent.log. kUnavailable when it does not come up.
Status start_agent(const documents::Scenario& scenario, const std::filesystem::path& state,
                   Clock& clock);

// What the tuner writes through: null when the engine keeps the confirmed set itself or the
// document wants no agent; else a client of the agent the document names, of one that runs, or of
// one that is started. It is waited for until nothing unproven is in force. `engine` and `clock`
// outlive it.
Result<std::unique_ptr<agent::Client>> agent_for(const documents::Scenario& scenario,
                                                 const std::filesystem::path& state,
                                                 serving::Engine& engine, Clock& clock);

}  // namespace arqon::app
