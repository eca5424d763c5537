#include "arqon/solver/strategies/sobol/sobol.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "arqon/solver/solver.h"

namespace arqon::solver {
namespace {

TEST(SobolSequence, every_dimension_puts_one_point_into_each_of_2_to_the_k_equal_cells) {
  const SobolSequence sequence(kSobolDimensions, Rng(9));
  constexpr std::uint32_t kPoints = 256;
  for (std::size_t d = 0; d < kSobolDimensions; ++d) {
    std::set<int> cells;
    for (std::uint32_t i = 0; i < kPoints; ++i) {
      cells.insert(static_cast<int>(sequence.point(i)[d] * kPoints));
    }
    EXPECT_EQ(cells.size(), kPoints) << "dimension " << d;
  }
}

// Property A of Sobol, which Joe and Kuo's numbers have in low dimensions: the first 2^d points put
// one into each of the 2^d half cells. It fails when a direction number is wrong.
TEST(SobolSequence, the_first_points_fill_every_corner_of_the_first_dimensions) {
  for (std::size_t d = 2; d <= 8; ++d) {
    const SobolSequence sequence(d, Rng(1));
    std::set<std::uint32_t> corners;
    for (std::uint32_t i = 0; i < (1U << d); ++i) {
      std::uint32_t corner = 0;
      for (const double u : sequence.point(i)) corner = corner * 2 + (u >= 0.5 ? 1 : 0);
      corners.insert(corner);
    }
    EXPECT_EQ(corners.size(), 1U << d) << d;
  }
}

// Warnock's L2 star discrepancy, squared.
double discrepancy(const std::vector<std::vector<double>>& points) {
  const auto n = static_cast<double>(points.size());
  const auto d = static_cast<double>(points[0].size());
  double single = 0;
  double pairs = 0;
  for (const auto& p : points) {
    double product = 1;
    for (const double x : p) product *= 1 - x * x;
    single += product;
    for (const auto& q : points) {
      double both = 1;
      for (std::size_t k = 0; k < p.size(); ++k) both *= 1 - std::max(p[k], q[k]);
      pairs += both;
    }
  }
  return std::pow(3.0, -d) - std::pow(2.0, 1 - d) / n * single + pairs / (n * n);
}

TEST(SobolSequence, it_is_far_more_even_than_random_points) {
  const SobolSequence sequence(6, Rng(4));
  Rng rng(4);
  std::vector<std::vector<double>> sobol;
  std::vector<std::vector<double>> random;
  for (std::uint32_t i = 0; i < 256; ++i) {
    sobol.push_back(sequence.point(i));
    std::vector<double> p(6);
    for (double& u : p) u = rng.uniform();
    random.push_back(p);
  }
  EXPECT_LT(discrepancy(sobol), 0.6 * discrepancy(random));
}

TEST(SobolStrategy, dimensions_beyond_the_table_still_fill_the_space) {
  std::vector<Parameter> many;
  for (int i = 0; i < 30; ++i) many.push_back({.name = "x" + std::to_string(i)});
  StudyConfig config{.space = Space(many), .strategy = "sobol"};
  Solver solver = *Solver::create(config);
  double low = 1;
  double high = 0;
  for (const Config& c : solver.ask(64)) {
    low = std::min(low, c[29]);
    high = std::max(high, c[29]);
  }
  EXPECT_LT(low, 0.15);
  EXPECT_GT(high, 0.85);
}

}  // namespace
}  // namespace arqon::solver
