#include "arqon/report/phases.h"

#include <gtest/gtest.h>

#include "arqon/report/words.h"

namespace arqon::report {
namespace {

documents::TuneResult two_strategies() {
  documents::TuneResult result;
  result.phases = {{.phase = "chat",
                    .strategy = "default",
                    .arrived = {100, 200},
                    .good = {90, 200},
                    .against_default = {}},
                   {.phase = "chat",
                    .strategy = "arqonhpo",
                    .arrived = {100, 200},
                    .good = {99, 198},
                    .against_default = stats::PairedMean{4, -1.5, 9.5}}};
  return result;
}

TEST(Phases, cells_show_each_repeat_all_of_them_and_the_interval) {
  const auto cells = phase_cells(two_strategies());
  ASSERT_EQ(cells.size(), 3u);
  EXPECT_EQ(cells[1][2], percent(0.9));
  EXPECT_EQ(cells[1][3], percent(1));
  EXPECT_EQ(cells[2][4], percent(0.99));
  EXPECT_EQ(cells[2][5], "297");
  EXPECT_EQ(cells[2][6], "+4.0 pt (-1.5 to +9.5)");
  EXPECT_EQ(cells[0].size(), cells[2].size());
}

TEST(Phases, section_is_there_only_for_a_live_comparison_and_escapes_names) {
  EXPECT_EQ(phases_section({}), "");
  documents::TuneResult result = two_strategies();
  for (auto& row : result.phases) row.phase = "<script>";
  const std::string html = phases_section(result);
  EXPECT_EQ(html.find("<script>"), std::string::npos);
  EXPECT_NE(html.find("repeat 2: " + percent(0.99)), std::string::npos);
}

}  // namespace
}  // namespace arqon::report
