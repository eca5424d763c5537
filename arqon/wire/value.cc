#include <charconv>
#include <cmath>
#include <limits>

#include "arqon/wire/json.h"
#include "arqon/wire/utf8.h"

namespace arqon::wire {
namespace {

void write_string(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const std::size_t length = internal::utf8_length(text, at);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      at += 1;
      continue;
    }
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    } else {
      out += text.substr(at, length);
    }
    at += length;
  }
  out += '"';
}

std::string double_text(double number) {
  std::string text = shortest(number);
  if (std::isfinite(number) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// Writes one value and what is inside it; recursion is as deep as the value.
class Writer {
 public:
  Writer(int indent, std::string& out) : indent_(indent), out_(out) {}

  void write(const Value& value, int level) {
    if (value.is_null()) {
      out_ += "null";
    } else if (const bool* b = value.as_bool()) {
      out_ += *b ? "true" : "false";
    } else if (const std::int64_t* i = value.as_int()) {
      out_ += std::to_string(*i);
    } else if (const std::string* s = value.as_string()) {
      write_string(*s, out_);
    } else if (const Array* a = value.as_array()) {
      write_array(*a, level);
    } else if (const Object* o = value.as_object()) {
      write_object(*o, level);
    } else {
      out_ += double_text(value.number());
    }
  }

 private:
  void write_array(const Array& array, int level) {
    out_ += '[';
    bool first = true;
    for (const Value& item : array) {
      separate(first, level + 1);
      write(item, level + 1);
    }
    close(']', array.empty(), level);
  }

  void write_object(const Object& object, int level) {
    out_ += '{';
    bool first = true;
    for (const auto& [key, item] : object) {
      separate(first, level + 1);
      write_string(key, out_);
      out_ += indent_ < 0 ? ":" : ": ";
      write(item, level + 1);
    }
    close('}', object.empty(), level);
  }

  void separate(bool& first, int level) {
    if (!first) out_ += ',';
    first = false;
    if (indent_ >= 0) line(level);
  }
  void close(char bracket, bool empty, int level) {
    if (indent_ >= 0 && !empty) line(level);
    out_ += bracket;
  }
  void line(int level) {
    out_ += '\n';
    out_.append(static_cast<std::size_t>(level) * static_cast<std::size_t>(indent_), ' ');
  }

  int indent_;
  std::string& out_;
};

}  // namespace

Value::Value(std::uint64_t u) {
  if (u <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    data_ = static_cast<std::int64_t>(u);
  } else {
    data_ = static_cast<double>(u);
  }
}

bool Value::is_number() const {
  return std::holds_alternative<std::int64_t>(data_) || std::holds_alternative<double>(data_);
}

double Value::number() const {
  if (const auto* i = std::get_if<std::int64_t>(&data_)) return static_cast<double>(*i);
  if (const auto* d = std::get_if<double>(&data_)) return *d;
  return 0;
}

const Value* Value::find(std::string_view key) const {
  const Object* object = as_object();
  if (object == nullptr) return nullptr;
  for (const auto& [name, value] : *object) {
    if (name == key) return &value;
  }
  return nullptr;
}

bool Value::operator==(const Value& other) const { return data_ == other.data_; }

std::string write_json(const Value& value, int indent) {
  std::string out;
  Writer(indent, out).write(value, 0);
  return out;
}

Value compact_number(double number) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  const bool whole = std::abs(number) <= kExact && std::trunc(number) == number;
  if (whole && !(number == 0 && std::signbit(number))) return static_cast<std::int64_t>(number);
  return number;
}

std::string shortest(double number) {
  if (!std::isfinite(number)) return "null";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number);
  return std::string(buffer, end.ptr);
}

}  // namespace arqon::wire
