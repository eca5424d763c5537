#include "arqon/load/chunk.h"

#include <charconv>

namespace arqon::load {
namespace {

constexpr int kDepthMax = 32;
constexpr std::uint32_t kTokensMax = 1u << 30;

// A cursor over JSON. Every call either consumes what it is named for or sets `bad` for good.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : p_(text.data()), end_(text.data() + text.size()) {}

  bool bad() const { return bad_; }
  bool at_end() {
    blanks();
    return p_ == end_;
  }
  char peek() {
    blanks();
    return p_ == end_ ? '\0' : *p_;
  }
  // The text between the quotes, escapes as they are.
  std::string_view string() {
    if (!take('"')) return {};
    const char* begin = p_;
    while (p_ < end_ && *p_ != '"') {
      if (static_cast<unsigned char>(*p_) < 0x20) break;
      p_ += *p_ == '\\' && p_ + 1 < end_ ? 2 : 1;
    }
    if (p_ >= end_ || *p_ != '"') {
      fail();
      return {};
    }
    return {begin, static_cast<std::size_t>(p_++ - begin)};
  }
  // Members of an object: `member(key)` consumes each value.
  template <typename F>
  void object(F member) {
    if (!enter('{')) return;
    if (!closes('}')) {
      do {
        const std::string_view key = string();
        if (!take(':')) return;
        member(key);
      } while (!bad_ && more());
      take('}');
    }
    --depth_;
  }
  template <typename F>
  void array(F item) {
    if (!enter('[')) return;
    if (!closes(']')) {
      do {
        item();
      } while (!bad_ && more());
      take(']');
    }
    --depth_;
  }
  void skip() {
    switch (peek()) {
      case '{': object([&](std::string_view) { skip(); }); break;
      case '[': array([&] { skip(); }); break;
      case '"': string(); break;
      default: word();
    }
  }
  // A number, true, false or null as it is written.
  std::string_view word() {
    blanks();
    const char* begin = p_;
    while (p_ < end_ && *p_ != ',' && *p_ != '}' && *p_ != ']' && !blank(*p_)) ++p_;
    if (p_ == begin) fail();
    return {begin, static_cast<std::size_t>(p_ - begin)};
  }

 private:
  static bool blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
  void blanks() {
    while (p_ < end_ && blank(*p_)) ++p_;
  }
  bool fail() {
    bad_ = true;
    p_ = end_;
    return false;
  }
  bool take(char c) {
    if (bad_ || peek() != c) return fail();
    ++p_;
    return true;
  }
  bool enter(char c) { return ++depth_ > kDepthMax ? fail() : take(c); }
  bool closes(char c) {
    if (peek() != c) return false;
    ++p_;
    return true;
  }
  bool more() {
    if (peek() != ',') return false;
    ++p_;
    return true;
  }

  const char* p_;
  const char* end_;
  int depth_ = 0;
  bool bad_ = false;
};

// What one choice said, before it is judged.
struct Choice {
  bool text_key = false, text = false, role = false;
};

// A string with something in it, or a list or object with something in it; null is nothing.
bool filled(Cursor& json) {
  const char c = json.peek();
  if (c == '"') return !json.string().empty();
  if (c == '[' || c == '{') {
    bool any = false;
    if (c == '[') json.array([&] { any = true; json.skip(); });
    if (c == '{') json.object([&](std::string_view) { any = true; json.skip(); });
    return any;
  }
  json.skip();
  return false;
}

void read_delta(Cursor& json, Choice& choice) {
  if (json.peek() != '{') return json.skip();
  json.object([&](std::string_view key) {
    if (key == "role") {
      choice.role = true;
      json.skip();
    } else if (key == "content" || key == "reasoning_content" || key == "reasoning" ||
               key == "tool_calls" || key == "refusal") {
      choice.text_key = choice.text_key || key == "content";
      choice.text = filled(json) || choice.text;
    } else {
      json.skip();
    }
  });
}

void read_finish(Cursor& json, Chunk& chunk) {
  if (json.peek() != '"') return json.skip();
  const std::string_view reason = json.string();
  chunk.finished = true;
  chunk.cut_by_length = chunk.cut_by_length || reason == "length";
  chunk.aborted = chunk.aborted || reason == "abort" || reason == "error";
}

void read_choice(Cursor& json, Chunk& chunk) {
  if (json.peek() != '{') return json.skip();
  Choice choice;
  json.object([&](std::string_view key) {
    if (key == "text") {
      choice.text_key = true;
      choice.text = filled(json) || choice.text;
    } else if (key == "delta" || key == "message") {
      read_delta(json, choice);
    } else if (key == "finish_reason") {
      read_finish(json, chunk);
    } else {
      json.skip();
    }
  });
  chunk.text = chunk.text || choice.text;
  const bool held_back = choice.text_key && !choice.role && !chunk.finished;
  chunk.piece = chunk.piece || choice.text || held_back;
}

void read_usage(Cursor& json, Chunk& chunk) {
  if (json.peek() != '{') return json.skip();
  bool prompt = false, output = false;
  json.object([&](std::string_view key) {
    const bool is_prompt = key == "prompt_tokens", is_output = key == "completion_tokens";
    if (!is_prompt && !is_output) return json.skip();
    if (json.peek() == '"' || json.peek() == '{' || json.peek() == '[') return json.skip();
    const std::string_view word = json.word();
    std::uint32_t value = 0;
    const auto [last, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || last != word.data() + word.size() || value > kTokensMax) return;
    (is_prompt ? chunk.prompt_tokens : chunk.output_tokens) = value;
    (is_prompt ? prompt : output) = true;
  });
  chunk.usage = prompt && output;
}

void read_error(Cursor& json, Chunk& chunk) {
  if (json.peek() == '"') {
    chunk.error = true;
    chunk.error_text = json.string();
    return;
  }
  if (json.peek() != '{') return json.skip();  // null
  chunk.error = true;
  json.object([&](std::string_view key) {
    if (key == "message" && json.peek() == '"') {
      chunk.error_text = json.string();
    } else {
      json.skip();
    }
  });
}

}  // namespace

Chunk read_chunk(std::string_view text) {
  Chunk chunk;
  Cursor json(text);
  if (json.peek() != '{') return chunk;
  json.object([&](std::string_view key) {
    if (key == "choices" && json.peek() == '[') {
      json.array([&] { read_choice(json, chunk); });
    } else if (key == "usage") {
      read_usage(json, chunk);
    } else if (key == "error") {
      read_error(json, chunk);
    } else {
      json.skip();
    }
  });
  chunk.valid = !json.bad() && json.at_end();
  return chunk;
}

}  // namespace arqon::load
