#include "arqon/stats/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "arqon/base/rng.h"

namespace arqon::stats {
namespace {

TEST(Histogram, quantiles_are_within_its_stated_error_of_the_exact_ones) {
  Rng rng(1);
  Histogram histogram;
  std::vector<double> values;
  for (int i = 0; i < 20000; ++i) {
    values.push_back(std::exp(rng.normal() * 1.5 + 4));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * 20000.0)) - 1;
    EXPECT_NEAR(histogram.quantile(q), values[rank], values[rank] * 0.016);
  }
}

TEST(Histogram, since_is_the_inverse_of_adding) {
  Histogram early, late;
  early.record(3);
  late = early;
  late.record(7, 5);
  const Histogram diff = late.since(early);
  EXPECT_EQ(diff.count(), 5u);
  EXPECT_NEAR(diff.quantile(0.5), 7, 0.12);
  EXPECT_DOUBLE_EQ(diff.mean(), 7);
}

TEST(Histogram, extremes_land_in_the_end_buckets) {
  Histogram h;
  h.record(0);
  h.record(1e300);
  EXPECT_EQ(h.count(), 2u);
  EXPECT_GT(h.quantile(1.0), 1e9);
  EXPECT_LT(h.quantile(0.0), 0.01);
  EXPECT_EQ(Histogram().quantile(0.5), 0.0);
}

}  // namespace
}  // namespace arqon::stats
