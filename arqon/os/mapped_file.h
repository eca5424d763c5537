// A small file shared with another process through memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "arqon/base/result.h"

namespace arqon::os {

// Move-only. The mapping stays valid when the file is deleted; still_there() tells.
class MappedFile {
 public:
  // Makes a file of `size` zero bytes, owner-only (0600), and maps it; an existing one of that size
  // and owner is mapped as it is. kUnavailable; kConflict when it is of another size or owner.
  static Result<MappedFile> open_or_create(const std::filesystem::path& path, std::size_t size);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  std::span<std::byte> bytes() { return bytes_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  // The path still names the file that is mapped.
  bool still_there() const;

 private:
  MappedFile() = default;
  std::span<std::byte> bytes_;
  std::filesystem::path path_;
  unsigned long device_ = 0, inode_ = 0;
};

}  // namespace arqon::os
