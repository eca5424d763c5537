#include "arqon/os/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace arqon::os {
namespace {

constexpr mode_t kFileMode = 0644;

tl::unexpected<Error> unavailable(std::string_view what, const std::filesystem::path& path) {
  const std::string reason = std::error_code(errno, std::generic_category()).message();
  return fail(ErrorCode::kUnavailable,
              fmt::format("cannot {} {}: {}", what, path.string(), reason));
}

// Closes on every way out.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int open_retrying(const std::filesystem::path& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool sync_retrying(int fd) {
  int result = 0;
  do {
    result = ::fsync(fd);
  } while (result < 0 && errno == EINTR);
  return result == 0;
}

// Makes a rename or a new name in the folder durable.
Status sync_folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const Descriptor fd(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  if (fd.get() < 0 || !sync_retrying(fd.get())) return unavailable("sync folder", folder);
  return {};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max) {
  const Descriptor fd(open_retrying(path, O_RDONLY));
  if (fd.get() < 0) return unavailable("open", path);
  std::string out;
  std::array<char, 65536> buffer;
  while (true) {
    // One byte more than allowed tells a full file from one that is too large.
    const std::size_t wanted = std::min(buffer.size() - 1, bytes_max - out.size()) + 1;
    const ssize_t n = ::read(fd.get(), buffer.data(), wanted);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unavailable("read", path);
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
    if (out.size() > bytes_max) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("{} holds more than {} bytes", path.string(), bytes_max));
    }
  }
}

Status write_file(const std::filesystem::path& path, std::string_view content) {
  std::string name = path.string() + ".XXXXXX";
  Descriptor fd(::mkostemp(name.data(), O_CLOEXEC));
  if (fd.get() < 0) return unavailable("write beside", path);
  const bool written = ::fchmod(fd.get(), kFileMode) == 0 && write_all(fd.get(), content) &&
                       sync_retrying(fd.get()) && ::close(fd.release()) == 0 &&
                       ::rename(name.c_str(), path.c_str()) == 0;
  if (!written) {
    const auto error = unavailable("write", path);
    ::unlink(name.c_str());
    return error;
  }
  return sync_folder_of(path);
}

Result<AppendFile> AppendFile::open(const std::filesystem::path& path) {
  Descriptor fd(open_retrying(path, O_WRONLY | O_APPEND | O_CREAT));
  if (fd.get() < 0) return unavailable("open", path);
  if (const Status synced = sync_folder_of(path); !synced) {
    return tl::unexpected<Error>(synced.error());
  }
  return AppendFile(fd.release());
}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

AppendFile::~AppendFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status AppendFile::append(std::string_view bytes) {
  if (!write_all(fd_, bytes)) return unavailable("append to", "the file");
  return {};
}

Status AppendFile::sync() {
  if (!sync_retrying(fd_)) return unavailable("sync", "the file");
  return {};
}

Result<FileLock> FileLock::acquire(const std::filesystem::path& path) {
  Descriptor fd(open_retrying(path, O_RDWR | O_CREAT));
  if (fd.get() < 0) return unavailable("open", path);
  int result = 0;
  do {
    result = ::flock(fd.get(), LOCK_EX | LOCK_NB);
  } while (result < 0 && errno == EINTR);
  if (result < 0 && errno == EWOULDBLOCK) {
    return fail(ErrorCode::kConflict, fmt::format("{} is held by another run", path.string()));
  }
  if (result < 0) return unavailable("lock", path);
  return FileLock(fd.release());
}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

// Closing the only descriptor of the open file releases the lock. The file stays: removing it would
// let two runs hold locks on two files of one name.
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace arqon::os
