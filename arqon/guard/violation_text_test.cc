#include "arqon/guard/violation_text.h"

#include <gtest/gtest.h>

#include "arqon/guard/testing/example.h"

namespace arqon::guard {
namespace {

using testing::make_space;

TEST(Describe, names_the_knob_and_the_limit) {
  const Space space = make_space();
  EXPECT_EQ(describe({ViolationKind::kMaxDelta, 0, 56, 16}, space),
            "batch: 56 is further than 16 requests from the value in force");
  EXPECT_EQ(describe({ViolationKind::kOutOfBounds, 1, -0.5, 0}, space),
            "wait: -0.5 is below the limit 0");
  EXPECT_EQ(describe({ViolationKind::kRate, 0, 3.25, 5}, space),
            "too soon: 3.25 s until the next change, one per 5 s");
  EXPECT_EQ(describe({}, space), "");
  for (int kind = 1; kind <= static_cast<int>(ViolationKind::kForbidden); ++kind) {
    EXPECT_FALSE(describe({static_cast<ViolationKind>(kind), 4, 1, 2}, space).empty()) << kind;
    EXPECT_NE(to_string(static_cast<ViolationKind>(kind)), "none");
  }
  EXPECT_EQ(describe({ViolationKind::kOffGrid, 99, 1, 2}, space), "off_grid");
}

}  // namespace
}  // namespace arqon::guard
