// JSON as values with places. Strict (RFC 8259), bounded, key order kept, duplicate keys refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "arqon/wire/diagnostic.h"

#include <tl/expected.hpp>

namespace arqon::wire {

class Value;
using Array = std::vector<Value>;
using Member = std::pair<std::string, Value>;
using Object = std::vector<Member>;   // document order

// A JSON value and the place where it began in its text (line and column from 1, 0 = built in code).
class Value {
 public:
  using Data = std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object>;

  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool b) : data_(b) {}
  Value(int i) : data_(static_cast<std::int64_t>(i)) {}
  Value(std::int64_t i) : data_(i) {}
  Value(std::uint64_t u);               // above 2^63 - 1 becomes a double
  Value(double d) : data_(d) {}         // NaN and infinities are written as null
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
  Object* as_object() { return std::get_if<Object>(&data_); }
  // Number of either kind; 0 when not a number.
  double number() const;
  // Member of an object, or null.
  const Value* find(std::string_view key) const;

  int line = 0;
  int column = 0;

 private:
  Data data_;
};

struct JsonLimits {
  std::size_t bytes_max = 8u << 20;
  int depth_max = 64;
};

// Refuses, with the place: more than bytes_max, deeper than depth_max, duplicate keys, invalid
// UTF-8, numbers outside the range of double (1e999), trailing text, NaN/Infinity literals.
tl::expected<Value, Diagnostic> parse_json(std::string_view text, const JsonLimits& limits = {});

// Shortest round-trip numbers. indent < 0: one line.
std::string write_json(const Value& value, int indent = -1);

}  // namespace arqon::wire
