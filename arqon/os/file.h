// Files as the rest of the program needs them: bounded reads, writes that are whole or not at all,
// appends that are on the disk when they return, and one owner per state folder. POSIX.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "arqon/base/result.h"

namespace arqon::os {

// The whole file. kUnavailable when it cannot be read; kInvalidConfig when it holds more than
// bytes_max, found before more than that is read (also from a pipe or a device).
Result<std::string> read_file(const std::filesystem::path& path, std::size_t bytes_max);

// Replaces the file in one step: a reader, or a power loss, finds the old content or the new, never
// a part (temporary file, fsync, rename, fsync of the folder). kUnavailable.
Status write_file(const std::filesystem::path& path, std::string_view content);

// A file that only grows. Move-only; one thread.
class AppendFile {
 public:
  // Creates the file when it is not there. kUnavailable.
  static Result<AppendFile> open(const std::filesystem::path& path);
  AppendFile(AppendFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  AppendFile& operator=(AppendFile&& other) noexcept;
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  ~AppendFile();

  Status append(std::string_view bytes);
  // Returns when what was appended is on the disk.
  Status sync();

 private:
  explicit AppendFile(int fd) : fd_(fd) {}
  int fd_;
};

// An exclusive lock that its process's death releases. Move-only; keep it while the work goes on.
class FileLock {
 public:
  // Creates the lock file when it is not there. kConflict when another process, or another
  // FileLock of this one, holds it; kUnavailable when the file cannot be made.
  static Result<FileLock> acquire(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace arqon::os
