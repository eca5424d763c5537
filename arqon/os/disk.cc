#include "arqon/os/disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "arqon/os/file.h"

namespace arqon::os {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> unavailable(std::string_view what, const fs::path& path, int error) {
  const std::string reason = std::error_code(error, std::generic_category()).message();
  return fail(ErrorCode::kUnavailable,
              fmt::format("cannot {} {}: {}", what, path.string(), reason));
}

template <typename Call>
auto retrying(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// A descriptor that closes itself.
struct Fd {
  explicit Fd(int number) : fd(number) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
  int fd;
};

int open_file(const fs::path& path, int flags) {
  return retrying([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0644); });
}

class SystemFile final : public DiskFile {
 public:
  SystemFile(int fd, fs::path path) : fd_(fd), path_(std::move(path)) {}

  Status append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = retrying([&] { return ::write(fd_.fd, bytes.data(), bytes.size()); });
      if (n < 0) return unavailable("write", path_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
  }
  Status sync() override {
    if (retrying([&] { return ::fdatasync(fd_.fd); }) != 0) {
      return unavailable("sync", path_, errno);
    }
    return {};
  }

 private:
  Fd fd_;
  fs::path path_;
};

}  // namespace

Result<std::string> SystemDisk::read(const fs::path& file, std::size_t bytes_max) {
  return read_file(file, bytes_max);
}

Result<std::unique_ptr<DiskFile>> SystemDisk::open(const fs::path& file) {
  const int fd = open_file(file, O_WRONLY | O_APPEND | O_CREAT);
  if (fd < 0) return unavailable("open", file, errno);
  return std::make_unique<SystemFile>(fd, file);
}

Status SystemDisk::rename(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return unavailable("rename", from, errno);
  return {};
}

Status SystemDisk::truncate(const fs::path& file, std::uint64_t bytes) {
  const Fd fd(open_file(file, O_WRONLY));
  if (fd.fd < 0) return unavailable("open", file, errno);
  const bool cut = retrying([&] { return ::ftruncate(fd.fd, static_cast<off_t>(bytes)); }) == 0 &&
                   retrying([&] { return ::fsync(fd.fd); }) == 0;
  if (!cut) return unavailable("cut", file, errno);
  return {};
}

Status SystemDisk::make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return unavailable("make", folder, error.value());
  return {};
}

Status SystemDisk::sync_folder(const fs::path& folder) {
  const Fd fd(open_file(folder.empty() ? fs::path(".") : folder, O_RDONLY | O_DIRECTORY));
  if (fd.fd < 0 || retrying([&] { return ::fsync(fd.fd); }) != 0) {
    return unavailable("sync", folder, errno);
  }
  return {};
}

bool SystemDisk::exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::vector<std::string> SystemDisk::list(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; it != end; it.increment(error)) {
    if (error) break;
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status replace_file(Disk& disk, const fs::path& file, std::string_view content) {
  const fs::path fresh = file.string() + ".new";
  if (disk.exists(fresh)) {
    // What a crash has left of an earlier attempt.
    if (Status done = disk.truncate(fresh, 0); !done) return done;
  }
  auto out = disk.open(fresh);
  if (!out) return tl::unexpected(out.error());
  if (Status done = (*out)->append(content); !done) return done;
  if (Status done = (*out)->sync(); !done) return done;
  out->reset();
  if (Status done = disk.rename(fresh, file); !done) return done;
  return disk.sync_folder(file.parent_path());
}

Result<std::unique_ptr<DiskFile>> open_durably(Disk& disk, const fs::path& file) {
  auto out = disk.open(file);
  if (!out) return out;
  if (Status done = disk.sync_folder(file.parent_path()); !done) {
    return tl::unexpected(done.error());
  }
  return out;
}

}  // namespace arqon::os
