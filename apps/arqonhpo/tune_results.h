// What a tune run leaves behind for people: a text, a report, and tables.
#pragma once

#include <filesystem>
#include <string>

#include "apps/arqonhpo/console.h"
#include "arqon/base/result.h"
#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::app {

// Where everything goes.
struct Places {
  std::filesystem::path out, report, state, baselines;
};

// Makes the folders of results and report; kUnavailable.
Status prepare_places(const Places& places);
// The result as the terminal shows it.
std::string tune_text(const documents::TuneResult& result, const documents::Scenario& scenario,
                      const Places& places, const Console& console);
// OUT/result.json (`json`), OUT/windows.csv, OUT/changes.csv and the report.
Status write_results(const documents::TuneResult& result, const documents::Scenario& scenario,
                     const Places& places, const std::string& json);

}  // namespace arqon::app
