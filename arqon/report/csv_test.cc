#include "arqon/report/csv.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "arqon/report/synthetic_result.h"

namespace arqon::report {
namespace {

std::ptrdiff_t lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(Csv, quotes_what_needs_it_and_defuses_formulas) {
  EXPECT_EQ(csv_text("plain"), "plain");
  EXPECT_EQ(csv_text("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_text("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
  EXPECT_EQ(csv_text("=1+1"), "'=1+1");
}

TEST(Csv, has_one_row_per_window_and_class_and_one_per_change) {
  const documents::Scenario scenario = synthetic_scenario();
  const documents::TuneResult result =
      synthetic_result(scenario, {.seeds = {1, 2}, .window_s = 600});
  std::ptrdiff_t windows = 0;
  std::ptrdiff_t changes = 0;
  for (const documents::StrategyRun& run : result.runs) {
    windows += static_cast<std::ptrdiff_t>(run.record.windows.size() * 2);
    changes += static_cast<std::ptrdiff_t>(run.record.changes.size());
  }
  const std::string table = windows_csv(result, scenario);
  EXPECT_EQ(lines(table), windows + 1);
  EXPECT_EQ(lines(changes_csv(result)), changes + 1);
  const auto commas = [](std::string_view row) { return std::count(row.begin(), row.end(), ','); };
  const std::size_t first = table.find('\n');
  const std::size_t second = table.find('\n', first + 1);
  EXPECT_EQ(commas(table.substr(0, first)), commas(table.substr(first + 1, second - first)));
}

}  // namespace
}  // namespace arqon::report
