#include "apps/arqonhpo/scenario_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "arqon/os/file.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBytesMax = 8u << 20;

Result<Document> read_document(const fs::path& path) {
  auto text = os::read_file(path, kBytesMax);
  if (!text) return tl::unexpected(text.error());
  return Document{path, std::move(*text)};
}

// True when the user meant a file, not a shipped name.
bool looks_like_path(const std::string& named) {
  return named.find('/') != std::string::npos || fs::path(named).has_extension();
}

Error unknown_scenario(const std::string& named) {
  const std::vector<std::string> names = shipped_scenarios();
  std::string text = fmt::format("there is no scenario \"{}\"", named);
  const std::string near = wire::nearest_name(named, names);
  if (!near.empty()) text += fmt::format("; did you mean \"{}\"?", near);
  text += names.empty()
              ? " No scenarios were found; give the path of a JSON file."
              : fmt::format(" Known: {}; or give the path of a JSON file.", fmt::join(names, ", "));
  return {ErrorCode::kUsage, text};
}

}  // namespace

std::vector<fs::path> scenario_folders() {
  std::vector<fs::path> folders{"scenarios"};
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back(program.parent_path() / "../share/arqonhpo/scenarios");
  folders.emplace_back(ARQON_SCENARIO_DIR);
  return folders;
}

std::vector<std::string> shipped_scenarios() {
  std::set<std::string> names;
  for (const fs::path& folder : scenario_folders()) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".json") names.insert(entry.path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

Result<Document> find_document(const std::string& named) {
  std::error_code error;
  if (named.empty()) return fail(ErrorCode::kUsage, "an empty name is no scenario");
  if (fs::is_directory(named, error)) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: is a folder, not a document", named));
  }
  if (fs::exists(named, error) || looks_like_path(named)) return read_document(named);
  for (const fs::path& folder : scenario_folders()) {
    const fs::path path = folder / (named + ".json");
    if (fs::exists(path, error)) return read_document(path);
  }
  return tl::unexpected(unknown_scenario(named));
}

Result<documents::Scenario> load_scenario(const std::string& named, const Console& console) {
  auto document = find_document(named);
  if (!document) return tl::unexpected(document.error());
  auto scenario = documents::parse_scenario(document->text, document->path);
  if (scenario) return std::move(*scenario);
  for (const wire::Diagnostic& problem : scenario.error()) {
    console.talk(wire::to_string(problem, document->path.string()) + "\n");
  }
  const std::size_t n = scenario.error().size();
  return fail(ErrorCode::kInvalidConfig, fmt::format("{}: {} {}; nothing was done", named, n,
                                                     n == 1 ? "problem" : "problems"));
}

std::string folder_name(const std::string& scenario) {
  std::string name;
  for (const char c : scenario) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || (c == '.' && !name.empty());
    name += plain ? c : '_';
  }
  return name.empty() ? "unnamed" : name.substr(0, 100);
}

}  // namespace arqon::app
