#include "arqon/adapters/placeholders.h"

#include <gtest/gtest.h>

namespace arqon::adapters {
namespace {

TEST(Placeholders, known_names_are_replaced_and_other_braces_stay) {
  const Filling filling = {{"value", "8"}, {"former", "4"}};
  EXPECT_EQ(filled(R"({"n": {value}, "was": {former}, "x": {y}})", filling),
            R"({"n": 8, "was": 4, "x": {y}})");
  EXPECT_EQ(filled("{value}{value}", filling), "88");
  EXPECT_EQ(filled("{value", filling), "{value");
  EXPECT_EQ(filled("{{value}}", filling), "{8}");
  EXPECT_EQ(filled("", filling), "");
}

TEST(Placeholders, what_is_put_in_is_not_a_template) {
  EXPECT_EQ(filled("{a} {b}", {{"a", "{b}"}, {"b", "2"}}), "{b} 2");
}

TEST(Placeholders, numbers_are_written_as_people_do) {
  EXPECT_EQ(number_text(8), "8");
  EXPECT_EQ(number_text(0.5), "0.5");
  EXPECT_EQ(json_inside("a\"b\n\\"), "a\\\"b\\n\\\\");
  EXPECT_TRUE(has_place("x={value}", "value"));
  EXPECT_FALSE(has_place("x=value", "value"));
}

}  // namespace
}  // namespace arqon::adapters
