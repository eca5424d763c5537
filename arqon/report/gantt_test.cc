#include "arqon/report/gantt.h"

#include <gtest/gtest.h>

#include "arqon/documents/example_test_documents.h"
#include "arqon/documents/scenario.h"

namespace arqon::report {
namespace {

documents::Scenario scenario() {
  documents::Scenario out = documents::parse_scenario(documents::kEveryKeyScenario, "a").value();
  out.name = "a<b>";
  return out;
}

sim::StepLog log_of(std::vector<sim::StepRun> runs) {
  sim::StepLog log{.from = 0, .to = sim::kPsPerSecond, .most = 10};
  for (const sim::StepRun& run : runs) log.add(run);
  return log;
}

TEST(Gantt, every_run_is_in_the_lane_of_its_replica) {
  const auto html = gantt_html(
      log_of({{.begin = 0, .end = 5 * sim::kPsPerMs, .steps = 2, .decodes = 3, .kv_use = 0.25F},
              {.begin = sim::kPsPerMs,
               .end = 9 * sim::kPsPerMs,
               .chunks = 1,
               .chunk_tokens = 512,
               .waiting = 7,
               .replica = 1}}),
      scenario());
  EXPECT_NE(html.find("{name:\"main/0\",runs:[[0,5000,2,3,0,0,0,250]]}"), std::string::npos);
  EXPECT_NE(html.find("{name:\"main/1\",runs:[[1000,8000,1,0,1,512,7,0]]}"), std::string::npos);
}

TEST(Gantt, a_log_keeps_what_overlaps_its_window_and_says_when_it_was_full) {
  sim::StepLog log{.from = 10, .to = 20, .most = 2};
  for (const sim::Ps begin : {0, 5, 12, 15, 20, 30}) log.add({.begin = begin, .end = begin + 6});
  ASSERT_EQ(log.runs.size(), 2u);
  EXPECT_EQ(log.runs[0].begin, 5);
  EXPECT_TRUE(log.full);
  EXPECT_NE(gantt_html(log, scenario()).find("did not fit"), std::string::npos);
}

TEST(Gantt, text_of_the_document_is_escaped_and_nothing_is_fetched) {
  const auto html = gantt_html(log_of({}), scenario());
  EXPECT_EQ(html.find("a<b>"), std::string::npos);
  EXPECT_NE(html.find("a&lt;b&gt;"), std::string::npos);
  EXPECT_EQ(html.find("http"), html.find("http-equiv"));
  EXPECT_NE(html.find("Nothing ran then"), std::string::npos);
}

}  // namespace
}  // namespace arqon::report
