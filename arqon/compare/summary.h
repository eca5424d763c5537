// From runs to the rows and sentences a person reads.
#pragma once

#include <vector>

#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::compare {

// Medians over seeds, one row per strategy in the order first met; excess and capture where the
// rows they need are there.
std::vector<documents::StrategySummary> summarise(const documents::Scenario& scenario,
                                                  const std::vector<documents::StrategyRun>& runs);

// What the rows do not say by themselves: whether a no-harm scenario kept its promise, and whether
// there are enough seeds. The report's verdict says what changed and what it brought.
std::vector<std::string> remarks(const documents::Scenario& scenario,
                                 const std::vector<documents::StrategyRun>& runs,
                                 const std::vector<documents::StrategySummary>& summary);

}  // namespace arqon::compare
