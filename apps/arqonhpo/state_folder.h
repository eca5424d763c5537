// The folder that keeps what was decided and learned: STATE/{lock, decisions.jsonl, learned.json},
// and the file `freeze` that a person may put there.
#pragma once

#include <filesystem>

#include "arqon/base/result.h"
#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"
#include "arqon/os/file.h"

namespace arqon::app {

// Holds the lock for its lifetime. Nothing but the lock is written before save().
class StateFolder {
 public:
  // kConflict when another process holds it, kUnavailable when it cannot be made or written.
  static Result<StateFolder> open(const std::filesystem::path& folder);

  // True while the file `freeze` is there.
  bool frozen() const;
  // Each file is replaced whole or not at all.
  Status save(const documents::TuneResult& result, const documents::Scenario& scenario) const;

 private:
  StateFolder(std::filesystem::path folder, os::FileLock lock)
      : folder_(std::move(folder)), lock_(std::move(lock)) {}

  std::filesystem::path folder_;
  os::FileLock lock_;
};

// Makes `folder` if need be and proves that files can be written there; kUnavailable otherwise.
Status prepare_folder(const std::filesystem::path& folder);

}  // namespace arqon::app
