// A comparison on a live engine, phase by phase and repeat by repeat.
#pragma once

#include <string>
#include <vector>

#include "arqon/documents/results.h"

namespace arqon::report {

// Bars of the good share per phase and strategy, a tick per repeat, and the table behind them.
// Empty when the result has no phases.
std::string phases_section(const documents::TuneResult& result);

// The same table as cells for a terminal, a header row first: phase, strategy, each repeat, all
// repeats, difference from the default with its interval.
std::vector<std::vector<std::string>> phase_cells(const documents::TuneResult& result);

}  // namespace arqon::report
