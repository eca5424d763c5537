// The engine's state folder: identity.json, which the engine writes, and confirmed.json, which the
// tuner writes and a restarted engine reads.
#pragma once

#include <filesystem>
#include <optional>

#include "arqon/adapters/vllm/page.h"
#include "arqon/adapters/vllm/steering.h"
#include "arqon/base/result.h"

namespace arqon::adapters::vllm {

// ${ARQONHPO_VLLM_STATE:-${XDG_STATE_HOME:-~/.local/state}/arqonhpo/vllm} as a process of ours has
// it: the engine's environment counts, not the tuner's. kUnavailable when it cannot be read.
Result<std::filesystem::path> state_root_of_process(std::int64_t pid);
// 0 when it is not known.
std::int64_t parent_of(std::int64_t pid);

// kUnavailable when the file is not there or makes no sense.
Result<EngineIdentity> read_identity(const std::filesystem::path& folder);
std::int64_t identity_hash(const EngineIdentity& identity);

// Durable when it returns. Values are named as knobs are.
Status write_confirmed(const std::filesystem::path& folder, const EngineIdentity& identity,
                       const Block& block);
// Nothing when there is none, it makes no sense, or is of another identity.
std::optional<Block> read_confirmed(const std::filesystem::path& folder,
                                    const EngineIdentity& identity);

}  // namespace arqon::adapters::vllm
