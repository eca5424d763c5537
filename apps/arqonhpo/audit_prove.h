// One record of the audit, provable to somebody who has nothing but the key that signs it.
#pragma once

#include <cstdint>
#include <filesystem>

#include "apps/arqonhpo/console.h"
#include "arqon/base/result.h"

namespace arqon::app {

// Prints the proof: the lines from the record to the next checkpoint, and that checkpoint.
// kInconclusive when no checkpoint stands behind the record yet. Exit code, or why not.
Result<int> prove(const std::filesystem::path& folder, std::uint64_t record, Console& console);

// Checks such a proof and says what it proves.
Result<int> check_proof(const std::filesystem::path& file, Console& console);

}  // namespace arqon::app
