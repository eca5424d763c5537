#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "arqon/guard/safety_executor.h"
#include "arqon/guard/testing/example.h"

namespace arqon::guard {
namespace {

using testing::make_guardrails;
using testing::make_space;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::string create_error(const std::function<void(Guardrails&)>& spoil) {
  Guardrails guardrails = make_guardrails();
  spoil(guardrails);
  const auto executor = SafetyExecutor::create(make_space(), guardrails);
  if (executor) return "";
  EXPECT_EQ(executor.error().code, ErrorCode::kInvalidConfig);
  return executor.error().message;
}

TEST(Create, refuses_guardrails_that_do_not_fit_and_names_the_knob) {
  const auto error = [](std::size_t i, Limits limits) {
    return create_error([&](Guardrails& g) { g.limits[i] = limits; });
  };
  EXPECT_EQ(error(0, {8, 64, 8}), "");
  EXPECT_NE(error(0, {8, 72, 8}).find("\"batch\": bounds [8, 72] reach outside"),
            std::string::npos);
  EXPECT_NE(error(1, {5, 5, 1}).find("\"wait\": min 5 must be below max 5"), std::string::npos);
  EXPECT_NE(error(1, {kNan, 5, 1}).find("\"wait\""), std::string::npos);
  EXPECT_NE(error(1, {0, kInf, 1}).find("\"wait\""), std::string::npos);
  EXPECT_NE(error(1, {0, 5, 0}).find("\"wait\": max_delta 0 must be"), std::string::npos);
  EXPECT_NE(error(1, {0, 5, kNan}).find("\"wait\": max_delta"), std::string::npos);
  EXPECT_NE(error(0, {8, 64, 4}).find("\"batch\": max_delta 4 is below one step of 8"),
            std::string::npos);
  EXPECT_NE(error(3, {0, 2, 0.5}).find("\"policy\""), std::string::npos);
  EXPECT_NE(error(4, {0, 0.3, 0.1}).find("\"weights\": no 3 weights in"), std::string::npos);
  EXPECT_NE(create_error([](Guardrails& g) { g.limits.pop_back(); }).find("5 limits for 6 knobs"),
            std::string::npos);
  for (const double rate : {0.0, -1.0, kNan, kInf}) {
    EXPECT_NE(create_error([&](Guardrails& g) {
                g.max_updates_per_second = rate;
              }).find("max_updates_per_second"),
              std::string::npos);
    EXPECT_NE(create_error([&](Guardrails& g) {
                g.reflex_updates_per_second = rate;
              }).find("reflex_updates_per_second"),
              std::string::npos);
  }
}

TEST(Create, refuses_more_slots_than_fit_and_none) {
  EXPECT_FALSE(SafetyExecutor::create(Space({}), {}).has_value());
  const auto with_knobs = [](std::size_t n) {
    std::vector<Parameter> knobs(n, Parameter{.name = "k"});
    return SafetyExecutor::create(Space(knobs), {.limits = std::vector<Limits>(n)}).has_value();
  };
  EXPECT_TRUE(with_knobs(kSlotsMax));
  EXPECT_FALSE(with_knobs(kSlotsMax + 1));
}

}  // namespace
}  // namespace arqon::guard
