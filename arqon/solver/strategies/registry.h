// The table of strategies. Adding one: its folder, its line here, its line in CMakeLists.txt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/solver/strategy.h"

namespace arqon::solver {

// A fresh strategy for `config`; kInvalidConfig when config.strategy names none.
Result<Strategy> make_strategy(const StudyConfig& config);
// Names in the order of the table.
std::vector<std::string> strategy_names();

}  // namespace arqon::solver
