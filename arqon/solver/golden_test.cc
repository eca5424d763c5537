// Exact proposals for fixed configs and told values, the same at every optimisation level of the
// shipped compiler. On a difference the new text is written beside the test; copy it over
// tests/golden/ only when the change of decisions is meant.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "arqon/solver/solver.h"

namespace arqon::solver {
namespace {

Space golden_space() {
  return Space({
      {.name = "batch_size", .scale = Scale::kLog, .min = 1, .max = 64},
      {.name = "max_wait_ms", .min = 10, .max = 500},
      {.name = "k", .type = ParamType::kInt, .min = 0, .max = 5},
      {.name = "policy", .type = ParamType::kCategorical, .choices = {"a", "b", "c"}},
      {.name = "router", .type = ParamType::kSimplex, .choices = {"small", "large"}},
  });
}

// Arithmetic only, so that no mathematical library has a say in what is told.
Trial measure(const Config& x) {
  const double p99 = 40 + 3 * x[0] + 0.4 * x[1] + 5 * x[2] * x[4];
  const double cost = 9 / x[0] + 10 / x[1] + 0.1 * x[3] + x[5];
  return {.params = x, .value = p99 > 200 ? -1000 : -cost};
}

std::string proposals(const std::string& strategy) {
  StudyConfig config{.space = golden_space(), .seed = 42, .budget = 90, .strategy = strategy};
  Solver solver = *Solver::create(config);
  std::string out;
  while (const auto point = solver.ask_one()) {
    out += "[";
    for (std::size_t i = 0; i < point->size(); ++i) {
      out += fmt::format("{}{}", i == 0 ? "" : ", ", (*point)[i]);
    }
    out += "]\n";
    EXPECT_TRUE(solver.tell({measure(*point)}));
  }
  return out;
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, proposals_are_the_recorded_ones) {
  const std::string name = "solver_" + GetParam() + ".jsonl";
  std::ifstream file(std::string(ARQON_SOURCE_DIR) + "/tests/golden/" + name);
  std::stringstream recorded;
  recorded << file.rdbuf();
  const std::string actual = proposals(GetParam());
  if (actual != recorded.str()) std::ofstream(name) << actual;
  EXPECT_EQ(actual, recorded.str());
}

INSTANTIATE_TEST_SUITE_P(Solver, Golden, ::testing::Values("tpe", "portfolio", "random", "sobol"),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace arqon::solver
