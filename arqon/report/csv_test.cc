#include "arqon/report/csv.h"

#include <gtest/gtest.h>

#include <vector>

#include "arqon/report/synthetic_result.h"
#include "arqon/wire/csv.h"

namespace arqon::report {
namespace {

std::vector<std::vector<std::string>> rows_of(const std::string& text) {
  wire::CsvReader reader(text);
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> fields;
  while (reader.next(fields)) rows.push_back(fields);
  EXPECT_FALSE(reader.error().has_value());
  return rows;
}

TEST(Csv, has_one_row_per_window_and_one_per_change_of_every_run) {
  const documents::Scenario scenario = synthetic_scenario();
  documents::TuneResult result = synthetic_result(scenario, {.seeds = {1, 2}, .window_s = 600});
  result.runs[4].record.changes[0].reason = "two\nlines, \"quoted\"";
  std::size_t windows = 1;
  std::size_t changes = 1;
  for (const documents::StrategyRun& run : result.runs) {
    windows += run.record.windows.size();
    changes += run.record.changes.size();
  }
  const auto window_rows = rows_of(windows_csv(result, scenario));
  EXPECT_EQ(window_rows.size(), windows);
  for (const auto& row : window_rows) EXPECT_EQ(row.size(), window_rows.front().size());
  const auto change_rows = rows_of(changes_csv(result));
  ASSERT_EQ(change_rows.size(), changes);
  EXPECT_EQ(change_rows[0][0], "strategy");
  EXPECT_EQ(change_rows[1][0], "arqonhpo");
  EXPECT_EQ(change_rows[1][1], "1");
  EXPECT_EQ(change_rows[1].back(), "two\nlines, \"quoted\"");
}

TEST(Csv, is_empty_without_runs) { EXPECT_EQ(changes_csv({}), ""); }

}  // namespace
}  // namespace arqon::report
