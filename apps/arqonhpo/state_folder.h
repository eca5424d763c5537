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
#include "arqon/wire/json.h"

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

// A name for each value of a setting.
std::vector<std::string> slot_names(const Space& knobs);

// What a live run has changed and decided, one object each, as it comes up: no build id, no wall
// time, so that two runs can be compared byte by byte.
class DecisionFeed {
 public:
  DecisionFeed(std::uint64_t seed, const Space& knobs) : seed_(seed), slots_(slot_names(knobs)) {}
  // What `record` holds beyond the last call: changes, then decisions.
  std::vector<wire::Value> take(const control::RunRecord& record);

 private:
  std::uint64_t seed_ = 0;
  std::vector<std::string> slots_;
  std::size_t changes_ = 0, decisions_ = 0;
};

// STATE/decisions.jsonl of a live run: grows as things are decided, so that `explain` can tell
// while the run goes on and after it was killed. The file of the run before becomes
// decisions.previous.jsonl. One thread.
class DecisionLog {
 public:
  static Result<DecisionLog> open(const std::filesystem::path& folder);
  // On the disk when it returns.
  Status append(const std::vector<wire::Value>& lines);

 private:
  explicit DecisionLog(os::AppendFile file) : file_(std::move(file)) {}
  os::AppendFile file_;
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

// The state a person means: as given, else the only one in ./.arqonhpo. kUnavailable when there is
// none, kUsage when there are several.
Result<std::filesystem::path> find_state(const std::filesystem::path& given);

// Makes `folder` if need be and proves that files can be written there; kUnavailable otherwise.
Status prepare_folder(const std::filesystem::path& folder);

}  // namespace arqon::app
