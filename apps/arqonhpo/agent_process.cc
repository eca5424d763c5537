#include "apps/arqonhpo/agent_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <system_error>

#include "arqon/os/file.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

constexpr Duration kStartMax = std::chrono::seconds(30);
constexpr Duration kSettleMax = std::chrono::seconds(15);
constexpr Duration kAsk = std::chrono::seconds(5);
constexpr Duration kStep = std::chrono::milliseconds(50);
constexpr std::size_t kLogShown = 600;

// In the child of a process with threads: nothing but what a signal handler may call.
[[noreturn]] void become(char* const* argv, int log) {
  if (setsid() < 0) _exit(126);
  // A grandchild, so that nobody of ours has to wait for it.
  const pid_t pid = fork();
  if (pid != 0) _exit(pid > 0 ? 0 : 126);
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  for (int fd = STDERR_FILENO + 1; fd < 1024; ++fd) close(fd);
  signal(SIGPIPE, SIG_DFL);
  execv(argv[0], argv);
  _exit(127);
}

Status spawn(const std::array<std::string, 5>& words, const fs::path& log) {
  const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    return fail(ErrorCode::kUnavailable, fmt::format("cannot write {}", log.string()));
  }
  std::array<std::string, 5> copy = words;
  std::array<char*, 6> argv{};
  for (std::size_t i = 0; i < copy.size(); ++i) argv[i] = copy[i].data();
  const pid_t pid = fork();
  if (pid == 0) become(argv.data(), fd);
  close(fd);
  if (pid < 0) return fail(ErrorCode::kUnavailable, "cannot start the agent");
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return {};
}

Result<wire::Value> status_of(const fs::path& socket) {
  return agent::ask(socket, {{"do", "status"}}, kAsk);
}

// What the agent said last, for an error about it.
std::string last_words(const fs::path& log) {
  const auto text = os::read_file(log, 1u << 20);
  if (!text || text->empty()) return "";
  const std::size_t from = text->size() > kLogShown ? text->size() - kLogShown : 0;
  return fmt::format("; it said: {}", text->substr(from));
}

// Nothing that a tuner before us has left unproven is in force any more.
Status settled(const fs::path& socket, Clock& clock) {
  const TimePoint deadline = clock.now() + kSettleMax;
  while (true) {
    const auto status = status_of(socket);
    if (!status) return tl::unexpected(status.error());
    const wire::Value* open = status->find("open");
    const wire::Value* lease = status->find("lease_s");
    const bool quiet = open != nullptr && open->as_bool() != nullptr && !*open->as_bool() &&
                       lease != nullptr && lease->number() == 0;
    if (quiet) return {};
    if (clock.now() > deadline) {
      const wire::Value* trouble = status->find("trouble");
      const std::string* why = trouble == nullptr ? nullptr : trouble->as_string();
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{}: the agent could not put the confirmed set back: {}",
                              socket.string(), why == nullptr ? "" : *why));
    }
    clock.wait_until(clock.now() + kStep);
  }
}

}  // namespace

fs::path agent_socket(const fs::path& state) { return state / "agent.sock"; }

Status start_agent(const documents::Scenario& scenario, const fs::path& state, Clock& clock) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(ErrorCode::kUnavailable, "cannot find this program to start the agent");
  // A copy: what the person does to the document later is not the agent's business.
  const fs::path document = state / "agent.scenario.json";
  if (Status done = os::write_file(document, documents::to_json(scenario) + "\n"); !done) {
    return done;
  }
  const fs::path log = state / "agent.log";
  const Status spawned = spawn(
      {self.string(), "agent", document.string(), "--spawned", "--state=" + state.string()}, log);
  if (!spawned) return spawned;
  const TimePoint deadline = clock.now() + kStartMax;
  while (!status_of(agent_socket(state))) {
    if (clock.now() > deadline) {
      return fail(ErrorCode::kUnavailable, fmt::format("the agent did not come up within {} s{}",
                                                       to_seconds(kStartMax), last_words(log)));
    }
    clock.wait_until(clock.now() + kStep);
  }
  return {};
}

Result<std::unique_ptr<agent::Client>> agent_for(const documents::Scenario& scenario,
                                                 const fs::path& state, serving::Engine& engine,
                                                 Clock& clock) {
  const documents::AgentSpec& spec = scenario.agent;
  const bool named = !spec.socket.empty();
  if (!named && (engine.capabilities().keeps_confirmed || !spec.spawn)) return nullptr;
  agent::ClientOptions options;
  options.socket = named ? fs::path(spec.socket) : agent_socket(state);
  if (!named) {
    options.revive = [scenario, state, &clock] { return start_agent(scenario, state, clock); };
    if (!status_of(options.socket)) {
      if (Status up = start_agent(scenario, state, clock); !up) return tl::unexpected(up.error());
    }
  }
  if (Status quiet = settled(options.socket, clock); !quiet) return tl::unexpected(quiet.error());
  auto client = agent::Client::connect(engine, std::move(options));
  if (!client) return tl::unexpected(client.error());
  return std::move(*client);
}

}  // namespace arqon::app
