// STATE/state.db: what the audit says, where it can be asked. Made from the chain and never the
// other way round: an index that is of another version, damaged or not there is made again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/os/disk.h"

namespace arqon::store {

// Which records; what is left empty counts for all.
struct Query {
  std::string action, actor, knob;    // knob: those that move it
  std::uint64_t from = 0, to = 0;     // seq, both included; to 0 = no end
  std::uint64_t limit = 1000;         // the newest so many, oldest first
};

// One thread; each call is one transaction, so that several processes may hold the same index.
class Index {
 public:
  static constexpr int kSchema = 1;

  // Opens or makes it. `vfs`: SQLite's name of the file system, empty = the machine's.
  // kUnavailable when the disk says no or another process holds it for too long.
  static Result<Index> open(const std::filesystem::path& file, const std::string& vfs = "");
  Index(Index&&) noexcept;
  Index& operator=(Index&&) noexcept;
  ~Index();

  // True when what was there could not be used and was thrown away.
  bool made_anew() const { return made_anew_; }
  // The newest record in it; 0 = none.
  Result<std::uint64_t> last() const;
  // Takes in what the chain holds beyond it, after verifying the chain; begins anew when the chain
  // is another one. kConflict for a chain that is damaged.
  Status follow(os::Disk& disk, const std::filesystem::path& audit);
  // The records' JSON lines.
  Result<std::vector<std::string>> find(const Query& query) const;

 private:
  struct Connection;
  explicit Index(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
  bool made_anew_ = false;
};

}  // namespace arqon::store
