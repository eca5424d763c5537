// The tables of the report.
#pragma once

#include <string>

#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::report {

// Bars of the scenario's measure, one row a strategy, a tick per seed.
std::string measure_bars(const documents::TuneResult& result);
// All strategies, all figures of the summary.
std::string comparison_table(const documents::TuneResult& result);
// Every decision of `run` with its evidence, and changes refused without a decision of their own.
// Rows stop when the table has grown to bytes_max; the last row then says how many are left out.
std::string decisions_table(const documents::StrategyRun& run, const documents::Scenario& scenario,
                            std::size_t bytes_max);
// Share of bad requests per strategy and seed.
std::string seeds_table(const documents::TuneResult& result);
// The limits of each class, and the knobs with their bounds and largest step.
std::string classes_table(const documents::Scenario& scenario);
std::string knobs_table(const documents::Scenario& scenario);

}  // namespace arqon::report
