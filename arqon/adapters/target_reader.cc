#include "arqon/adapters/target_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "arqon/wire/diagnostic.h"

namespace arqon::adapters {
namespace {

bool plain(char c) { return c > ' ' && c != 127; }

bool is_web_url(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    const std::string_view rest = text.substr(scheme.size());
    return !rest.empty() && rest.front() != '/' && std::all_of(rest.begin(), rest.end(), plain);
  }
  return false;
}

}  // namespace

TargetReader::TargetReader(const wire::Value& target, std::vector<std::string> keys,
                           std::string path)
    : target_(target), path_(std::move(path)) {
  const wire::Object* object = target.as_object();
  if (object == nullptr) {
    complain(target, "",
             path_ == "target" ? "must be an object, e.g. {\"engine\": \"vllm\"}"
                               : fmt::format("must be an object with {}", fmt::join(keys, ", ")));
    return;
  }
  if (path_ == "target") keys.emplace_back("engine");
  for (const auto& [key, value] : *object) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    const std::string nearest = wire::nearest_name(key, keys);
    const std::string hint = nearest.empty() ? fmt::format("known: {}", fmt::join(keys, ", "))
                                             : fmt::format("did you mean \"{}\"?", nearest);
    complain(value, wire::shortened(key), "unknown key; " + hint);
  }
}

const wire::Value* TargetReader::find(std::string_view key) { return target_.find(key); }

void TargetReader::complain(const wire::Value& at, std::string_view path, std::string message) {
  // A member's key is what a reader looks for; an element of a list has none.
  const int line = at.key_line > 0 ? at.key_line : at.line;
  const int column = at.key_line > 0 ? at.key_column : at.column;
  std::string text = path.empty() ? path_ : fmt::format("{}.{}", path_, path);
  if (line > 0) text += fmt::format(" (line {}, column {})", line, column);
  errors_.push_back(fmt::format("{}: {}", text, message));
}

std::string TargetReader::text(std::string_view key) {
  if (find(key) == nullptr) {
    complain(target_, key, "is missing");
    return "";
  }
  return text(key, "");
}

std::string TargetReader::text(std::string_view key, std::string_view fallback) {
  const wire::Value* value = find(key);
  if (value == nullptr) return std::string(fallback);
  if (const std::string* text = value->as_string(); text != nullptr && !text->empty()) return *text;
  complain(*value, key, "must be a text that is not empty");
  return std::string(fallback);
}

std::string TargetReader::url(std::string_view key) {
  if (find(key) != nullptr) return url(key, "");
  complain(target_, key, "is missing; give an http:// or https:// URL");
  return "";
}

std::string TargetReader::url(std::string_view key, std::string_view fallback) {
  const wire::Value* value = find(key);
  if (value == nullptr) return std::string(fallback);
  const std::string* text = value->as_string();
  if (text == nullptr || !is_web_url(*text)) {
    complain(*value, key,
             fmt::format("must be a URL like \"http://127.0.0.1:8000\", not {}",
                         wire::shortened(wire::write_json(*value))));
    return std::string(fallback);
  }
  return text->substr(0, text->find_last_not_of('/') + 1);
}

double TargetReader::number(std::string_view key, double fallback, double min, double max) {
  const wire::Value* value = find(key);
  if (value == nullptr) return fallback;
  const double number = value->number();
  if (value->is_number() && number >= min && number <= max) return number;
  complain(*value, key,
           fmt::format("must be a number from {} to {}, not {}", wire::shortest(min),
                       wire::shortest(max), wire::shortened(wire::write_json(*value))));
  return fallback;
}

std::int64_t TargetReader::integer(std::string_view key, std::int64_t fallback, std::int64_t min,
                                   std::int64_t max) {
  const wire::Value* value = find(key);
  if (value == nullptr) return fallback;
  const std::int64_t* number = value->as_int();
  if (number != nullptr && *number >= min && *number <= max) return *number;
  complain(*value, key,
           fmt::format("must be a whole number from {} to {}, not {}", min, max,
                       wire::shortened(wire::write_json(*value))));
  return fallback;
}

bool TargetReader::flag(std::string_view key, bool fallback) {
  const wire::Value* value = find(key);
  if (value == nullptr) return fallback;
  if (const bool* flag = value->as_bool()) return *flag;
  complain(*value, key, "must be true or false");
  return fallback;
}

std::vector<std::string> TargetReader::command(std::string_view key) {
  const wire::Value* value = find(key);
  if (value == nullptr) return {};
  std::vector<std::string> words;
  const wire::Array* array = value->as_array();
  bool good = array != nullptr && !array->empty();
  if (good) {
    for (const wire::Value& word : *array) {
      const std::string* text = word.as_string();
      good = good && text != nullptr && text->find('\0') == std::string::npos;
      words.push_back(text == nullptr ? "" : *text);
    }
    good = good && !words.front().empty();
  }
  if (good) return words;
  complain(*value, key,
           "must be a list of words, e.g. [\"systemctl\", \"restart\", \"engine\"]; there is no "
           "shell, so quotes, pipes and $ mean nothing");
  return {};
}

Status TargetReader::status() const {
  if (errors_.empty()) return {};
  return fail(ErrorCode::kInvalidConfig, fmt::format("{}", fmt::join(errors_, "\n")));
}

}  // namespace arqon::adapters
