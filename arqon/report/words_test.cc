#include "arqon/report/words.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <limits>

namespace arqon::report {
namespace {

TEST(Words, escape_leaves_no_markup_and_no_control_characters) {
  EXPECT_EQ(escape("<b a=\"x\">&'"), "&lt;b a=&quot;x&quot;&gt;&amp;&#39;");
  EXPECT_EQ(escape(std::string("a\0b", 3)),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(escape("\xC3\x28 \xE2\x86\x92"), "\xEF\xBF\xBD( \xE2\x86\x92");
  EXPECT_EQ(escape("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

RC_GTEST_PROP(Words, escape_is_safe_for_any_bytes, (const std::string& text)) {
  const std::string out = escape(text);
  RC_ASSERT(out.find_first_of("<>\"'") == std::string::npos);
  RC_ASSERT(out.find('\0') == std::string::npos);
}

TEST(Words, numbers_read_as_people_write_them) {
  EXPECT_EQ(percent(0.99432), "99.43%");
  EXPECT_EQ(percent(std::numeric_limits<double>::quiet_NaN()), "n/a");
  EXPECT_EQ(points(-0.0123), "1.23 points");
  EXPECT_EQ(points(0.01), "1 point");
  EXPECT_EQ(count(1234567), "1,234,567");
  EXPECT_EQ(count(-1000), "-1,000");
  EXPECT_EQ(count(999), "999");
  EXPECT_EQ(short_count(12.34e6), "12.3 M");
  EXPECT_EQ(dollars(0.2144), "$0.214");
  EXPECT_EQ(dollars(1240.4), "$1,240");
  EXPECT_EQ(milliseconds(812.4), "812 ms");
  EXPECT_EQ(milliseconds(1940), "1.94 s");
  EXPECT_EQ(duration_text(4800), "1 h 20 min");
  EXPECT_EQ(duration_text(7200), "2 h");
  EXPECT_EQ(clock_text(2405), "0:40:05");
  EXPECT_EQ(number(8192), "8192");
  EXPECT_EQ(number(0.92), "0.92");
}

TEST(Words, settings_name_only_what_differs) {
  Parameter cap{"main.cap"};
  cap.max = 100;
  Parameter mode{"main.mode", ParamType::kCategorical};
  mode.choices = {"a", "b"};
  Parameter weights{"router.weights", ParamType::kSimplex};
  weights.choices = {"x", "y"};
  const Space space({cap, mode, weights});
  const Config from = {8, 0, 0.5, 0.5};
  const Config to = {8, 1, 0.75, 0.25};
  EXPECT_EQ(setting_difference(space, from, to),
            "main.mode a \xE2\x86\x92 b, router.weights 0.5 : 0.5 \xE2\x86\x92 0.75 : 0.25");
  EXPECT_EQ(setting_difference(space, from, from), "");
  EXPECT_EQ(setting_difference(space, {}, to), "");
  EXPECT_EQ(setting_text(space, to), "main.cap = 8, main.mode = b, router.weights = 0.75 : 0.25");
}

}  // namespace
}  // namespace arqon::report
