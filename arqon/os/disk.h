// The disk as code that must survive its faults sees it: the few calls whose order and completeness
// matter, behind a seam, so that a test can stop, tear, reorder or refuse each one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"

namespace arqon::os {

// A file that only grows. Closed when it goes.
class DiskFile {
 public:
  virtual ~DiskFile() = default;
  virtual Status append(std::string_view bytes) = 0;
  // What was appended is on the disk when it returns. When it fails, what was appended may be lost
  // although a later sync succeeds: the file is to be given up.
  virtual Status sync() = 0;
};

// Names are durable after sync_folder, bytes after sync. One thread per file; errors are
// kUnavailable unless said otherwise.
class Disk {
 public:
  virtual ~Disk() = default;
  // The whole file; kInvalidConfig when it holds more than bytes_max, found before it is read.
  virtual Result<std::string> read(const std::filesystem::path& file, std::size_t bytes_max) = 0;
  // To append; made when it is not there.
  virtual Result<std::unique_ptr<DiskFile>> open(const std::filesystem::path& file) = 0;
  virtual Status rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  // Cut to its first `bytes`, on the disk when it returns.
  virtual Status truncate(const std::filesystem::path& file, std::uint64_t bytes) = 0;
  virtual Status make_folder(const std::filesystem::path& folder) = 0;
  virtual Status sync_folder(const std::filesystem::path& folder) = 0;
  virtual bool exists(const std::filesystem::path& path) = 0;
  // Names of the files in a folder, sorted; none when there is no such folder.
  virtual std::vector<std::string> list(const std::filesystem::path& folder) = 0;
};

// The machine's own.
class SystemDisk final : public Disk {
 public:
  Result<std::string> read(const std::filesystem::path& file, std::size_t bytes_max) override;
  Result<std::unique_ptr<DiskFile>> open(const std::filesystem::path& file) override;
  Status rename(const std::filesystem::path& from, const std::filesystem::path& to) override;
  Status truncate(const std::filesystem::path& file, std::uint64_t bytes) override;
  Status make_folder(const std::filesystem::path& folder) override;
  Status sync_folder(const std::filesystem::path& folder) override;
  bool exists(const std::filesystem::path& path) override;
  std::vector<std::string> list(const std::filesystem::path& folder) override;
};

// Replaces the file in one step: after a crash it has the old content or the new, never a part.
// One caller per file.
Status replace_file(Disk& disk, const std::filesystem::path& file, std::string_view content);
// Opens to append; the file's name is on the disk when it returns.
Result<std::unique_ptr<DiskFile>> open_durably(Disk& disk, const std::filesystem::path& file);

}  // namespace arqon::os
