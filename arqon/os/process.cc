#include "arqon/os/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

#include "arqon/base/assert.h"
#include "arqon/os/monotonic.h"
#include "arqon/os/socket.h"

namespace arqon::os {
namespace {

using internal::monotonic_now;

// How long a look at the pipes may keep us from looking at the child, which may end without
// closing them (a service it started holds them).
constexpr Duration kSlice = std::chrono::milliseconds(10);
// Waiting without bound on another clock would be late by the time the machine was suspended.
constexpr Duration kWaitSlice = std::chrono::seconds(1);

std::string text_of(int error) { return std::error_code(error, std::generic_category()).message(); }

struct Pipe {
  Fd read, write;
};

bool open_pipe(Pipe& pipe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  pipe.read = Fd(ends[0]);
  pipe.write = Fd(ends[1]);
  return true;
}

std::vector<std::string> merged_environment(const RunOptions& options) {
  std::vector<std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced = std::any_of(options.environment.begin(), options.environment.end(),
                                      [&](const auto& added) { return added.first == name; });
    if (!replaced) out.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// The child's pipes and what came through them.
struct Child {
  pid_t pid = -1;
  Pipe in, out, err;
  ProcessResult result;
  std::size_t written = 0;
};

// 0 or the error.
int spawn(const std::vector<std::string>& argv, const RunOptions& options, Child& child) {
  if (!open_pipe(child.in) || !open_pipe(child.out) || !open_pipe(child.err)) return errno;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, child.in.read.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, child.out.write.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, child.err.write.get(), 2);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  sigset_t none, defaults;
  ::sigemptyset(&none);
  ::sigemptyset(&defaults);
  for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&defaults, signal);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  std::vector<std::string> words = argv, environment = merged_environment(options);
  const int error = ::posix_spawnp(&child.pid, words[0].c_str(), &actions, &attributes,
                                   pointers(words).data(), pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  child.in.read = Fd();
  child.out.write = Fd();
  child.err.write = Fd();
  for (const Fd* fd : {&child.in.write, &child.out.read, &child.err.read}) {
    ::fcntl(fd->get(), F_SETFL, O_NONBLOCK);
  }
  return error;
}

void read_pipe(Fd& fd, std::string& into, std::size_t bytes_max) {
  std::array<char, 65536> buffer;
  while (fd) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      fd = Fd();
      return;
    }
    const std::size_t room = bytes_max - std::min(bytes_max, into.size());
    into.append(buffer.data(), std::min(room, static_cast<std::size_t>(n)));
  }
}

void write_input(Child& child, std::string_view input) {
  while (child.in.write && child.written < input.size()) {
    const ssize_t n =
        ::write(child.in.write.get(), input.data() + child.written, input.size() - child.written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) break;
    child.written += static_cast<std::size_t>(n);
  }
  child.in.write = Fd();
}

void exchange(Child& child, const RunOptions& options, Duration wait) {
  std::array<pollfd, 3> polled{{{child.in.write.get(), POLLOUT, 0},
                                {child.out.read.get(), POLLIN, 0},
                                {child.err.read.get(), POLLIN, 0}}};
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  ::poll(polled.data(), polled.size(), static_cast<int>(ms));
  write_input(child, options.input);
  read_pipe(child.out.read, child.result.out, options.bytes_max);
  read_pipe(child.err.read, child.result.err, options.bytes_max);
}

// Writing to a child that closed its stdin raises SIGPIPE; for this thread it is held back and
// taken off again.
class NoSigpipe {
 public:
  NoSigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;
  ~NoSigpipe() {
    const timespec at_once{};
    if (!was_pending_) ::sigtimedwait(&pipe_, nullptr, &at_once);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false;
};

int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

pid_t wait_child(pid_t pid, int& status, int flags) {
  pid_t ended = 0;
  do {
    ended = ::waitpid(pid, &status, flags);
  } while (ended < 0 && errno == EINTR);
  return ended;
}

}  // namespace

Result<ProcessResult> run(const std::vector<std::string>& argv, const RunOptions& options) {
  if (argv.empty() || argv[0].empty()) return fail(ErrorCode::kUsage, "no program to run");
  const TimePoint deadline = monotonic_now() + options.timeout;
  const NoSigpipe no_sigpipe;
  Child child;
  if (const int error = spawn(argv, options, child); error != 0) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("cannot start \"{}\": {}", argv[0], text_of(error)));
  }
  if (options.input.empty()) child.in.write = Fd();
  while (true) {
    const Duration left = deadline - monotonic_now();
    const bool silent = !child.in.write && !child.out.read && !child.err.read;
    const Duration slice = silent ? kSlice / 10 : kSlice;
    exchange(child, options, std::clamp(left, Duration::zero(), slice));
    int status = 0;
    const pid_t ended = wait_child(child.pid, status, WNOHANG);
    if (ended == child.pid) {
      exchange(child, options, Duration::zero());
      child.result.exit_code = exit_code_of(status);
      return std::move(child.result);
    }
    if (ended < 0 || monotonic_now() >= deadline) {
      ::kill(-child.pid, SIGKILL);
      wait_child(child.pid, status, 0);
      return fail(ErrorCode::kUnavailable,
                  fmt::format("\"{}\" did not end within {} s and was killed", argv[0],
                              to_seconds(options.timeout)));
    }
  }
}

SystemClock::SystemClock() : wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  ARQON_ASSERT(wake_fd_ >= 0);
}

SystemClock::~SystemClock() { ::close(wake_fd_); }

TimePoint SystemClock::now() const { return internal::now_on(CLOCK_BOOTTIME); }

void SystemClock::wait_until(TimePoint t) {
  while (true) {
    const Duration left = std::min(t - now(), kWaitSlice);
    if (left <= Duration::zero()) return;
    const timespec wait{left / std::chrono::seconds(1), (left % std::chrono::seconds(1)).count()};
    pollfd polled{wake_fd_, POLLIN, 0};
    const int n = ::ppoll(&polled, 1, &wait, nullptr);
    if (n == 0) continue;
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t ignored = ::read(wake_fd_, &count, sizeof count);
    return;
  }
}

void SystemClock::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = ::write(wake_fd_, &one, sizeof one);
}

}  // namespace arqon::os
