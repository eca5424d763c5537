// Reading a document without stopping at its first error: every accessor records what is wrong,
// with its place, and goes on.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arqon/wire/diagnostic.h"
#include "arqon/wire/json.h"

namespace arqon::documents::internal {

using Names = std::span<const std::string_view>;

// What is wrong with one document. Keeps the first kMax findings and says that there were more.
class Issues {
 public:
  void add(wire::Diagnostic diagnostic);
  bool empty() const { return list_.empty(); }
  // Looking for hints is over: a hostile document may hold very many unknown keys.
  bool full() const { return more_; }
  // In document order.
  wire::Diagnostics take();

 private:
  static constexpr std::size_t kMax = 200;
  wire::Diagnostics list_;
  bool more_ = false;
};

// What a number may be. Infinite ends are open.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;  // min itself is refused
};
constexpr Range kPositive{.min = 0, .above_min = true};
constexpr Range kNotNegative{.min = 0};
constexpr Range kFraction{.min = 0, .max = 1};
// Whole numbers beyond this are not exact in a double.
constexpr double kIntegerMax = 9007199254740992.0;
constexpr Range kCount{.min = 0, .max = kIntegerMax};
constexpr Range kCountFromOne{.min = 1, .max = kIntegerMax};

// A value of the document with its path, or the absence of one. Accessors of an absent node return
// nothing and record nothing. Borrows the value and the issues.
class Node {
 public:
  Node(const wire::Value* value, std::string path, Issues& issues)
      : value_(value), path_(std::move(path)), issues_(&issues) {}

  explicit operator bool() const { return value_ != nullptr; }
  const wire::Value& value() const { return *value_; }
  const std::string& path() const { return path_; }
  Issues& issues() const { return *issues_; }

  // The member `key`, absent where this is no object or has none.
  Node child(std::string_view key) const;

  // Records an error at this value; always std::nullopt, so that a reader may return it.
  std::nullopt_t fail(std::string message, std::string hint = "") const;
  // Records an error at the key of this value: the name itself is wrong.
  std::nullopt_t fail_key(std::string message, std::string hint = "") const;

  std::optional<double> number(const Range& range = {}) const;
  // 12 and 12.0 alike.
  std::optional<std::int64_t> integer(const Range& range = kCount) const;
  std::optional<bool> boolean() const;
  // Not empty.
  std::optional<std::string> text() const;
  // Index in `names`.
  std::optional<std::size_t> one_of(Names names, bool any_case = false) const;
  // Items of an array, members of an object; empty and recorded when it is of another type or has
  // more than `max`: what follows may take time and memory for each.
  std::vector<Node> items(std::size_t max) const;
  std::vector<std::pair<std::string, Node>> members(std::size_t max) const;

 private:
  const wire::Value* value_;
  std::string path_;
  Issues* issues_;
};

// An object of which every key is known. Unknown keys are recorded with the nearest known one.
class Section {
 public:
  Section(const Node& node, Names keys);
  // False when the value is there but no object.
  bool is_object() const { return is_object_; }
  const Node& node() const { return node_; }
  bool has(std::string_view key) const { return node_ && node_.value().find(key) != nullptr; }
  Node get(std::string_view key) const { return node_.child(key); }
  // Records when the key is not there.
  Node need(std::string_view key) const;

 private:
  Node node_;
  bool is_object_ = false;
};

// "did you mean "X"?" or, when nothing is near and the list is short, "one of A, B, C".
std::string hint_for(std::string_view word, Names known);
// Path of a member.
std::string joined(std::string_view path, std::string_view key);

// Keeps what stands in `out` where nothing was read.
template <typename T, typename U>
void assign(T& out, const std::optional<U>& read) {
  if (read) out = static_cast<T>(*read);
}
template <typename T, typename U>
void assign(std::optional<T>& out, const std::optional<U>& read) {
  if (read) out = static_cast<T>(*read);
}

// Parses `text` and hands its root to `read`; what `read` returns counts only when it recorded no
// issue.
template <typename T, typename Read>
tl::expected<T, wire::Diagnostics> parse_document(std::string_view text, Read read) {
  const auto value = wire::parse_json(text);
  if (!value) return tl::unexpected(wire::Diagnostics{value.error()});
  Issues issues;
  T out = read(Node(&*value, "", issues));
  if (!issues.empty()) return tl::unexpected(issues.take());
  return out;
}

}  // namespace arqon::documents::internal
