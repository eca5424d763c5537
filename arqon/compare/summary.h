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

// What changed, what it brought, what hindsight would have done, and what is not known. A loss is
// said as a loss.
std::vector<std::string> remarks(const documents::Scenario& scenario,
                                 const std::vector<documents::StrategyRun>& runs,
                                 const std::vector<documents::StrategySummary>& summary);

}  // namespace arqon::compare
