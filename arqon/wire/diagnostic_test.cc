#include "arqon/wire/diagnostic.h"

#include <gtest/gtest.h>

namespace arqon::wire {
namespace {

TEST(Diagnostic, text_names_file_place_path_value_and_hint) {
  const Diagnostic d{.path = "knobs.main.batch_size.mni",
                     .line = 12,
                     .column = 5,
                     .value = "8",
                     .message = "unknown key",
                     .hint = "did you mean \"min\"?"};
  EXPECT_EQ(to_string(d, "a.json"),
            "a.json:12:5: knobs.main.batch_size.mni: unknown key (got 8); did you mean \"min\"?");
}

TEST(Diagnostic, text_leaves_out_what_is_unknown) {
  EXPECT_EQ(to_string({.message = "too large"}, "a.json"), "a.json: too large");
  EXPECT_EQ(to_string({.line = 1, .column = 2, .message = "bad"}, ""), "1:2: bad");
}

TEST(NearestName, finds_a_typing_error_and_ignores_case) {
  const std::vector<std::string> known = {"batch_size", "block_size", "min", "max", "scale"};
  EXPECT_EQ(nearest_name("bacth_size", known), "batch_size");
  EXPECT_EQ(nearest_name("mni", known), "min");
  EXPECT_EQ(nearest_name("Scale", known), "scale");
  EXPECT_EQ(nearest_name("batchsize", known), "batch_size");
  EXPECT_EQ(nearest_name("bat", known), "batch_size");
}

TEST(NearestName, says_nothing_when_nothing_is_near) {
  EXPECT_EQ(nearest_name("temperature", {"batch_size", "min"}), "");
  EXPECT_EQ(nearest_name("", {"min"}), "");
  EXPECT_EQ(nearest_name("s0", {"m0"}), "") << "two letters are too few to guess from";
  EXPECT_EQ(nearest_name(std::string(100000, 'x'), {"min"}), "");
}

TEST(Shortened, cuts_between_characters_and_hides_broken_bytes) {
  EXPECT_EQ(shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(shortened("abcdefg", 6), "abc...");
  EXPECT_EQ(shortened("\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4", 4), "\xC3\xA4...");
  EXPECT_EQ(shortened("a\xFF\n", 6), "a??");
}

}  // namespace
}  // namespace arqon::wire
