#include "arqon/base/result.h"

#include <gtest/gtest.h>

namespace arqon {
namespace {

TEST(Result, exit_codes_are_those_of_the_manual) {
  EXPECT_EQ(exit_code(ErrorCode::kInternal), 1);
  EXPECT_EQ(exit_code(ErrorCode::kUsage), 2);
  EXPECT_EQ(exit_code(ErrorCode::kInvalidConfig), 3);
  EXPECT_EQ(exit_code(ErrorCode::kRefused), 4);
  EXPECT_EQ(exit_code(ErrorCode::kInconclusive), 5);
  EXPECT_EQ(exit_code(ErrorCode::kRolledBack), 6);
  EXPECT_EQ(exit_code(ErrorCode::kConflict), 7);
  EXPECT_EQ(exit_code(ErrorCode::kUnavailable), 8);
  EXPECT_EQ(exit_code(ErrorCode::kInterrupted), 130);
}

TEST(Result, context_goes_in_front_and_keeps_the_code) {
  const Error error = Error{ErrorCode::kConflict, "locked"}.with_context("state.db");
  EXPECT_EQ(error.message, "state.db: locked");
  EXPECT_EQ(error.code, ErrorCode::kConflict);
}

}  // namespace
}  // namespace arqon
