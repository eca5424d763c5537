#include "arqon/solver/encoding.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "arqon/solver/sampling.h"

namespace arqon::solver {
namespace {

Space mixed_space() {
  return Space({
      {.name = "batch", .type = ParamType::kInt, .scale = Scale::kLog, .min = 1, .max = 64},
      {.name = "wait", .min = 10, .max = 500},
      {.name = "phase", .scale = Scale::kPeriodic, .min = 0, .max = 24},
      {.name = "policy", .type = ParamType::kCategorical, .choices = {"fcfs", "sjf", "edf"}},
      {.name = "chunked", .type = ParamType::kBool},
      {.name = "router", .type = ParamType::kSimplex, .choices = {"s", "m", "l"}},
  });
}

TEST(Encoding, a_log_coordinate_is_even_in_the_logarithm) {
  const Space space = mixed_space();
  const Encoding encoding(space);
  Config c = space.default_config();
  c[0] = 8;
  EXPECT_NEAR(encoding.encode(space, c)[0], 0.5, 1e-12);
}

TEST(Encoding, a_simplex_has_one_coordinate_less_than_parts_and_its_centre_is_zero) {
  const Space space = mixed_space();
  const Encoding encoding(space);
  EXPECT_EQ(encoding.dims(), 7u);
  const Point at = encoding.encode(space, space.default_config());
  EXPECT_NEAR(at[5], 0, 1e-12);
  EXPECT_NEAR(at[6], 0, 1e-12);
}

TEST(Encoding, midnight_is_near_eleven_at_night_and_categories_are_all_equally_far) {
  const Space space = mixed_space();
  const Encoding encoding(space);
  EXPECT_NEAR(encoding.difference(2, 23.0 / 24, 0), 1.0 / 24, 1e-12);
  EXPECT_EQ(encoding.difference(3, 0, 2), 1);
  EXPECT_EQ(encoding.difference(3, 1, 2), 1);
}

RC_GTEST_PROP(Encoding, decode_inverts_encode, ()) {
  const Space space = mixed_space();
  const Encoding encoding(space);
  Rng rng(*rc::gen::arbitrary<std::uint64_t>());
  Config c = random_point(space, rng);
  // Shares under the floor are lifted to it by design.
  for (std::size_t i = 5; i < 8; ++i) c[i] = 0.02 + c[i];
  c = space.snap(c);
  const Config again = encoding.decode(space, encoding.encode(space, c));
  for (std::size_t i = 0; i < c.size(); ++i) {
    RC_ASSERT(std::abs(again[i] - c[i]) <= 1e-9 * std::max(1.0, std::abs(c[i])));
  }
}

RC_GTEST_PROP(Sampling, uniform_points_lie_in_the_space, ()) {
  const Space space = mixed_space();
  Rng rng(*rc::gen::arbitrary<std::uint64_t>());
  RC_ASSERT(space.contains(random_point(space, rng)));
}

TEST(Sampling, every_grid_value_of_an_integer_is_equally_likely) {
  const Space space({{.name = "k", .type = ParamType::kInt, .min = 0, .max = 4}});
  Rng rng(3);
  std::vector<int> counts(5);
  for (int i = 0; i < 5000; ++i) ++counts[static_cast<std::size_t>(random_point(space, rng)[0])];
  for (const int n : counts) EXPECT_NEAR(n, 1000, 120);
}

TEST(Sampling, the_first_free_point_of_a_finite_space_is_found_until_none_is_left) {
  const Space space({{.name = "k", .type = ParamType::kInt, .min = 0, .max = 1},
                     {.name = "b", .type = ParamType::kBool}});
  ASSERT_EQ(finite_size(space), 4u);
  std::vector<Config> taken;
  for (int i = 0; i < 4; ++i) {
    Config c = first_free_point(space, taken, {});
    ASSERT_TRUE(space.contains(c));
    taken.push_back(c);
  }
  EXPECT_TRUE(first_free_point(space, taken, {}).empty());
}

}  // namespace
}  // namespace arqon::solver
