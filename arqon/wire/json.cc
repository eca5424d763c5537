// Text to values. The grammar is nlohmann's SAX parser; places, bounds and duplicate keys are ours.
#include "arqon/wire/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

namespace arqon::wire {
namespace {

struct Place {
  int line = 1;
  int column = 0;
};

// Watches the bytes that the lexer takes, each once and in order. The SAX callbacks carry no
// places, and a number is reported one byte late; this remembers where the last value or key began.
class Tracker {
 public:
  explicit Tracker(std::size_t string_bytes_max) : string_bytes_max_(string_bytes_max) {}
  void take(char c) {
    if (after_newline_) {
      ++here_.line;
      here_.column = 0;
    }
    after_newline_ = c == '\n';
    if ((static_cast<unsigned char>(c) & 0xC0u) != 0x80u) ++here_.column;
    follow(c);
    ++taken_;
  }
  // A string has become longer than it may: the lexer is told that the text ends here.
  bool string_too_long() const { return string_too_long_; }
  Place here() const { return here_; }
  Place start() const { return start_; }
  // The bytes of `text` that an error is about: the token under the cursor, whole if it is a word.
  std::string_view token(std::string_view text) const {
    if (taken_ == 0) return {};
    if (state_ == State::kBetween) return text.substr(taken_ - 1, 1);
    std::size_t end = taken_;
    if (state_ == State::kScalar) end = std::min(text.find_first_of(kDelimiters, end), text.size());
    return text.substr(start_offset_, end - start_offset_);
  }

 private:
  enum class State { kBetween, kScalar, kString, kEscape };
  static constexpr const char* kDelimiters = " \t\r\n,:]}";

  void follow(char c) {
    if (state_ == State::kEscape) {
      state_ = State::kString;
    } else if (state_ == State::kString) {
      if (c == '\\') state_ = State::kEscape;
      if (c == '"') state_ = State::kBetween;
      string_too_long_ = taken_ - start_offset_ > string_bytes_max_;
    } else if (std::strchr(kDelimiters, c) != nullptr) {
      state_ = State::kBetween;
    } else if (c == '"' || c == '{' || c == '[') {
      begin_token();
      state_ = c == '"' ? State::kString : State::kBetween;
    } else if (state_ == State::kBetween) {
      begin_token();
      state_ = State::kScalar;
    }
  }
  void begin_token() {
    start_ = here_;
    start_offset_ = taken_;
  }

  Place here_;
  Place start_;
  std::size_t start_offset_ = 0;
  std::size_t taken_ = 0;
  State state_ = State::kBetween;
  std::size_t string_bytes_max_;
  bool after_newline_ = false;
  bool string_too_long_ = false;
};

// Input iterator over the text that tells a Tracker of every byte.
class TrackedIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackedIterator(const char* at, Tracker* tracker) : at_(at), tracker_(tracker) {}
  reference operator*() const { return *at_; }
  TrackedIterator& operator++() {
    tracker_->take(*at_);
    ++at_;
    return *this;
  }
  TrackedIterator operator++(int) {
    TrackedIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const TrackedIterator& other) const {
    return at_ == other.at_ || tracker_->string_too_long();
  }
  bool operator!=(const TrackedIterator& other) const { return !(*this == other); }

 private:
  const char* at_;
  Tracker* tracker_;
};

// The library's sentence without its prefix, its places and the text it read.
std::string plain_message(std::string_view what) {
  if (const auto dash = what.find(" - "); dash != std::string_view::npos) {
    what.remove_prefix(dash + 3);
  }
  std::string out(what.substr(0, what.find("; last read")));
  if (out.empty()) out = "not valid JSON";
  if (const auto expected = what.rfind("; expected"); expected != std::string_view::npos) {
    out += what.substr(expected);
  }
  return out;
}

// Builds values from SAX events; a false return stops the parse with diagnostic() set.
class Builder {
 public:
  Builder(std::string_view text, const Tracker& tracker, const JsonLimits& limits)
      : text_(text), tracker_(tracker), limits_(limits) {}

  bool null() { return scalar(Value()); }
  bool boolean(bool b) { return scalar(Value(b)); }
  bool number_integer(std::int64_t i) { return scalar(Value(i)); }
  bool number_unsigned(std::uint64_t u) { return scalar(Value(u)); }
  bool number_float(double d, const std::string&) { return scalar(Value(d)); }
  bool string(std::string& s) { return scalar(Value(std::move(s))); }
  bool binary(nlohmann::json::binary_t&) { return refuse(tracker_.start(), "", "not valid JSON"); }
  bool start_object(std::size_t) { return open(true); }
  bool start_array(std::size_t) { return open(false); }

  bool key(std::string& name) {
    frames_.back().key = std::move(name);
    frames_.back().key_place = tracker_.start();
    return true;
  }

  bool end_object() {
    Frame frame = pop();
    if (const Member* twin = duplicate(frame.object)) {
      at_key_ = twin->first;
      return refuse({twin->second.key_line, twin->second.key_column},
                    fmt::format("\"{}\"", twin->first), "the key appears twice in one object");
    }
    return put(Value(std::move(frame.object)), frame.place);
  }

  bool end_array() {
    Frame frame = pop();
    return put(Value(std::move(frame.array)), frame.place);
  }

  bool parse_error(std::size_t, const std::string& number, const nlohmann::json::exception& error) {
    constexpr int kNumberOutOfRange = 406;
    if (error.id == kNumberOutOfRange) {
      return refuse(tracker_.start(), number, "the number is outside the range of a double");
    }
    const std::string_view token = tracker_.token(text_);
    if (tracker_.string_too_long()) {
      return refuse(tracker_.start(), token,
                    fmt::format("a string is longer than {} bytes", limits_.string_bytes_max));
    }
    for (const std::string_view word :
         {"NaN", "nan", "Inf", "inf", "-Inf", "-inf", "+Inf", "+inf"}) {
      if (token.starts_with(word)) {
        return refuse(tracker_.start(), token, "JSON has no NaN and no infinity");
      }
    }
    return refuse(tracker_.here(), token, plain_message(error.what()));
  }

  std::optional<Diagnostic> diagnostic() && { return std::move(diagnostic_); }
  Value root() && { return std::move(root_); }

 private:
  struct Frame {
    bool is_object = false;
    Object object;
    Array array;
    Place place;
    std::string key;
    Place key_place;
  };

  bool open(bool is_object) {
    if (frames_.size() >= static_cast<std::size_t>(limits_.depth_max)) {
      return refuse(tracker_.start(), "",
                    fmt::format("nested deeper than {} levels", limits_.depth_max));
    }
    frames_.push_back({.is_object = is_object, .place = tracker_.start()});
    return true;
  }

  Frame pop() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    return frame;
  }

  bool scalar(Value value) { return put(std::move(value), tracker_.start()); }

  bool put(Value value, Place place) {
    if (++values_ > limits_.values_max) {
      return refuse(place, "", fmt::format("more than {} values", limits_.values_max));
    }
    value.line = place.line;
    value.column = place.column;
    if (frames_.empty()) {
      root_ = std::move(value);
    } else if (Frame& top = frames_.back(); top.is_object) {
      value.key_line = top.key_place.line;
      value.key_column = top.key_place.column;
      top.object.emplace_back(std::move(top.key), std::move(value));
      top.key.clear();
    } else {
      top.array.push_back(std::move(value));
    }
    return true;
  }

  // The first member, in document order, whose key was there before. n log n: a document of many
  // keys must not cost quadratic time.
  static const Member* duplicate(const Object& object) {
    std::vector<const Member*> sorted;
    sorted.reserve(object.size());
    for (const Member& member : object) sorted.push_back(&member);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Member* a, const Member* b) { return a->first < b->first; });
    const Member* found = nullptr;
    for (std::size_t i = 1; i < sorted.size(); ++i) {
      if (sorted[i]->first != sorted[i - 1]->first) continue;
      if (found == nullptr || sorted[i] < found) found = sorted[i];
    }
    return found;
  }

  bool refuse(Place place, std::string_view value, std::string message) {
    diagnostic_ = Diagnostic{.path = path(),
                             .line = place.line,
                             .column = std::max(1, place.column),
                             .value = shortened(value),
                             .message = std::move(message)};
    return false;
  }

  std::string path() const {
    std::string out;
    for (const Frame& frame : frames_) {
      if (!frame.is_object) {
        out += fmt::format("[{}]", frame.array.size());
      } else if (!frame.key.empty()) {
        out += (out.empty() ? "" : ".") + shortened(frame.key);
      }
    }
    if (!at_key_.empty()) out += (out.empty() ? "" : ".") + shortened(at_key_);
    return out;
  }

  std::string_view text_;
  const Tracker& tracker_;
  const JsonLimits& limits_;
  std::vector<Frame> frames_;
  Value root_;
  std::string at_key_;
  std::size_t values_ = 0;
  std::optional<Diagnostic> diagnostic_;
};

Place place_of(std::string_view text, std::size_t at) {
  Tracker tracker(text.size());
  for (std::size_t i = 0; i <= at; ++i) tracker.take(text[i]);
  return tracker.here();
}

}  // namespace

tl::expected<Value, Diagnostic> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes_max) {
    return tl::unexpected(
        Diagnostic{.message = fmt::format("the document has {} bytes; at most {} are read",
                                          text.size(), limits.bytes_max)});
  }
  // The lexer takes a zero byte for the end of the text and would not see what comes after it.
  if (const auto zero = text.find('\0'); zero != std::string_view::npos) {
    const Place place = place_of(text, zero);
    return tl::unexpected(Diagnostic{
        .line = place.line, .column = place.column, .message = "the text holds a zero byte"});
  }
  Tracker tracker(limits.string_bytes_max);
  Builder builder(text, tracker, limits);
  const TrackedIterator begin(text.data(), &tracker);
  const TrackedIterator end(text.data() + text.size(), &tracker);
  const bool ok = nlohmann::json::sax_parse(begin, end, &builder);
  if (!ok) {
    auto diagnostic = std::move(builder).diagnostic();
    return tl::unexpected(diagnostic.value_or(Diagnostic{.message = "not valid JSON"}));
  }
  return std::move(builder).root();
}

}  // namespace arqon::wire
