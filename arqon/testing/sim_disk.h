// A disk in memory that fails as disks do: every call can be refused, cut short or be the last one
// before the power goes; what was not synced is then lost, torn, or there without what came before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/os/disk.h"

namespace arqon::testing {

// One thread, deterministic.
class SimDisk final : public os::Disk {
 public:
  enum class Call : std::uint8_t {
    kRead, kOpen, kAppend, kSync, kRename, kTruncate, kMakeFolder, kSyncFolder
  };
  // What becomes of a call: kRefuse has no effect; kPartial has some and is refused all the same (a
  // full disk takes the first bytes; a failed sync drops what was to be synced).
  enum class Fate : std::uint8_t { kGood, kRefuse, kPartial };
  // Asked before each call; empty: all is well.
  std::function<Fate(Call, const std::filesystem::path&)> at_call;
  // The power is off, or the process that uses this disk is gone: no call has an effect.
  bool dead = false;

  Result<std::string> read(const std::filesystem::path& file, std::size_t bytes_max) override {
    if (fate(Call::kRead, file) != Fate::kGood) return io_error(file);
    const auto found = names_.find(file.string());
    if (found == names_.end()) return fail(ErrorCode::kUnavailable, file.string() + ": not there");
    if (found->second->now.size() > bytes_max) {
      return fail(ErrorCode::kInvalidConfig, file.string() + ": too large");
    }
    return found->second->now;
  }

  Result<std::unique_ptr<os::DiskFile>> open(const std::filesystem::path& file) override {
    if (fate(Call::kOpen, file) != Fate::kGood) return io_error(file);
    auto& inode = names_[file.string()];
    if (inode == nullptr) {
      inode = std::make_shared<Inode>();
      pending_.push_back({file.parent_path().string(), "", file.string(), inode});
    }
    return std::make_unique<File>(*this, file, inode);
  }

  Status rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    if (fate(Call::kRename, to) != Fate::kGood) return io_error(to);
    const auto found = names_.find(from.string());
    if (found == names_.end()) return io_error(from);
    const auto inode = found->second;
    names_.erase(found);
    names_[to.string()] = inode;
    pending_.push_back({to.parent_path().string(), from.string(), to.string(), inode});
    return {};
  }

  Status truncate(const std::filesystem::path& file, std::uint64_t bytes) override {
    if (fate(Call::kTruncate, file) != Fate::kGood) return io_error(file);
    const auto found = names_.find(file.string());
    if (found == names_.end()) return io_error(file);
    found->second->now.resize(bytes);
    found->second->durable = found->second->now;
    return {};
  }

  Status make_folder(const std::filesystem::path& folder) override {
    if (fate(Call::kMakeFolder, folder) != Fate::kGood) return io_error(folder);
    return {};
  }

  Status sync_folder(const std::filesystem::path& folder) override {
    if (fate(Call::kSyncFolder, folder) != Fate::kGood) return io_error(folder);
    std::vector<NameChange> others;
    for (NameChange& change : pending_) {
      if (change.folder == folder.string()) {
        change.apply(durable_names_);
      } else {
        others.push_back(std::move(change));
      }
    }
    pending_ = std::move(others);
    return {};
  }

  bool exists(const std::filesystem::path& path) override {
    return !dead && names_.contains(path.string());
  }

  std::vector<std::string> list(const std::filesystem::path& folder) override {
    std::vector<std::string> out;
    for (const auto& [name, inode] : names_) {
      const std::filesystem::path path(name);
      if (!dead && path.parent_path() == folder) out.push_back(path.filename().string());
    }
    return out;
  }

  // The power comes back: what was not synced is lost in part. New files must be opened anew.
  void lose_power(Rng rng) {
    const bool ordered = rng.uniform() < 0.5;
    const std::uint64_t kept = rng.below(pending_.size() + 1);
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      if (ordered ? i < kept : rng.uniform() < 0.5) pending_[i].apply(durable_names_);
    }
    pending_.clear();
    std::set<Inode*> seen;
    for (auto& [name, inode] : durable_names_) {
      if (seen.insert(inode.get()).second) inode->lose(rng);
    }
    names_ = durable_names_;
    dead = false;
  }

  // What stands there, for a test to look at or to damage.
  std::string* content(const std::filesystem::path& file) {
    const auto found = names_.find(file.string());
    return found == names_.end() ? nullptr : &found->second->now;
  }
  // What would be left of it if the power went now and nothing unsynced survived.
  std::string_view durable(const std::filesystem::path& file) const {
    const auto found = names_.find(file.string());
    return found == names_.end() ? std::string_view() : std::string_view(found->second->durable);
  }

 private:
  static constexpr std::size_t kSector = 512;

  struct Inode {
    std::string now, durable;  // durable is a part of now from its start, but for dropped sectors

    void lose(Rng& rng) {
      const std::size_t end = durable.size();
      const std::uint64_t mode = rng.below(4);
      if (now.size() < end || mode == 0) {
        now = durable;
        return;
      }
      std::string after = durable + now.substr(end);
      if (mode == 1) after.resize(end + rng.below(after.size() - end + 1));
      if (mode == 2) {
        // Later sectors got there, earlier ones did not.
        for (std::size_t at = end; at < after.size();) {
          const std::size_t next = std::min(after.size(), (at / kSector + 1) * kSector);
          if (rng.uniform() < 0.5) after.replace(at, next - at, next - at, '\0');
          at = next;
        }
      }
      now = durable = after;
    }
  };

  struct NameChange {
    std::string folder, from, to;
    std::shared_ptr<Inode> inode;
    void apply(std::map<std::string, std::shared_ptr<Inode>>& names) const {
      if (!from.empty()) names.erase(from);
      names[to] = inode;
    }
  };

  class File final : public os::DiskFile {
   public:
    File(SimDisk& disk, std::filesystem::path path, std::shared_ptr<Inode> inode)
        : disk_(disk), path_(std::move(path)), inode_(std::move(inode)) {}
    Status append(std::string_view bytes) override {
      const Fate fate = disk_.fate(Call::kAppend, path_);
      if (fate == Fate::kPartial) inode_->now += bytes.substr(0, bytes.size() / 2);
      if (fate != Fate::kGood) return io_error(path_);
      inode_->now += bytes;
      return {};
    }
    Status sync() override {
      const Fate fate = disk_.fate(Call::kSync, path_);
      // The kernel forgets that these pages were dirty: they are never written.
      if (fate == Fate::kPartial) inode_->durable.resize(inode_->now.size(), '\0');
      if (fate != Fate::kGood) return io_error(path_);
      if (inode_->durable.size() < inode_->now.size()) {
        inode_->durable += inode_->now.substr(inode_->durable.size());
      }
      return {};
    }

   private:
    SimDisk& disk_;
    std::filesystem::path path_;
    std::shared_ptr<Inode> inode_;
  };

  static tl::unexpected<Error> io_error(const std::filesystem::path& path) {
    return fail(ErrorCode::kUnavailable, path.string() + ": input/output error");
  }
  Fate fate(Call call, const std::filesystem::path& path) {
    if (dead) return Fate::kRefuse;
    const Fate fate = at_call ? at_call(call, path) : Fate::kGood;
    return dead && fate == Fate::kGood ? Fate::kRefuse : fate;
  }

  std::map<std::string, std::shared_ptr<Inode>> names_, durable_names_;
  std::vector<NameChange> pending_;
};

}  // namespace arqon::testing
