// The folder that keeps what was decided and learned: STATE/{lock, decisions.jsonl, learned.json},
// and the file `freeze` that a person may put there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"
#include "arqon/os/file.h"
#include "arqon/serving/engine.h"

namespace arqon::app {

// Holds the lock for its lifetime. Nothing but the lock is written before save().
class StateFolder {
 public:
  // kConflict when another process holds it, kUnavailable when it cannot be made or written.
  static Result<StateFolder> open(const std::filesystem::path& folder);

  // True while the file `freeze` is there.
  bool frozen() const;
  const std::filesystem::path& path() const { return folder_; }
  // Each file is replaced whole or not at all.
  Status save(const documents::TuneResult& result, const documents::Scenario& scenario) const;

 private:
  StateFolder(std::filesystem::path folder, os::FileLock lock)
      : folder_(std::move(folder)), lock_(std::move(lock)) {}

  std::filesystem::path folder_;
  os::FileLock lock_;
};

// STATE/decisions.jsonl of a live run: grows as things are decided, so that `explain` can tell
// while the run goes on and after it was killed. The file of the run before becomes
// decisions.previous.jsonl. One thread.
class DecisionLog {
 public:
  static Result<DecisionLog> open(const std::filesystem::path& folder, std::uint64_t seed,
                                  const Space& knobs);
  // Writes what `record` holds beyond the last call; on the disk when it returns.
  Status append(const control::RunRecord& record);

 private:
  DecisionLog(os::AppendFile file, std::uint64_t seed, std::vector<std::string> slots)
      : file_(std::move(file)), slots_(std::move(slots)), seed_(seed) {}

  os::AppendFile file_;
  std::vector<std::string> slots_;  // a name for each value of a setting
  std::uint64_t seed_ = 0;
  std::size_t changes_ = 0, decisions_ = 0;
};

// STATE/learned.json of a live run: the confirmed setting, and on what it was confirmed.
struct Learned {
  Config confirmed;
  serving::Identity identity;
  std::uint64_t windows = 0, decisions = 0;
  double t_s = 0;
};
Status save_learned(const std::filesystem::path& folder, const documents::Scenario& scenario,
                    const Learned& learned);

// Makes `folder` if need be and proves that files can be written there; kUnavailable otherwise.
Status prepare_folder(const std::filesystem::path& folder);

}  // namespace arqon::app
