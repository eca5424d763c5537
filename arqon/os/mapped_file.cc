#include "arqon/os/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "arqon/os/socket.h"

namespace arqon::os {
namespace {

tl::unexpected<Error> unavailable(std::string_view what, const std::filesystem::path& path,
                                  int error) {
  return fail(ErrorCode::kUnavailable,
              fmt::format("cannot {} {}: {}", what, path.string(),
                          std::error_code(error, std::generic_category()).message()));
}

tl::unexpected<Error> conflict(const std::filesystem::path& path, std::string_view why) {
  return fail(ErrorCode::kConflict, fmt::format("{} {}", path.string(), why));
}

}  // namespace

Result<MappedFile> MappedFile::open_or_create(const std::filesystem::path& path, std::size_t size) {
  if (size == 0) return fail(ErrorCode::kUsage, "a mapped file needs a size above 0");
  const Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!fd) {
    if (errno == ELOOP) return conflict(path, "is a symbolic link");
    return unavailable("open", path, errno);
  }
  struct stat entry {};
  if (::fstat(fd.get(), &entry) != 0) return unavailable("look at", path, errno);
  if (!S_ISREG(entry.st_mode)) return conflict(path, "is not a file");
  if (entry.st_uid != ::geteuid()) return conflict(path, "belongs to somebody else");
  if (::fchmod(fd.get(), 0600) != 0) return unavailable("protect", path, errno);
  if (entry.st_size == 0) {
    // Reserved now: a full disk is an error here and not a signal at the first write.
    const int error = ::posix_fallocate(fd.get(), 0, static_cast<off_t>(size));
    if (error != 0) return unavailable("reserve", path, error);
  } else if (std::cmp_not_equal(entry.st_size, size)) {
    return conflict(path, fmt::format("has {} bytes, not {}", entry.st_size, size));
  }
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return unavailable("map", path, errno);
  MappedFile out;
  out.bytes_ = {static_cast<std::byte*>(at), size};
  out.path_ = path;
  out.device_ = entry.st_dev;
  out.inode_ = entry.st_ino;
  return out;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})),
      path_(std::move(other.path_)),
      device_(other.device_),
      inode_(other.inode_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

bool MappedFile::still_there() const {
  struct stat entry {};
  return ::lstat(path_.c_str(), &entry) == 0 && entry.st_dev == device_ && entry.st_ino == inode_;
}

}  // namespace arqon::os
