// arqonhpo agent: the way back beside an engine that keeps none itself.
#include "arqon/agent/agent.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <ctime>

#include "apps/arqonhpo/agent_process.h"
#include "apps/arqonhpo/interrupt.h"
#include "apps/arqonhpo/live.h"
#include "apps/arqonhpo/scenario_file.h"
#include "apps/arqonhpo/state_folder.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/os/file.h"
#include "arqon/os/socket.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

constexpr int kTickMs = 200;
constexpr Duration kRetry = std::chrono::seconds(1);

std::string wall_time() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

// An engine that is just restarting is waited for: the agent is there for that.
Result<Attached> attach_patiently(const documents::Scenario& scenario, Clock& clock,
                                  const std::atomic<bool>& stop, const Console& console) {
  bool said = false;
  while (true) {
    auto attached = attach(scenario, clock, console, /*actuator_only=*/true);
    if (attached || attached.error().code != ErrorCode::kUnavailable || stop.load()) {
      return attached;
    }
    if (!said) console.talk(fmt::format("waiting: {}\n", attached.error().message));
    said = true;
    clock.wait_until(clock.now() + kRetry);
  }
}

Result<int> serve(const AgentArgs& args, Console& console) {
  const std::atomic<bool>& stop = install_interrupt();
  const auto scenario = load_scenario(args.scenario, console);
  if (!scenario) return tl::unexpected(scenario.error());
  if (!scenario->live()) {
    return fail(ErrorCode::kUsage, "only a live engine needs an agent: \"target\" is simulated");
  }
  const fs::path state =
      args.state.empty() ? fs::path(".arqonhpo") / folder_name(scenario->name) : args.state;
  if (Status ready = prepare_folder(state); !ready) return tl::unexpected(ready.error());
  const auto lock = os::FileLock::acquire(state / "agent.lock");
  if (!lock) return tl::unexpected(lock.error().with_context("another agent runs here"));
  os::SystemClock clock;
  auto attached = attach_patiently(*scenario, clock, stop, console);
  if (!attached) return tl::unexpected(attached.error());
  auto agent = agent::Agent::create(*attached->engine, clock,
                                    {.folder = state,
                                     .guardrails = attached->scenario.guardrails,
                                     .pid = getpid(),
                                     .wall = wall_time});
  if (!agent) return tl::unexpected(agent.error());
  const fs::path socket =
      scenario->agent.socket.empty() ? agent_socket(state) : fs::path(scenario->agent.socket);
  auto listener = os::UnixListener::open(socket);
  if (!listener) return tl::unexpected(listener.error());
  console.talk(
      fmt::format("agent of {} on {}\n", attached->engine->capabilities().engine, socket.string()));
  while (!stop.load()) {
    pollfd p{listener->fd(), POLLIN, 0};
    if (poll(&p, 1, kTickMs) > 0) {
      listener->serve([&](std::string_view line) { return agent->answer(line); });
    }
    agent->tick();
    if (args.spawned && agent->released()) return 0;
  }
  return 0;
}

}  // namespace

int run_agent(const AgentArgs& args, Console& console) {
  const Result<int> done = serve(args, console);
  return done ? *done : console.complain(done.error());
}

}  // namespace arqon::app
