#include "arqon/space/space.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

namespace arqon {
namespace {

Space serving_space() {
  return Space({
      {.name = "batch_size", .type = ParamType::kInt, .scale = Scale::kLog, .min = 1, .max = 64},
      {.name = "max_wait_ms", .min = 10, .max = 500},
      {.name = "budget", .type = ParamType::kInt, .scale = Scale::kLog, .min = 256, .max = 8192,
       .step = 64, .default_value = Config{8192}},
      {.name = "phase", .scale = Scale::kPeriodic, .min = 0, .max = 24},
      {.name = "policy", .type = ParamType::kCategorical, .choices = {"fcfs", "sjf", "edf"}},
      {.name = "chunked", .type = ParamType::kBool},
      {.name = "router", .type = ParamType::kSimplex, .choices = {"small", "large"}},
  });
}

TEST(Space, simplex_takes_one_slot_per_part) {
  const Space space = serving_space();
  EXPECT_EQ(space.slots(), 8u);
  EXPECT_EQ(space.offset(6), 6u);
  EXPECT_EQ(space.find("router"), 6u);
  EXPECT_FALSE(space.find("nope").has_value());
}

TEST(Space, refuses_what_is_out_of_type_or_bounds) {
  const Space space = serving_space();
  const Config good = space.default_config();
  ASSERT_TRUE(space.contains(good));
  const auto broken = [&](std::size_t slot, double value) {
    Config bad = good;
    bad[slot] = value;
    return space.first_violation(bad);
  };
  EXPECT_EQ(broken(0, 65), 0u);
  EXPECT_EQ(broken(0, 2.5), 0u);
  EXPECT_EQ(broken(1, std::numeric_limits<double>::quiet_NaN()), 1u);
  EXPECT_EQ(broken(1, std::numeric_limits<double>::infinity()), 1u);
  EXPECT_EQ(broken(2, 300), 2u);
  EXPECT_EQ(broken(4, 3), 4u);
  EXPECT_EQ(broken(5, 0.5), 5u);
  EXPECT_EQ(broken(6, 0.9), 6u);
  EXPECT_FALSE(space.contains(std::span(good).first(3)));
}

TEST(Space, a_periodic_value_wraps_and_others_clamp) {
  const Space space = serving_space();
  Config c = space.default_config();
  c[3] = 25;
  c[1] = 9000;
  const Config snapped = space.snap(c);
  EXPECT_DOUBLE_EQ(snapped[3], 1);
  EXPECT_DOUBLE_EQ(snapped[1], 500);
}

RC_GTEST_PROP(Space, decode_lands_in_the_space_and_encode_inverts_it, ()) {
  const Space space = serving_space();
  std::vector<double> unit;
  for (std::size_t i = 0; i < space.slots(); ++i) {
    unit.push_back(*rc::gen::inRange(0, 10001) / 10000.0);
  }
  const Config config = space.decode(unit);
  RC_ASSERT(space.contains(config));
  const Config again = space.decode(space.encode(config));
  for (std::size_t i = 0; i < config.size(); ++i) {
    RC_ASSERT(std::abs(again[i] - config[i]) <= 1e-9 * std::max(1.0, std::abs(config[i])));
  }
}

}  // namespace
}  // namespace arqon
