// The report of a comparison: one HTML file that a stranger can read, print and mail.
#pragma once

#include <string>

#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::report {

// A whole HTML 5 document: verdict in plain words, comparison table, plots as inline SVG over one
// shared time axis, decisions with their evidence, and the result seed by seed. Needs no other file
// and no network; readable without scripts, in light and dark, on paper. Every text that comes from
// the documents is escaped. Lines have at most kPointsMax points and the table of decisions stops
// before the file grows past about 1.5 MB (it then says so).
// Plots and decisions show one run: the first seed of `arqonhpo`, else the first run with changes,
// else the first run. A result without runs gives a page that says so.
// Pure function of its arguments; any thread.
std::string html(const documents::TuneResult& result, const documents::Scenario& scenario);

// Most points any line of a plot has.
constexpr std::size_t kPointsMax = 600;

}  // namespace arqon::report
