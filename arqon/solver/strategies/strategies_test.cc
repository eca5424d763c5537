// Every strategy of the table passes the common battery.
#include "arqon/solver/strategies/registry.h"
#include "arqon/testing/strategy_suite.h"

namespace arqon::testing {

INSTANTIATE_TEST_SUITE_P(Registry, StrategySuite,
                         ::testing::ValuesIn(solver::strategy_names()),
                         [](const auto& name) { return name.param; });

}  // namespace arqon::testing
