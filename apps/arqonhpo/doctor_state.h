// What is in a state folder, and is it sound?
#pragma once

#include <filesystem>

#include "apps/arqonhpo/console.h"
#include "arqon/base/result.h"

namespace arqon::app {

// Checks lock, freeze, audit, open intents and the agent's files, and says what to do about each
// thing that is not as it should be. Changes nothing. Exit code: 0, or that of the worst.
Result<int> examine_state(const std::filesystem::path& state, bool json, Console& console);

}  // namespace arqon::app
