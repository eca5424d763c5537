#include "arqon/guard/token_bucket.h"

#include <gtest/gtest.h>

namespace arqon::guard {
namespace {

TEST(TokenBucket, does_not_drift_over_a_million_tokens) {
  TokenBucket bucket(3);  // 333,333,334 ns: never faster than the limit
  std::int64_t taken = 0;
  const std::int64_t step = 1'000'003;
  for (std::int64_t ns = 0; ns < 3'000'000'000'000; ns += step) {
    if (bucket.ready(TimePoint(Duration(ns)))) {
      bucket.take(TimePoint(Duration(ns)));
      ++taken;
    }
  }
  EXPECT_LE(taken, 3 * 3000 + 1);
  EXPECT_GE(taken, 3 * 3000 * 0.99);
}

TEST(TokenBucket, very_slow_and_very_fast_rates_keep_their_sense) {
  TokenBucket slow(1e-30);
  slow.take(time_at(0));
  EXPECT_FALSE(slow.ready(time_at(4e9)));
  EXPECT_GT(slow.wait(time_at(0)), from_seconds(4e9));
  TokenBucket fast(1e30);
  fast.take(time_at(0));
  EXPECT_FALSE(fast.ready(time_at(0)));
  EXPECT_TRUE(fast.ready(time_at(0) + Duration(1)));
}

}  // namespace
}  // namespace arqon::guard
