#include "arqon/wire/json.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

namespace arqon::wire {
namespace {

Diagnostic refusal(std::string_view text, const JsonLimits& limits = {}) {
  const auto value = parse_json(text, limits);
  EXPECT_FALSE(value.has_value()) << text.substr(0, 200);
  return value ? Diagnostic{} : value.error();
}

TEST(ParseJson, keeps_key_order_types_and_places) {
  const auto value = parse_json("{\n  \"b\": 1,\n  \"a\": [true, 2.5,\n   \"x\\n\"]\n}");
  ASSERT_TRUE(value.has_value());
  const Object& object = *value->as_object();
  EXPECT_EQ(object[0].first, "b");
  EXPECT_EQ(object[1].first, "a");
  EXPECT_EQ(*object[0].second.as_int(), 1);
  EXPECT_EQ(object[0].second.line, 2);
  EXPECT_EQ(object[0].second.column, 8);
  EXPECT_EQ(object[0].second.key_column, 3);
  const Array& array = *object[1].second.as_array();
  EXPECT_EQ(array[1].number(), 2.5);
  EXPECT_EQ(*array[2].as_string(), "x\n");
  EXPECT_EQ(array[2].line, 4);
  EXPECT_EQ(array[2].column, 4);
  EXPECT_EQ(value->line, 1);
  EXPECT_EQ(value->column, 1);
}

TEST(ParseJson, columns_count_characters) {
  const auto value = parse_json("{\"\xC3\xA4\xE2\x82\xAC\": 1}");
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(value->as_object()->front().second.column, 8);
}

TEST(ParseJson, integers_stay_exact_and_large_ones_become_doubles) {
  EXPECT_EQ(*parse_json("9007199254740993")->as_int(), 9007199254740993);
  EXPECT_EQ(*parse_json("-9223372036854775808")->as_int(),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_json("9223372036854775808")->number(), 9223372036854775808.0);
}

TEST(ParseJson, refuses_a_duplicate_key_at_the_second_one) {
  const Diagnostic d = refusal("{\"k\": {\"a\": 1,\n \"b\": 2, \"a\": 3}}");
  EXPECT_EQ(d.path, "k.a");
  EXPECT_EQ(d.line, 2);
  EXPECT_EQ(d.column, 10);
}

TEST(ParseJson, refuses_numbers_that_are_not_finite) {
  const Diagnostic huge = refusal("{\"a\":\n  1e999}");
  EXPECT_EQ(huge.path, "a");
  EXPECT_EQ(huge.line, 2);
  EXPECT_EQ(huge.column, 3);
  EXPECT_EQ(huge.value, "1e999");
  for (const char* text : {"[1, NaN]", "[1, Infinity]", "[1, -Infinity]", "[1, nan]", "[1, inf]"}) {
    const Diagnostic d = refusal(text);
    EXPECT_NE(d.message.find("no NaN"), std::string::npos) << text << ": " << d.message;
    EXPECT_EQ(d.column, 5) << text;
    EXPECT_EQ(d.path, "[1]") << text;
  }
}

TEST(ParseJson, refuses_what_the_grammar_does_not_allow) {
  for (const std::string_view text :
       {"",           " ",           "{",       "[1",        "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,}", "[1,]",        "{a:1}",   "'a'",       "[1] x",  "{} {}",   "01",
        "1.",         ".5",          "+1",      "0x10",      "tru",    "\"abc",   "\"\t\"",
        "\"\\x\"",    "\"\\ud800\"", "// c\n1", "/* c */ 1", "[1 2]",  "nul",     "}"}) {
    const Diagnostic d = refusal(text);
    EXPECT_GE(d.line, 1) << text;
    EXPECT_GE(d.column, 1) << text;
    EXPECT_FALSE(d.message.empty()) << text;
  }
}

TEST(ParseJson, refuses_invalid_utf8_and_zero_bytes) {
  for (const std::string_view bytes : {"\"\xFF\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"",
                                       "\"\xF5\x80\x80\x80\"", "\"\xE2\x82\"", "\xFF\xFE{}"}) {
    refusal(bytes);
  }
  EXPECT_EQ(refusal(std::string_view("{}\0 garbage", 11)).column, 3);
  EXPECT_EQ(refusal(std::string_view("\0", 1)).column, 1);
}

TEST(ParseJson, depth_is_refused_before_it_costs_anything) {
  EXPECT_TRUE(parse_json(std::string(64, '[') + std::string(64, ']')).has_value());
  const Diagnostic d = refusal(std::string(100000, '['));
  EXPECT_EQ(d.column, 65);
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_EQ(refusal(objects).line, 1);
}

TEST(ParseJson, size_and_number_of_values_are_bounded) {
  EXPECT_NE(refusal(std::string(100, ' '), {.bytes_max = 99}).message.find("100 bytes"),
            std::string::npos);
  std::string many = "[0";
  for (int i = 0; i < 300'000; ++i) many += ",0";
  EXPECT_NE(refusal(many + "]").message.find("values"), std::string::npos);
}

TEST(ParseJson, the_length_of_a_string_is_bounded) {
  const std::string longest(65534, 'x');
  EXPECT_TRUE(parse_json("[\"" + longest + "\"]").has_value());
  EXPECT_EQ(refusal("[1,\n \"" + longest + "xxx\"]").line, 2);
  EXPECT_EQ(refusal("{\"" + longest + "xxx\": 1}").column, 2);
}

TEST(ParseJson, many_keys_cost_no_quadratic_time) {
  std::string text = "{";
  for (int i = 0; i < 50'000; ++i) text += "\"" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(parse_json(text + "\"last\":0}").has_value());
  EXPECT_EQ(refusal(text + "\"7\":0}").path, "7");
}

TEST(WriteJson, doubles_are_shortest_and_stay_doubles) {
  EXPECT_EQ(write_json(Value(0.1)), "0.1");
  EXPECT_EQ(write_json(Value(3.0)), "3.0");
  EXPECT_EQ(write_json(Value(-0.0)), "-0.0");
  EXPECT_EQ(write_json(Value(1e300)), "1e+300");
  EXPECT_EQ(write_json(Value(std::numeric_limits<double>::quiet_NaN())), "null");
  EXPECT_EQ(write_json(compact_number(64)), "64");
  EXPECT_EQ(write_json(compact_number(0.25)), "0.25");
}

TEST(WriteJson, indents_and_escapes) {
  const Value value(Object{{"a\"\n", Array{1, Value("\x01\xFF")}}, {"e", Object{}}});
  EXPECT_EQ(write_json(value), "{\"a\\\"\\n\":[1,\"\\u0001\xEF\xBF\xBD\"],\"e\":{}}");
  EXPECT_EQ(write_json(value, 2),
            "{\n  \"a\\\"\\n\": [\n    1,\n    \"\\u0001\xEF\xBF\xBD\"\n  ],\n  \"e\": {}\n}");
}

Value arbitrary_value(int depth) {
  const int kind = *rc::gen::inRange(0, depth > 0 ? 7 : 5);
  if (kind == 0) return Value();
  if (kind == 1) return Value(*rc::gen::arbitrary<bool>());
  if (kind == 2) return Value(*rc::gen::arbitrary<std::int64_t>());
  if (kind == 3) {
    const auto mantissa = *rc::gen::arbitrary<double>();
    return Value(std::ldexp(mantissa, *rc::gen::inRange(-300, 300)));
  }
  if (kind == 4) {
    std::string s;
    for (const int c : *rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 128))) {
      s += static_cast<char>(c);
    }
    return Value(s);
  }
  const int size = *rc::gen::inRange(0, 4);
  if (kind == 5) {
    Array array;
    for (int i = 0; i < size; ++i) array.push_back(arbitrary_value(depth - 1));
    return Value(array);
  }
  Object object;
  for (int i = 0; i < size; ++i) {
    object.emplace_back("key " + std::to_string(size - i), arbitrary_value(depth - 1));
  }
  return Value(object);
}

RC_GTEST_PROP(WriteJson, parse_reads_back_what_was_written, ()) {
  const Value value = arbitrary_value(4);
  for (const int indent : {-1, 2}) {
    const auto again = parse_json(write_json(value, indent));
    RC_ASSERT(again.has_value());
    RC_ASSERT(*again == value);
  }
}

}  // namespace
}  // namespace arqon::wire
