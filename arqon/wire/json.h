// JSON as values with places. Strict (RFC 8259), bounded, key order kept, duplicate keys refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <variant>
#include <vector>

#include "arqon/wire/diagnostic.h"

namespace arqon::wire {

class Value;
using Array = std::vector<Value>;
using Member = std::pair<std::string, Value>;
using Object = std::vector<Member>;  // document order

// A JSON value and the place where it began in its text (line and column from 1, 0 = built in
// code).
class Value {
 public:
  using Data = std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object>;

  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool b) : data_(b) {}
  Value(int i) : data_(static_cast<std::int64_t>(i)) {}
  Value(std::int64_t i) : data_(i) {}
  Value(std::uint64_t u);        // above 2^63 - 1 becomes a double
  Value(double d) : data_(d) {}  // NaN and infinities are written as null
  Value(const char* s) : data_(std::string(s)) {}
  Value(std::string s) : data_(std::move(s)) {}
  Value(std::string_view s) : data_(std::string(s)) {}
  Value(Array a) : data_(std::move(a)) {}
  Value(Object o) : data_(std::move(o)) {}

  const Data& data() const { return data_; }
  bool is_null() const { return std::holds_alternative<std::nullptr_t>(data_); }
  bool is_number() const;
  // Null when of another type.
  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const std::int64_t* as_int() const { return std::get_if<std::int64_t>(&data_); }
  const std::string* as_string() const { return std::get_if<std::string>(&data_); }
  const Array* as_array() const { return std::get_if<Array>(&data_); }
  const Object* as_object() const { return std::get_if<Object>(&data_); }
  Array* as_array() { return std::get_if<Array>(&data_); }
  Object* as_object() { return std::get_if<Object>(&data_); }
  // Number of either kind; 0 when not a number.
  double number() const;
  // Member of an object, or null.
  const Value* find(std::string_view key) const;

  // Same type and content; places do not count. 1 and 1.0 differ: an integer stays an integer.
  bool operator==(const Value& other) const;

  int line = 0;
  int column = 0;
  // Where its key began, when it is a member of an object.
  int key_line = 0;
  int key_column = 0;

 private:
  Data data_;
};

struct JsonLimits {
  std::size_t bytes_max = 8u << 20;
  int depth_max = 64;
  std::size_t values_max = 1u << 18;        // bounds the memory: about 100 bytes a value
  std::size_t string_bytes_max = 1u << 16;  // of one string or key, as written
};

// Refuses, with the place: more than bytes_max, deeper than depth_max, more than values_max values,
// strings longer than string_bytes_max, duplicate keys, invalid UTF-8, numbers outside the range of
// double (1e999), trailing text, NaN/Infinity literals. Columns count characters, not bytes. Size
// is checked before anything is read, depth before anything is allocated. Peak memory beside the
// text is below 48 MiB with the default limits.
tl::expected<Value, Diagnostic> parse_json(std::string_view text, const JsonLimits& limits = {});

// Shortest round-trip numbers; a double always shows that it is one (3.0). Bytes of a string that
// are not UTF-8 become U+FFFD. indent < 0: one line.
std::string write_json(const Value& value, int indent = -1);

// An integer where `number` is whole and exact (|number| <= 2^53), a double otherwise.
Value compact_number(double number);
// Shortest text that reads back as the same double, e.g. "0.1", "3", "1e+300"; "null" when not
// finite.
std::string shortest(double number);

}  // namespace arqon::wire
