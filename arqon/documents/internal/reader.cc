#include "arqon/documents/internal/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

namespace arqon::documents::internal {
namespace {

std::string shown(const wire::Value& value) {
  if (const auto* array = value.as_array()) return fmt::format("an array of {}", array->size());
  if (const auto* object = value.as_object()) {
    return object->empty() ? "{}" : fmt::format("an object of {}", object->size());
  }
  if (value.is_number() && value.as_int() == nullptr) return wire::shortest(value.number());
  if (const auto* text = value.as_string()) return wire::shortened(fmt::format("\"{}\"", *text));
  return wire::write_json(value);
}

std::string describe(const Range& range, bool whole) {
  const std::string kind = whole ? "a whole number" : "a number";
  const std::string from =
      fmt::format("{} {}", range.above_min ? "above" : "from", wire::shortest(range.min));
  const bool open_top = !std::isfinite(range.max) || (whole && range.max == kIntegerMax);
  if (std::isfinite(range.min) && !open_top) {
    return fmt::format("{} {} to {}", kind, from, wire::shortest(range.max));
  }
  if (std::isfinite(range.min)) {
    return fmt::format("{} {}{}", kind, from, range.above_min ? "" : " up");
  }
  if (!open_top) return fmt::format("{} up to {}", kind, wire::shortest(range.max));
  return kind;
}

bool inside(const Range& range, double x) {
  return x >= range.min && x <= range.max && !(range.above_min && x == range.min);
}

bool same_letters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

void Issues::add(wire::Diagnostic diagnostic) {
  if (list_.size() < kMax) {
    list_.push_back(std::move(diagnostic));
  } else {
    more_ = true;
  }
}

wire::Diagnostics Issues::take() {
  std::stable_sort(list_.begin(), list_.end(), [](const auto& a, const auto& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  if (more_) list_.push_back({.message = fmt::format("more than {} errors", kMax)});
  return std::move(list_);
}

std::nullopt_t Node::fail(std::string message, std::string hint) const {
  issues_->add({.path = path_,
                .line = value_->line,
                .column = value_->column,
                .value = shown(*value_),
                .message = std::move(message),
                .hint = std::move(hint)});
  return std::nullopt;
}

std::nullopt_t Node::fail_key(std::string message, std::string hint) const {
  issues_->add({.path = path_,
                .line = value_->key_line > 0 ? value_->key_line : value_->line,
                .column = value_->key_line > 0 ? value_->key_column : value_->column,
                .value = shown(*value_),
                .message = std::move(message),
                .hint = std::move(hint)});
  return std::nullopt;
}

Node Node::child(std::string_view key) const {
  return Node(value_ != nullptr ? value_->find(key) : nullptr, joined(path_, key), *issues_);
}

std::optional<double> Node::number(const Range& range) const {
  if (value_ == nullptr) return std::nullopt;
  if (!value_->is_number() || !inside(range, value_->number())) {
    return fail("must be " + describe(range, false));
  }
  return value_->number();
}

std::optional<std::int64_t> Node::integer(const Range& range) const {
  if (value_ == nullptr) return std::nullopt;
  const double x = value_->number();
  if (!value_->is_number() || !inside(range, x) || std::trunc(x) != x) {
    return fail("must be " + describe(range, true));
  }
  return value_->as_int() != nullptr ? *value_->as_int() : static_cast<std::int64_t>(x);
}

std::optional<bool> Node::boolean() const {
  if (value_ == nullptr) return std::nullopt;
  if (value_->as_bool() == nullptr) return fail("must be true or false");
  return *value_->as_bool();
}

std::optional<std::string> Node::text() const {
  if (value_ == nullptr) return std::nullopt;
  const std::string* text = value_->as_string();
  if (text == nullptr || text->empty()) return fail("must be a string that is not empty");
  return *text;
}

std::optional<std::size_t> Node::one_of(Names names, bool any_case) const {
  if (value_ == nullptr) return std::nullopt;
  const std::string* text = value_->as_string();
  for (std::size_t i = 0; text != nullptr && i < names.size(); ++i) {
    if (any_case ? same_letters(*text, names[i]) : *text == names[i]) return i;
  }
  std::string message = "must be one of";
  for (const std::string_view name : names) message += fmt::format(" \"{}\"", name);
  std::string hint;
  if (text != nullptr) {
    const std::string near = wire::nearest_name(*text, {names.begin(), names.end()});
    if (!near.empty()) hint = fmt::format("did you mean \"{}\"?", near);
  }
  return fail(std::move(message), std::move(hint));
}

std::vector<Node> Node::items(std::size_t max) const {
  std::vector<Node> out;
  if (value_ == nullptr) return out;
  const wire::Array* array = value_->as_array();
  if (array == nullptr) {
    fail("must be an array");
    return out;
  }
  if (array->size() > max) {
    fail(fmt::format("must have at most {} entries", max));
    return out;
  }
  out.reserve(array->size());
  for (const wire::Value& item : *array) {
    out.emplace_back(&item, fmt::format("{}[{}]", path_, out.size()), *issues_);
  }
  return out;
}

std::vector<std::pair<std::string, Node>> Node::members(std::size_t max) const {
  std::vector<std::pair<std::string, Node>> out;
  if (value_ == nullptr) return out;
  const wire::Object* object = value_->as_object();
  if (object == nullptr) {
    fail("must be an object");
    return out;
  }
  if (object->size() > max) {
    fail(fmt::format("must have at most {} entries", max));
    return out;
  }
  out.reserve(object->size());
  for (const auto& [key, item] : *object) {
    out.emplace_back(key, Node(&item, joined(path_, key), *issues_));
  }
  return out;
}

Section::Section(const Node& node, Names keys) : node_(node) {
  if (!node_) return;
  const wire::Object* object = node_.value().as_object();
  is_object_ = object != nullptr;
  if (!is_object_) node_.fail("must be an object");
  for (std::size_t i = 0; is_object_ && i < object->size() && !node_.issues().full(); ++i) {
    const auto& [key, value] = (*object)[i];
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    const Node member(&value, joined(node_.path(), key), node_.issues());
    member.fail_key("unknown key", hint_for(key, keys));
  }
}

Node Section::need(std::string_view key) const {
  Node found = get(key);
  if (!found && is_object_) {
    node_.issues().add({.path = found.path(),
                        .line = node_.value().line,
                        .column = node_.value().column,
                        .message = fmt::format("the key \"{}\" is missing", key)});
  }
  return found;
}

std::string hint_for(std::string_view word, Names known) {
  const std::string near = wire::nearest_name(word, {known.begin(), known.end()});
  if (!near.empty()) return fmt::format("did you mean \"{}\"?", near);
  if (known.empty() || known.size() > 16) return "";
  std::string out = "known here:";
  for (const std::string_view& name : known) {
    out += fmt::format("{} {}", &name == known.data() ? "" : ",", name);
  }
  return out;
}

std::string joined(std::string_view path, std::string_view key) {
  const std::string name = wire::shortened(key);
  return path.empty() ? name : fmt::format("{}.{}", path, name);
}

}  // namespace arqon::documents::internal
