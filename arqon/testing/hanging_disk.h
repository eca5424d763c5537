// A disk that stops answering, for as long as a test wants.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "arqon/os/disk.h"

namespace arqon::testing {

// Its sync hangs until it is let go; everything else is that of another disk. Thread-safe as far as
// that one is.
class HangingDisk final : public os::Disk {
 public:
  explicit HangingDisk(os::Disk& disk) : disk_(disk) {}
  Result<std::string> read(const std::filesystem::path& f, std::size_t n) override {
    return disk_.read(f, n);
  }
  Result<std::unique_ptr<os::DiskFile>> open(const std::filesystem::path& f) override {
    auto file = disk_.open(f);
    if (!file) return file;
    return std::make_unique<File>(*this, std::move(*file));
  }
  Status rename(const std::filesystem::path& a, const std::filesystem::path& b) override {
    return disk_.rename(a, b);
  }
  Status truncate(const std::filesystem::path& f, std::uint64_t n) override {
    return disk_.truncate(f, n);
  }
  Status make_folder(const std::filesystem::path& f) override { return disk_.make_folder(f); }
  Status sync_folder(const std::filesystem::path& f) override { return disk_.sync_folder(f); }
  bool exists(const std::filesystem::path& f) override { return disk_.exists(f); }
  std::vector<std::string> list(const std::filesystem::path& f) override { return disk_.list(f); }

  void hang(bool yes) {
    const std::lock_guard lock(mutex_);
    hangs_ = yes;
    let_go_.notify_all();
  }

 private:
  class File final : public os::DiskFile {
   public:
    File(HangingDisk& disk, std::unique_ptr<os::DiskFile> file)
        : disk_(disk), file_(std::move(file)) {}
    Status append(std::string_view bytes) override { return file_->append(bytes); }
    Status sync() override {
      std::unique_lock lock(disk_.mutex_);
      disk_.let_go_.wait(lock, [&] { return !disk_.hangs_; });
      return file_->sync();
    }

   private:
    HangingDisk& disk_;
    std::unique_ptr<os::DiskFile> file_;
  };
  os::Disk& disk_;
  std::mutex mutex_;
  std::condition_variable let_go_;
  bool hangs_ = false;
};

}  // namespace arqon::testing
