#include "arqon/solver/strategies/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "arqon/solver/strategies/automatic/automatic.h"
#include "arqon/solver/strategies/portfolio/portfolio.h"
#include "arqon/solver/strategies/random/random.h"
#include "arqon/solver/strategies/sobol/sobol.h"
#include "arqon/solver/strategies/tpe/tpe.h"

namespace arqon::solver {
namespace {

struct Entry {
  std::string_view name;
  Strategy (*make)(const StudyConfig&);
};

constexpr Entry kTable[] = {
    {"auto", [](const StudyConfig& c) { return Strategy(AutomaticStrategy(c)); }},
    {"tpe", [](const StudyConfig& c) { return Strategy(TpeStrategy(c)); }},
    {"portfolio", [](const StudyConfig& c) { return Strategy(PortfolioStrategy(c)); }},
    {"random", [](const StudyConfig&) { return Strategy(RandomStrategy()); }},
    {"sobol", [](const StudyConfig& c) { return Strategy(SobolStrategy(c)); }},
};

}  // namespace

std::vector<std::string> strategy_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kTable) names.emplace_back(entry.name);
  return names;
}

Result<Strategy> make_strategy(const StudyConfig& config) {
  for (const Entry& entry : kTable) {
    if (entry.name == config.strategy) return entry.make(config);
  }
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("unknown strategy \"{}\"; known are {}", config.strategy,
                          fmt::join(strategy_names(), ", ")));
}

}  // namespace arqon::solver
