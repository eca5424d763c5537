// All runs of a comparison in one table each, beside the report.
#pragma once

#include <string>

#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::report {

// The rows that documents writes for each run (docs/formats/results.md) one below the other, led by
// the columns `strategy` and `seed`. One header row, that of the first run; "" without runs.
std::string windows_csv(const documents::TuneResult& result, const documents::Scenario& scenario);
std::string changes_csv(const documents::TuneResult& result);

}  // namespace arqon::report
