// SQLite's file system in memory, which drops, tears and reorders what was not synced.
#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "arqon/base/rng.h"

namespace arqon::store::testing {

// Registered under `name` while it lives. One thread.
class FaultyVfs {
 public:
  explicit FaultyVfs(std::string name) : name_(std::move(name)) {
    vfs_.iVersion = 1;
    vfs_.szOsFile = sizeof(File);
    vfs_.mxPathname = 512;
    vfs_.zName = name_.c_str();
    vfs_.pAppData = this;
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    vfs_.xAccess = access;
    vfs_.xFullPathname = full_path;
    vfs_.xRandomness = randomness;
    vfs_.xSleep = [](sqlite3_vfs*, int micros) { return micros; };
    vfs_.xCurrentTime = [](sqlite3_vfs*, double* day) {
      *day = 2460000.5;
      return SQLITE_OK;
    };
    vfs_.xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; };
    sqlite3_vfs_register(&vfs_, 0);
  }
  ~FaultyVfs() { sqlite3_vfs_unregister(&vfs_); }
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  std::uint64_t stop_at = 0;  // the call at which the power goes; 0 = never
  bool dead = false;
  std::uint64_t calls = 0;

  // The power comes back.
  void lose_power(Rng rng) {
    for (const auto& [path, inode] : names_) {
      // A name that no sync of its file or folder has made durable may be there or not.
      if (!durable_.contains(path) && rng.uniform() < 0.5) durable_[path] = inode;
    }
    for (auto it = durable_.begin(); it != durable_.end();) {
      const bool removed = !names_.contains(it->first);
      it = removed && rng.uniform() < 0.5 ? durable_.erase(it) : std::next(it);
    }
    for (const auto& [path, inode] : durable_) inode->lose(rng);
    names_ = durable_;
    dead = false;
    stop_at = 0;
  }
  std::string* content(const std::string& path) {
    const auto found = names_.find(path);
    return found == names_.end() ? nullptr : &found->second->now;
  }

 private:
  static constexpr std::size_t kSector = 512;

  struct Change {
    std::size_t at = 0;
    std::string bytes;
    bool cut = false;  // to `at` bytes
  };
  struct Inode {
    std::string now, durable;
    std::vector<Change> pending;

    static void put(std::string& text, std::size_t at, std::string_view bytes) {
      if (text.size() < at + bytes.size()) text.resize(at + bytes.size(), '\0');
      text.replace(at, bytes.size(), bytes);
    }
    void lose(Rng& rng) {
      for (const Change& change : pending) {
        if (change.cut) {
          if (rng.uniform() < 0.5) durable.resize(change.at, '\0');
          continue;
        }
        for (std::size_t i = 0; i < change.bytes.size();) {
          const std::size_t end =
              std::min(change.bytes.size(), i + kSector - (change.at + i) % kSector);
          if (rng.uniform() < 0.5) {
            put(durable, change.at + i, std::string_view(change.bytes).substr(i, end - i));
          }
          i = end;
        }
      }
      pending.clear();
      now = durable;
    }
  };
  struct File {
    sqlite3_file base;
    FaultyVfs* vfs;
    Inode* inode;  // kept alive by `all_`
    const std::string* path;
  };

  bool hit() {
    if (!dead && ++calls == stop_at) dead = true;
    return !dead;
  }
  static FaultyVfs& of(sqlite3_vfs* vfs) { return *static_cast<FaultyVfs*>(vfs->pAppData); }
  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* out, int flags, int* got) {
    FaultyVfs& self = of(vfs);
    out->pMethods = nullptr;
    if (!self.hit()) return SQLITE_IOERR;
    const std::string name = path == nullptr ? "temporary" : path;
    auto& inode = self.names_[name];
    if (inode == nullptr) {
      inode = std::make_shared<Inode>();
      self.all_.push_back(inode);
    }
    File& file = of(out);
    file.vfs = &self;
    file.inode = inode.get();
    file.path = &self.paths_.emplace(name, name).first->second;
    file.base.pMethods = &methods();
    if (got != nullptr) *got = flags;
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* path, int sync_folder) {
    FaultyVfs& self = of(vfs);
    if (!self.hit()) return SQLITE_IOERR_DELETE;
    if (self.names_.erase(path) == 0) return SQLITE_IOERR_DELETE_NOENT;
    if (sync_folder != 0) self.durable_.erase(path);
    return SQLITE_OK;
  }
  static int access(sqlite3_vfs* vfs, const char* path, int, int* there) {
    *there = of(vfs).names_.contains(path) ? 1 : 0;
    return of(vfs).dead ? SQLITE_IOERR_ACCESS : SQLITE_OK;
  }
  static int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
  }
  static int randomness(sqlite3_vfs* vfs, int size, char* out) {
    Rng& rng = of(vfs).rng_;
    for (int i = 0; i < size; ++i) out[i] = static_cast<char>(rng.below(256));
    return size;
  }

  static const sqlite3_io_methods& methods() {
    static const sqlite3_io_methods table = [] {
      sqlite3_io_methods m{};
      m.iVersion = 1;
      m.xClose = [](sqlite3_file*) { return SQLITE_OK; };
      m.xRead = read;
      m.xWrite = write;
      m.xTruncate = truncate;
      m.xSync = sync;
      m.xFileSize = [](sqlite3_file* f, sqlite3_int64* size) {
        *size = static_cast<sqlite3_int64>(of(f).inode->now.size());
        return SQLITE_OK;
      };
      m.xLock = [](sqlite3_file*, int) { return SQLITE_OK; };
      m.xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; };
      m.xCheckReservedLock = [](sqlite3_file*, int* held) {
        *held = 0;
        return SQLITE_OK;
      };
      m.xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; };
      m.xSectorSize = [](sqlite3_file*) { return static_cast<int>(kSector); };
      m.xDeviceCharacteristics = [](sqlite3_file*) { return 0; };
      return m;
    }();
    return table;
  }
  static int read(sqlite3_file* f, void* out, int size, sqlite3_int64 at) {
    if (!of(f).vfs->hit()) return SQLITE_IOERR_READ;
    const std::string& text = of(f).inode->now;
    const auto begin = std::min(text.size(), static_cast<std::size_t>(at));
    const auto n = std::min(text.size() - begin, static_cast<std::size_t>(size));
    std::memcpy(out, text.data() + begin, n);
    if (n == static_cast<std::size_t>(size)) return SQLITE_OK;
    std::memset(static_cast<char*>(out) + n, 0, static_cast<std::size_t>(size) - n);
    return SQLITE_IOERR_SHORT_READ;
  }
  static int write(sqlite3_file* f, const void* bytes, int size, sqlite3_int64 at) {
    if (!of(f).vfs->hit()) return SQLITE_IOERR_WRITE;
    Change change{static_cast<std::size_t>(at),
                  std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size)),
                  false};
    Inode::put(of(f).inode->now, change.at, change.bytes);
    of(f).inode->pending.push_back(std::move(change));
    return SQLITE_OK;
  }
  static int truncate(sqlite3_file* f, sqlite3_int64 size) {
    if (!of(f).vfs->hit()) return SQLITE_IOERR_TRUNCATE;
    of(f).inode->now.resize(static_cast<std::size_t>(size), '\0');
    of(f).inode->pending.push_back({static_cast<std::size_t>(size), {}, true});
    return SQLITE_OK;
  }
  static int sync(sqlite3_file* f, int) {
    FaultyVfs& self = *of(f).vfs;
    if (!self.hit()) return SQLITE_IOERR_FSYNC;
    of(f).inode->durable = of(f).inode->now;
    of(f).inode->pending.clear();
    const auto found = self.names_.find(*of(f).path);
    if (found != self.names_.end()) self.durable_[found->first] = found->second;
    return SQLITE_OK;
  }

  std::string name_;
  sqlite3_vfs vfs_{};
  Rng rng_{1};
  std::map<std::string, std::shared_ptr<Inode>> names_, durable_;
  std::map<std::string, std::string> paths_;
  std::vector<std::shared_ptr<Inode>> all_;
};

}  // namespace arqon::store::testing
