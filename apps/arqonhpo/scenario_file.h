// From what the user named to a scenario.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/arqonhpo/console.h"
#include "arqon/base/result.h"
#include "arqon/documents/scenario.h"

namespace arqon::app {

// A document's text and the path it was read from.
struct Document {
  std::filesystem::path path;
  std::string text;
};

// A file as given, else NAME.json in ./scenarios, beside the installed program, or in the tree it
// was built from. kUsage lists the known names and the nearest one; kUnavailable when a file cannot
// be read; kInvalidConfig when it is larger than 8 MiB.
Result<Document> find_document(const std::string& named);
// The folders shipped scenarios are looked for in, nearest first.
std::vector<std::filesystem::path> scenario_folders();
// Names of all shipped scenarios, sorted.
std::vector<std::string> shipped_scenarios();

// find_document and parse; every problem goes to stderr, and the error says how many there were.
Result<documents::Scenario> load_scenario(const std::string& named, const Console& console);

// A name that is safe as one part of a path.
std::string folder_name(const std::string& scenario);

}  // namespace arqon::app
