// Tables beside the report, for spreadsheets and notebooks: RFC 4180, header row, "\n" line ends,
// fractions (never percent), units in the column names.
#pragma once

#include <string>

#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::report {

// One row per run, window and class: strategy, seed, t_s, seconds, state, class, counts, quantiles,
// then one column per knob slot.
std::string windows_csv(const documents::TuneResult& result, const documents::Scenario& scenario);
// One row per change of every run: strategy, seed, decision, t_s, address, from, to, lane, state,
// reason.
std::string changes_csv(const documents::TuneResult& result);

// A field quoted where it has to be; a leading =, +, - or @ of a text is defused with an
// apostrophe, so that no spreadsheet runs it.
std::string csv_text(std::string_view text);

}  // namespace arqon::report
