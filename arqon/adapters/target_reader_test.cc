#include "arqon/adapters/target_reader.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace arqon::adapters {
namespace {

using Words = std::vector<std::string>;

wire::Value json(std::string_view text) {
  auto value = wire::parse_json(text);
  if (!value) ADD_FAILURE() << value.error().message;
  return value ? *value : wire::Value();
}

std::string message(const TargetReader& reader) {
  const Status status = reader.status();
  if (status) return "";
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidConfig);
  return status.error().message;
}

TEST(TargetReader, hands_out_what_is_there_and_the_fallback_otherwise) {
  const wire::Value target = json(
      R"({"engine": "x", "url": "http://h:1/a//", "n": 2.5, "i": 7, "f": true,
          "c": ["sh", "", "-c"], "t": "word"})");
  TargetReader reader(target, {"url", "n", "i", "f", "c", "t", "absent"});
  EXPECT_EQ(reader.url("url"), "http://h:1/a");
  EXPECT_EQ(reader.url("absent", "http://d"), "http://d");
  EXPECT_EQ(reader.number("n", 1, 0, 10), 2.5);
  EXPECT_EQ(reader.number("i", 1, 0, 10), 7);
  EXPECT_EQ(reader.number("absent", 1, 0, 10), 1);
  EXPECT_EQ(reader.integer("i", 1, 7, 7), 7);
  EXPECT_TRUE(reader.flag("f", false));
  EXPECT_TRUE(reader.flag("absent", true));
  EXPECT_EQ(reader.command("c"), (Words{"sh", "", "-c"}));
  EXPECT_EQ(reader.command("absent"), Words{});
  EXPECT_EQ(reader.text("t"), "word");
  EXPECT_EQ(reader.text("absent", "d"), "d");
  EXPECT_EQ(reader.find("absent"), nullptr);
  EXPECT_EQ(message(reader), "");
}

TEST(TargetReader, an_unknown_key_is_told_with_its_place_and_the_nearest_known_one) {
  const wire::Value target = json("{\"engine\": \"x\",\n  \"ulr\": \"http://h\"}");
  const TargetReader reader(target, {"url", "metrics"});
  EXPECT_EQ(message(reader), "target.ulr (line 2, column 3): unknown key; did you mean \"url\"?");
  const wire::Value far = json("{\"zzzzzz\": 1}");
  EXPECT_EQ(message(TargetReader(far, {"url", "metrics"})),
            "target.zzzzzz (line 1, column 2): unknown key; known: url, metrics, engine");
}

TEST(TargetReader, every_error_is_told_at_once) {
  const wire::Value target =
      json(R"({"url": "ftp://h", "n": 11, "i": 1.5, "f": 1, "c": "sh -c x", "t": ""})");
  TargetReader reader(target, {"url", "n", "i", "f", "c", "t", "need"});
  reader.url("url");
  EXPECT_EQ(reader.number("n", 3, 0, 10), 3);
  EXPECT_EQ(reader.integer("i", 4, 0, 10), 4);
  reader.flag("f", false);
  reader.command("c");
  reader.text("t");
  reader.text("need");
  const std::string text = message(reader);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 6) << text;
  EXPECT_NE(text.find("target.n (line 1, column 20): must be a number from 0 to 10, not 11"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("target.i"), std::string::npos);
  EXPECT_NE(text.find("list of words"), std::string::npos);
  EXPECT_NE(text.find("target.need (line 1, column 1): is missing"), std::string::npos);
}

TEST(TargetReader, urls_need_a_host_and_no_blanks) {
  for (const std::string_view bad :
       {R"({"url": "http://"})", R"({"url": "http:///x"})", R"({"url": "h:80"})",
        R"({"url": "http://a b"})", R"({"url": 8000})"}) {
    const wire::Value target = json(bad);
    TargetReader reader(target, {"url"});
    EXPECT_EQ(reader.url("url"), "");
    EXPECT_NE(message(reader), "") << bad;
  }
}

TEST(TargetReader, commands_are_lists_that_begin_with_a_program) {
  for (const std::string_view bad : {R"({"c": []})", R"({"c": [""]})", R"({"c": ["a", 1]})",
                                     R"({"c": "a"})", R"({"c": ["a\u0000"]})"}) {
    const wire::Value target = json(bad);
    TargetReader reader(target, {"c"});
    EXPECT_EQ(reader.command("c"), Words{}) << bad;
    EXPECT_NE(message(reader), "") << bad;
  }
}

TEST(TargetReader, a_target_built_in_code_has_no_place_and_one_that_is_no_object_is_refused) {
  const wire::Value built(wire::Object{{"x", wire::Value(1)}});
  const TargetReader reader(built, {"url"});
  EXPECT_EQ(message(reader).substr(0, 23), "target.x: unknown key; ");
  const wire::Value text("vllm");
  EXPECT_NE(message(TargetReader(text, {})).find("must be an object"), std::string::npos);
}

}  // namespace
}  // namespace arqon::adapters
