#include "arqon/os/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "arqon/os/monotonic.h"

namespace arqon::os {
namespace {

using internal::monotonic_now;
using internal::poll_ms;

constexpr std::size_t kLineMax = 64u << 10;
constexpr std::size_t kCallersMax = 64;  // of one serve()
constexpr Duration kPatience = std::chrono::seconds(1);
constexpr int kReceiveBuffer = 4 << 20;
// Index of the drop count in SO_MEMINFO's array (linux/sock_diag.h, since Linux 4.12).
constexpr std::size_t kMemInfoDrops = 8;
constexpr std::size_t kMemInfoSize = 9;

std::string reason() { return std::error_code(errno, std::generic_category()).message(); }

tl::unexpected<Error> unavailable(std::string_view what, const std::filesystem::path& path) {
  return fail(ErrorCode::kUnavailable,
              fmt::format("cannot {} {}: {}", what, path.string(), reason()));
}

Result<sockaddr_un> address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.empty() || text.size() >= sizeof(address.sun_path)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("socket path \"{}\" has {} bytes; 1 to {} are possible", text,
                            text.size(), sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  return address;
}

template <typename Address>
const sockaddr* generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// A connect to a unix socket whose backlog is full cannot be polled for, but obeys the send
// timeout.
void bound_connect(int fd, Duration timeout) {
  timeval t{};
  const auto us = std::max<std::int64_t>(
      1, std::chrono::duration_cast<std::chrono::microseconds>(timeout).count());
  t.tv_sec = us / 1'000'000;
  t.tv_usec = us % 1'000'000;
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

bool wait_for(int fd, short events, TimePoint deadline) {
  pollfd p{fd, events, 0};
  while (true) {
    const int n = ::poll(&p, 1, poll_ms(deadline));
    if (n > 0) return true;
    if (n == 0 || errno != EINTR) return false;
  }
}

bool send_all(int fd, std::string_view text, TimePoint deadline) {
  while (!text.empty()) {
    const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline)) {
        errno = ETIMEDOUT;
        return false;
      }
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// A socket bound to `path`, owner-only; replaces the file of a socket nobody holds open.
Result<Fd> bind_unix(const std::filesystem::path& path, int type) {
  const auto address = address_of(path);
  if (!address) return tl::unexpected<Error>(address.error());
  struct stat entry {};
  if (::lstat(path.c_str(), &entry) == 0) {
    if (!S_ISSOCK(entry.st_mode)) {
      return fail(ErrorCode::kConflict, fmt::format("{} is not a socket", path.string()));
    }
    const Fd probe(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(probe.get(), generic(*address), sizeof *address) == 0 || errno != ECONNREFUSED) {
      return fail(ErrorCode::kConflict, fmt::format("somebody listens on {}", path.string()));
    }
    ::unlink(path.c_str());
  }
  Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // On Linux the file made by bind takes the mode of the socket: nobody else gets a moment.
  if (!fd || ::fchmod(fd.get(), 0600) != 0 ||
      ::bind(fd.get(), generic(*address), sizeof *address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0) {
    return unavailable("open socket", path);
  }
  return fd;
}

// One caller of a listener on its way from question to answer.
struct Caller {
  Fd fd;
  std::string in, out;
  std::size_t sent = 0;
  bool answered = false;

  // Reads what is there; true when a whole line is.
  bool read() {
    std::array<char, 4096> buffer;
    while (true) {
      const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return false;
      if (n <= 0) {
        if (n < 0 || in.empty()) fd = Fd();
        return n == 0 && !in.empty();
      }
      in.append(buffer.data(), static_cast<std::size_t>(n));
      if (const auto end = in.find('\n'); end != std::string::npos && end <= kLineMax) {
        in.resize(end);
        return true;
      }
      if (in.size() > kLineMax) {
        fd = Fd();
        return false;
      }
    }
  }

  void write() {
    while (sent < out.size()) {
      const ssize_t n =
          ::send(fd.get(), out.data() + sent, out.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) break;
      sent += static_cast<std::size_t>(n);
    }
    fd = Fd();
  }
};

std::vector<Caller> accept_waiting(int listener) {
  std::vector<Caller> callers;
  while (callers.size() < kCallersMax) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0) break;
    callers.push_back({.fd = Fd(fd)});
  }
  return callers;
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::string> ask_unix(const std::filesystem::path& path, std::string_view text,
                             Duration timeout, std::size_t bytes_max) {
  const TimePoint deadline = monotonic_now() + timeout;
  const auto address = address_of(path);
  if (!address) return tl::unexpected<Error>(address.error());
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return unavailable("open a socket for", path);
  bound_connect(fd.get(), timeout);
  if (::connect(fd.get(), generic(*address), sizeof *address) != 0) {
    return unavailable("connect to", path);
  }
  if (!send_all(fd.get(), text, deadline)) return unavailable("send to", path);
  if (!text.ends_with('\n')) ::shutdown(fd.get(), SHUT_WR);
  std::string out;
  std::array<char, 65536> buffer;
  while (true) {
    if (!wait_for(fd.get(), POLLIN, deadline)) {
      return fail(ErrorCode::kUnavailable, fmt::format("{} did not finish its answer within {} ms",
                                                       path.string(), to_ms(timeout)));
    }
    const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return unavailable("read from", path);
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
    if (out.size() > bytes_max) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{} answered more than {} bytes", path.string(), bytes_max));
    }
  }
}

Result<UnixListener> UnixListener::open(const std::filesystem::path& path) {
  Result<Fd> fd = bind_unix(path, SOCK_STREAM);
  if (!fd) return tl::unexpected<Error>(fd.error());
  if (::listen(fd->get(), 16) != 0) return unavailable("listen on", path);
  return UnixListener(std::move(*fd), path);
}

UnixListener& UnixListener::operator=(UnixListener&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}

UnixListener::~UnixListener() {
  if (fd_) ::unlink(path_.c_str());
}

void UnixListener::serve(const std::function<std::string(std::string_view line)>& answer) {
  std::vector<Caller> callers = accept_waiting(fd_.get());
  TimePoint deadline = monotonic_now() + kPatience;
  while (true) {
    std::erase_if(callers, [](const Caller& caller) { return !caller.fd; });
    if (callers.empty()) return;
    std::vector<pollfd> polled;
    for (const Caller& caller : callers) {
      polled.push_back(
          {caller.fd.get(), static_cast<short>(caller.answered ? POLLOUT : POLLIN), 0});
    }
    const int n = ::poll(polled.data(), polled.size(), poll_ms(deadline));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    for (std::size_t i = 0; i < callers.size(); ++i) {
      if (polled[i].revents == 0) continue;
      Caller& caller = callers[i];
      if (!caller.answered && caller.read()) {
        const TimePoint before = monotonic_now();
        caller.out = answer(caller.in);
        deadline += monotonic_now() - before;
        caller.answered = true;
      }
      if (caller.answered) caller.write();
    }
  }
}

Result<DatagramReceiver> DatagramReceiver::open_unix(const std::filesystem::path& path) {
  Result<Fd> fd = bind_unix(path, SOCK_DGRAM);
  if (!fd) return tl::unexpected<Error>(fd.error());
  ::setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  return DatagramReceiver(std::move(*fd), 0, path);
}

Result<DatagramReceiver> DatagramReceiver::open_udp(std::uint16_t port) {
  const std::string place = fmt::format("UDP port {}", port);
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return unavailable("open", place);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::bind(fd.get(), generic(address), sizeof address) != 0) {
    if (errno == EADDRINUSE) {
      return fail(ErrorCode::kConflict, fmt::format("somebody receives on {}", place));
    }
    return unavailable("open", place);
  }
  socklen_t size = sizeof address;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return unavailable("look at", place);
  }
  return DatagramReceiver(std::move(fd), ntohs(address.sin_port), {});
}

DatagramReceiver& DatagramReceiver::operator=(DatagramReceiver&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(port_, other.port_);
  std::swap(path_, other.path_);
  return *this;
}

DatagramReceiver::~DatagramReceiver() {
  if (fd_ && !path_.empty()) ::unlink(path_.c_str());
}

std::optional<std::string> DatagramReceiver::next() {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    return std::string(buffer.data(), static_cast<std::size_t>(n));
  }
}

std::uint64_t DatagramReceiver::dropped() const {
  std::array<std::uint32_t, kMemInfoSize> info{};
  socklen_t size = sizeof info;
  const bool told = ::getsockopt(fd_.get(), SOL_SOCKET, SO_MEMINFO, info.data(), &size) == 0 &&
                    size >= sizeof info;
  return told ? info[kMemInfoDrops] : 0;
}

}  // namespace arqon::os
