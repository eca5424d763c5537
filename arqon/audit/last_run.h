// How the run before ended: what a start has to know about it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "arqon/audit/record.h"
#include "arqon/base/result.h"
#include "arqon/os/disk.h"

namespace arqon::audit {

struct LastRun {
  std::uint64_t runs = 0;            // in the chain
  std::uint64_t begin = 0;           // first record of the last one
  bool ended = false;                // well, not in a crash
  std::optional<Decoded> confirmed;  // its newest confirmation, or that of a run before
  // Writes whose outcome nobody recorded: they may or may not have reached the engine.
  std::vector<Decoded> open_intents;
};

// Of a chain that is whole, or torn at its end; kConflict for one that is damaged.
Result<LastRun> last_run(os::Disk& disk, const std::filesystem::path& folder);

}  // namespace arqon::audit
