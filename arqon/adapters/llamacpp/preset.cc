#include "arqon/adapters/llamacpp/preset.h"

#include <fmt/format.h>

#include <optional>

namespace arqon::adapters::llamacpp {
namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// The name in "[name]", nothing for any other line.
std::optional<std::string_view> section_in(std::string_view line) {
  line = trimmed(line);
  if (line.size() < 2 || line.front() != '[' || line.back() != ']') return std::nullopt;
  return trimmed(line.substr(1, line.size() - 2));
}

std::string_view key_in(std::string_view line) {
  line = trimmed(line);
  if (line.empty() || line.front() == ';' || line.front() == '#') return {};
  const std::size_t equals = line.find('=');
  return equals == std::string_view::npos ? std::string_view{} : trimmed(line.substr(0, equals));
}

tl::unexpected<Error> refuse(std::string_view section, std::string_view why) {
  return fail(ErrorCode::kInvalidConfig, fmt::format("the preset's section [{}] {}", section, why));
}

}  // namespace

Result<std::string> with_values(std::string_view text, std::string_view section,
                                const std::vector<std::pair<std::string, std::string>>& values) {
  const std::vector<std::string_view> lines = lines_of(text);
  std::vector<int> seen(values.size(), 0);
  std::string out;
  bool inside = false;
  int sections = 0;
  std::size_t end_of_section = 0;  // in `out`, behind the section's last line that says something
  for (const std::string_view line : lines) {
    if (const auto name = section_in(line); name) {
      inside = *name == section;
      sections += inside ? 1 : 0;
    }
    std::string written(line);
    const std::string_view key = key_in(line);
    for (std::size_t i = 0; inside && i < values.size(); ++i) {
      if (key != values[i].first) continue;
      ++seen[i];
      written = fmt::format("{} = {}", values[i].first, values[i].second);
    }
    out += written + "\n";
    if (inside && !trimmed(line).empty()) end_of_section = out.size();
  }
  if (sections == 0) return refuse(section, "is not there");
  if (sections > 1) return refuse(section, "is there twice");
  std::string missing;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (seen[i] > 1) return refuse(section, fmt::format("has \"{}\" twice", values[i].first));
    if (seen[i] == 0) missing += fmt::format("{} = {}\n", values[i].first, values[i].second);
  }
  out.insert(end_of_section, missing);
  return out;
}

}  // namespace arqon::adapters::llamacpp
