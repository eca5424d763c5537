#include "arqon/report/report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "arqon/report/run_series.h"
#include "arqon/report/synthetic_result.h"
#include "arqon/report/words.h"

namespace arqon::report {
namespace {

// What is wrong with the nesting of `page`, or "" when every opened tag is closed in order and
// every attribute is quoted.
std::string nesting_error(std::string_view page) {
  const std::set<std::string> kVoid = {"meta", "br", "!DOCTYPE"};
  std::vector<std::string> open;
  for (std::size_t at = page.find('<'); at != std::string_view::npos; at = page.find('<', at)) {
    const std::size_t end = page.find('>', at);
    if (end == std::string_view::npos) return "unfinished tag";
    const std::string_view tag = page.substr(at + 1, end - at - 1);
    at = end;
    if (tag.find('<') != std::string_view::npos) return fmt::format("stray < before {}", tag);
    const bool closing = !tag.empty() && tag.front() == '/';
    const std::string name(
        tag.substr(closing ? 1 : 0, tag.find_first_of(" /", 1) - (closing ? 1 : 0)));
    if (closing) {
      if (open.empty() || open.back() != name) return fmt::format("</{}> closes nothing", name);
      open.pop_back();
    } else if (kVoid.count(name) == 0 && tag.back() != '/') {
      open.push_back(name);
      // Raw text: no markup inside.
      if (name == "script" || name == "style") at = page.find(fmt::format("</{}>", name), at);
    }
    if (at == std::string_view::npos) return fmt::format("{} never ends", name);
  }
  return open.empty() ? "" : fmt::format("<{}> stays open", open.back());
}

TEST(NestingChecker, finds_what_it_is_for) {
  EXPECT_EQ(nesting_error("<p><b>x</b></p>"), "");
  EXPECT_NE(nesting_error("<p><b>x</p></b>"), "");
  EXPECT_NE(nesting_error("<p>x"), "");
}

TEST(Report, is_well_formed_and_needs_nothing_from_outside) {
  const documents::Scenario scenario = synthetic_scenario();
  const std::string page = html(synthetic_result(scenario), scenario);
  EXPECT_EQ(nesting_error(page), "");
  for (const char* outside : {"src=", "href=", "@import", "url(", "https://"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  EXPECT_EQ(page.find(">nan<"), std::string::npos);
  EXPECT_EQ(page.find("inf"), page.find("inform"));
}

TEST(Report, answers_the_four_questions_in_order) {
  const documents::Scenario scenario = synthetic_scenario();
  const std::string page = html(synthetic_result(scenario), scenario);
  std::size_t before = 0;
  for (const char* part :
       {"4 replicas of llama-3.1-8b", "What changed?", "Why?", "What did it bring?",
        "What would hindsight have done?", "All strategies side by side", "Traffic and mix",
        "Good requests: chat", "Time to first token", "Largest gap between tokens",
        "Knob: main.prefill_token_budget", "<h2>Decisions</h2>", "Seed by seed"}) {
    const std::size_t at = page.find(part, before);
    ASSERT_NE(at, std::string::npos) << part;
    before = at;
  }
}

TEST(Report, shows_every_decision_and_every_refusal) {
  const documents::Scenario scenario = synthetic_scenario();
  const documents::TuneResult result = synthetic_result(scenario);
  const std::string page = html(result, scenario);
  const control::RunRecord& record = shown_run(result)->record;
  ASSERT_GT(record.decisions.size(), 10u);
  for (const control::DecisionRecord& d : record.decisions) {
    EXPECT_NE(page.find(fmt::format("<td>{}</td><td>{}</td><td><span class=\"tag\">{}", d.decision,
                                    clock_text(d.t_s), d.action)),
              std::string::npos);
    EXPECT_NE(page.find(escape(d.reason)), std::string::npos);
  }
  EXPECT_NE(page.find("<span class=\"tag\">refused</span>"), std::string::npos);
  for (const char* kind : {"applied", "refused", "reverted", "confirmed"}) {
    EXPECT_NE(page.find(fmt::format("<g class=\"mark {}\" transform", kind)), std::string::npos);
  }
}

TEST(Report, escapes_hostile_names_everywhere) {
  const std::string evil = "</title><script>alert(1)</script>\"'<img onerror=x>";
  documents::Scenario scenario = synthetic_scenario();
  Parameter knob = scenario.knobs[0];
  knob.name = evil;
  knob.unit = evil;
  scenario.knobs = Space({knob, scenario.knobs[1], scenario.knobs[2]});
  scenario.name = evil;
  scenario.classes[0].name = evil;
  scenario.fleet.pools[0].model = evil;
  scenario.workloads[0].segments[1].mix[0].name = evil;
  documents::TuneResult result = synthetic_result(scenario);
  result.build = result.measure = evil;
  result.remarks = {evil};
  result.summary.front().strategy = evil;
  for (documents::StrategyRun& run : result.runs) {
    run.note = evil;
    for (control::ChangeRecord& c : run.record.changes) c.reason = c.lane = evil;
    for (control::DecisionRecord& d : run.record.decisions) d.reason = d.action = evil;
  }
  const std::string page = html(result, scenario);
  EXPECT_EQ(nesting_error(page), "");
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
}

TEST(Report, stays_small_for_a_long_run) {
  const documents::Scenario short_one = synthetic_scenario();
  documents::Scenario scenario = short_one;
  scenario.duration_s = 86400;
  documents::TuneResult result = synthetic_result(scenario, {.seeds = {1}, .window_s = 5});
  control::RunRecord& record = result.runs[4].record;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const double t = static_cast<double>(i) * 4;
    record.changes.push_back({t, 100 + i, "main.batch_size", 1024, 1000, "reflex",
                              control::ChangeState::kApplied, "gap limit broken by 3%"});
    record.decisions.push_back(
        {100 + i, t, "reflex", {1024, 1024, 0}, {1024, 1000, 0}, "gap limit broken by 3%"});
  }
  const std::string page = html(result, scenario);
  EXPECT_LT(page.size(), 1'500'000u);
  EXPECT_NE(page.find("further decisions are in the CSV"), std::string::npos);
  EXPECT_EQ(nesting_error(page), "");
}

TEST(Report, is_the_same_bytes_for_the_same_result) {
  const documents::Scenario scenario = synthetic_scenario();
  EXPECT_EQ(html(synthetic_result(scenario), scenario), html(synthetic_result(scenario), scenario));
}

TEST(Report, survives_empty_and_broken_numbers) {
  documents::Scenario scenario = synthetic_scenario();
  EXPECT_EQ(nesting_error(html({}, scenario)), "");
  EXPECT_EQ(nesting_error(html({}, {})), "");
  documents::TuneResult result = synthetic_result(scenario, {.seeds = {1}, .window_s = 600});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (documents::StrategyRun& run : result.runs) {
    run.record.windows[1].t_s = nan;
    run.record.windows[2].classes.clear();
    run.record.windows[3].values.clear();
    run.record.windows[4].paid_dollars = std::numeric_limits<double>::infinity();
  }
  result.summary[0].cost = nan;
  EXPECT_EQ(nesting_error(html(result, scenario)), "");
  result.runs[4].record.windows.clear();
  EXPECT_EQ(nesting_error(html(result, scenario)), "");
}

}  // namespace
}  // namespace arqon::report
