// The tables of a run's totals, simulated or measured.
#pragma once

#include <string>
#include <vector>

#include "arqon/serving/totals.h"

namespace arqon::app {

// One row a class, and one for all where there are several; targets are those of `classes`.
std::string ledger_table(const std::vector<serving::Slo>& classes, const serving::Totals& totals);
std::string latency_table(const serving::Totals& totals);

}  // namespace arqon::app
