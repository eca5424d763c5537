#include "arqon/adapters/placeholders.h"

#include <fmt/format.h>

#include "arqon/wire/json.h"

namespace arqon::adapters {

std::string filled(std::string_view text, const Filling& filling) {
  std::string out;
  while (!text.empty()) {
    const std::pair<std::string, std::string>* found = nullptr;
    for (const auto& entry : filling) {
      const bool here = text.size() > entry.first.size() + 1 && text[0] == '{' &&
                        text.substr(1).starts_with(entry.first) &&
                        text[entry.first.size() + 1] == '}';
      if (here) found = &entry;
    }
    out += found == nullptr ? std::string(1, text[0]) : found->second;
    text.remove_prefix(found == nullptr ? 1 : found->first.size() + 2);
  }
  return out;
}

std::vector<std::string> filled(const std::vector<std::string>& words, const Filling& filling) {
  std::vector<std::string> out;
  for (const std::string& word : words) out.push_back(filled(word, filling));
  return out;
}

bool has_place(std::string_view text, std::string_view name) {
  return text.find(fmt::format("{{{}}}", name)) != std::string_view::npos;
}

std::string number_text(double value) { return wire::write_json(wire::compact_number(value)); }

std::string json_inside(std::string_view text) {
  const std::string quoted = wire::write_json(wire::Value(text));
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace arqon::adapters
