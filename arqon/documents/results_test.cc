#include "arqon/documents/results.h"

#include <gtest/gtest.h>

#include "arqon/wire/csv.h"
#include "arqon/wire/json.h"

namespace arqon::documents {
namespace {

Scenario scenario() {
  Scenario s;
  s.name = "two";
  s.seed = 7;
  s.classes = {{.name = "chat"}, {.name = "code"}};
  s.quality = {{}, {}};
  s.workloads.emplace_back();
  s.knobs = Space({{.name = "main.batch_size", .type = ParamType::kInt, .min = 1, .max = 64},
                   {.name = "router.weights", .type = ParamType::kSimplex, .choices = {"a", "b"}}});
  s.protective.resize(2);
  s.guardrails.limits = {{.min = 1, .max = 64, .max_delta = 6.3}, {}};
  return s;
}

StrategyRun run() {
  StrategyRun out{.strategy = "arqonhpo", .seed = 7, .note = "n"};
  out.totals.classes = {{.name = "chat", .ledger = {.arrived = 10, .good = 9, .late = 1}}};
  out.totals.classes[0].late_by[3] = 1;
  out.totals.ledger = {.arrived = 10, .good = 9, .late = 1};
  out.totals.attainment = 0.9;
  out.totals.batch_histogram = {1, 2};
  out.record.knob_names = {"main.batch_size", "router.weights"};
  out.record.class_names = {"chat", "code"};
  control::WindowRecord w{
      .t_s = 30, .seconds = 30, .values = {8, 0.25, 0.75}, .state = "confirmed"};
  w.classes.resize(2);
  w.classes[0].arrived = 10;
  w.classes[0].bad_by[3] = 1;
  w.classes[1].ttft_ms_p99 = 12.5;
  out.record.windows = {w};
  out.record.changes = {{.t_s = 30,
                         .decision = 1,
                         .address = "main.batch_size",
                         .from = 8,
                         .to = 16,
                         .lane = "experiment",
                         .state = control::ChangeState::kRefused,
                         .reason = "a step of 8, \"too far\""}};
  out.record.decisions = {{.decision = 1,
                           .t_s = 30,
                           .action = "experiment",
                           .from = {8, 0.25, 0.75},
                           .to = {16, 0.25, 0.75},
                           .reason = "r",
                           .bad_share_before = 0.1,
                           .requests_before = 10}};
  return out;
}

TEST(TuneResultJson, carries_runs_windows_changes_and_summary) {
  TuneResult result{.scenario = "two", .measure = "bad_share", .build = "b1"};
  result.runs = {run()};
  result.summary = {{.strategy = "arqonhpo", .seeds = 1, .attainment = 0.9, .recovery_s = 60}};
  result.remarks = {"one change"};
  const auto json = wire::parse_json(to_json(result, scenario()));
  ASSERT_TRUE(json.has_value());
  EXPECT_EQ(json->find("schema")->number(), 1);
  EXPECT_EQ(*json->find("scenario_hash")->as_string(), scenario_hash(scenario()));
  const wire::Value& r = json->find("runs")->as_array()->at(0);
  EXPECT_EQ(r.find("totals")->find("classes")->find("chat")->find("late_by")->find("gap")->number(),
            1);
  const wire::Value& w = r.find("windows")->as_array()->at(0);
  EXPECT_EQ(w.find("values")->find("main.batch_size")->number(), 8);
  EXPECT_EQ(w.find("values")->find("router.weights")->find("b")->number(), 0.75);
  EXPECT_EQ(w.find("ledger")->find("code")->find("ttft_ms_p99")->number(), 12.5);
  EXPECT_EQ(*r.find("changes")->as_array()->at(0).find("state")->as_string(), "refused");
  const wire::Value& s = json->find("summary")->as_array()->at(0);
  EXPECT_TRUE(s.find("capture")->is_null()) << "a lead that is not real is not stated";
  EXPECT_EQ(s.find("recovery_s")->number(), 60);
}

TEST(TotalsJson, carries_the_ledger_and_the_speed) {
  const auto json = wire::parse_json(to_json(run().totals, scenario(), "b1", {.wall_s = 0.5}));
  ASSERT_TRUE(json.has_value());
  EXPECT_EQ(json->find("ledger")->find("good")->number(), 9);
  EXPECT_EQ(json->find("requests_per_wall_s")->number(), 20);
  EXPECT_EQ(json->find("kv_use")->find("max")->number(), 0);
}

TEST(DecisionsJson, is_the_same_bytes_every_time_and_has_no_build) {
  EXPECT_EQ(decisions_json(run().record),
            R"({
 "schema": 1,
 "knobs": [
  "main.batch_size",
  "router.weights"
 ],
 "changes": [
  {
   "t_s": 30,
   "decision": 1,
   "address": "main.batch_size",
   "from": 8,
   "to": 16,
   "lane": "experiment",
   "state": "refused",
   "reason": "a step of 8, \"too far\""
  }
 ],
 "decisions": [
  {
   "decision": 1,
   "t_s": 30,
   "action": "experiment",
   "from": {
    "slot 0": 8,
    "slot 1": 0.25,
    "slot 2": 0.75
   },
   "to": {
    "slot 0": 16,
    "slot 1": 0.25,
    "slot 2": 0.75
   },
   "reason": "r",
   "bad_share_before": 0.1,
   "bad_share_after": 0,
   "requests_before": 10,
   "requests_after": 0
  }
 ]
}
)");
}

std::vector<std::vector<std::string>> rows_of(const std::string& text) {
  wire::CsvReader reader(text);
  std::vector<std::vector<std::string>> rows;
  for (std::vector<std::string> row; reader.next(row);) rows.push_back(row);
  EXPECT_FALSE(reader.error().has_value());
  return rows;
}

TEST(WindowsCsv, has_one_cell_per_column_and_one_column_per_slot) {
  const auto rows = rows_of(windows_csv(run(), scenario()));
  ASSERT_EQ(rows.size(), 2u);
  ASSERT_EQ(rows[0].size(), rows[1].size());
  const auto cell = [&](std::string_view column) {
    for (std::size_t i = 0; i < rows[0].size(); ++i) {
      if (rows[0][i] == column) return rows[1][i];
    }
    return std::string("no such column");
  };
  EXPECT_EQ(cell("t_s"), "30");
  EXPECT_EQ(cell("setting"), "confirmed");
  EXPECT_EQ(cell("chat.arrived"), "10");
  EXPECT_EQ(cell("chat.bad_by_gap"), "1");
  EXPECT_EQ(cell("code.ttft_ms_p99"), "12.5");
  EXPECT_EQ(cell("main.batch_size"), "8");
  EXPECT_EQ(cell("router.weights/b"), "0.75");
}

TEST(ChangesCsv, keeps_reasons_whole) {
  const auto rows = rows_of(changes_csv(run()));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1],
            (std::vector<std::string>{"30", "1", "main.batch_size", "8", "16", "experiment",
                                      "refused", "a step of 8, \"too far\""}));
}

}  // namespace
}  // namespace arqon::documents
