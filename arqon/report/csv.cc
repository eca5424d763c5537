#include "arqon/report/csv.h"

#include <string_view>

#include "arqon/wire/csv.h"

namespace arqon::report {
namespace {

// The columns in front: strategy and seed, or their names for the header.
std::string lead(std::string_view strategy, std::string_view seed) {
  wire::CsvWriter csv;
  csv.field(strategy).field(seed);
  csv.end_row();
  std::string row = csv.take();
  row.pop_back();
  return row + ',';
}

// Appends `table` with `front` before each row. A line break inside quotes begins no row.
void append_rows(std::string& out, std::string_view table, const std::string& front) {
  bool quoted = false;
  bool at_start = true;
  for (const char c : table) {
    if (at_start) out += front;
    if (c == '"') quoted = !quoted;
    at_start = c == '\n' && !quoted;
    out += c;
  }
}

template <typename Table>
std::string all_runs(const documents::TuneResult& result, Table table_of) {
  std::string out;
  for (const documents::StrategyRun& run : result.runs) {
    const std::string table = table_of(run);
    const std::size_t body = table.find('\n') + 1;
    const std::string_view text = table;
    if (out.empty()) append_rows(out, text.substr(0, body), lead("strategy", "seed"));
    append_rows(out, text.substr(body), lead(run.strategy, std::to_string(run.seed)));
  }
  return out;
}

}  // namespace

std::string windows_csv(const documents::TuneResult& result, const documents::Scenario& scenario) {
  return all_runs(result, [&](const documents::StrategyRun& run) {
    return documents::windows_csv(run, scenario);
  });
}

std::string changes_csv(const documents::TuneResult& result) {
  return all_runs(result,
                  [](const documents::StrategyRun& run) { return documents::changes_csv(run); });
}

}  // namespace arqon::report
