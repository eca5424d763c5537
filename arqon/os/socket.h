// Unix stream sockets and datagram sockets (unix and UDP) with deadlines. POSIX. Move-only values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "arqon/base/result.h"
#include "arqon/base/time.h"

namespace arqon::os {

// An open file descriptor; -1 when empty.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// One question, one answer: connects, sends `text`, reads until the other side closes. The question
// ends with its last newline; without one our side is closed to mark the end. kUnavailable
// when nobody listens, nothing comes within `timeout`, or more than bytes_max comes.
Result<std::string> ask_unix(const std::filesystem::path& path, std::string_view text,
                             Duration timeout, std::size_t bytes_max = 8u << 20);

// Listens on a unix stream socket, owner-only (0600); replaces a socket file nobody listens on.
class UnixListener {
 public:
  // kConflict when somebody listens there already.
  static Result<UnixListener> open(const std::filesystem::path& path);
  UnixListener(UnixListener&&) noexcept = default;
  UnixListener& operator=(UnixListener&& other) noexcept;
  ~UnixListener();  // deletes the socket file
  // Answers every caller that is waiting now: each may send one line (64 KiB; handed on without its
  // newline); the text returned is sent back and the connection closed. All of them together get a
  // second's patience beside what `answer` takes; who is slower is cut.
  void serve(const std::function<std::string(std::string_view line)>& answer);
  int fd() const { return fd_.get(); }

 private:
  UnixListener(Fd fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;
  std::filesystem::path path_;
};

// Receives datagrams: a unix path (owner-only; replaces a socket file nobody receives on,
// kConflict otherwise), or UDP on a loopback port (0 = any free one).
class DatagramReceiver {
 public:
  DatagramReceiver(DatagramReceiver&&) noexcept = default;
  DatagramReceiver& operator=(DatagramReceiver&& other) noexcept;
  ~DatagramReceiver();  // deletes the socket file
  static Result<DatagramReceiver> open_unix(const std::filesystem::path& path);
  static Result<DatagramReceiver> open_udp(std::uint16_t port);
  // The next datagram that is already there; nothing when there is none. Never blocks.
  std::optional<std::string> next();
  std::uint16_t port() const { return port_; }
  int fd() const { return fd_.get(); }
  // Datagrams the kernel dropped because the buffer was full, since the start. UDP only: a unix
  // sender is told itself, so 0 there.
  std::uint64_t dropped() const;

 private:
  DatagramReceiver(Fd fd, std::uint16_t port, std::filesystem::path path)
      : fd_(std::move(fd)), port_(port), path_(std::move(path)) {}
  Fd fd_;
  std::uint16_t port_ = 0;
  std::filesystem::path path_;
};

}  // namespace arqon::os
