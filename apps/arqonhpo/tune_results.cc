#include "apps/arqonhpo/tune_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "apps/arqonhpo/state_folder.h"
#include "arqon/os/file.h"
#include "arqon/report/csv.h"
#include "arqon/report/report.h"
#include "arqon/report/verdict.h"
#include "arqon/report/words.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;
using documents::StrategySummary;
using documents::TuneResult;

std::string signed_points(double excess, std::string_view measure) {
  if (measure == "bad_share") return fmt::format("{:+.2f} pt", excess * 100);
  if (measure == "cost")
    return fmt::format("{}{}", excess < 0 ? "-" : "+", report::dollars(std::fabs(excess)));
  if (measure == "good_tokens") {
    // The measure counts downwards: a positive excess is tokens missing.
    return fmt::format("{}{}", excess > 0 ? "-" : "+", report::short_count(std::fabs(excess)));
  }
  return fmt::format("{:+.0f} ms", excess);
}

// One column of the comparison: its heading and its cells, one per strategy.
struct Column {
  std::string heading;
  std::function<std::string(const StrategySummary&)> cell;
};

std::string changes_cell(const StrategySummary& s) {
  if (s.changes_applied + s.changes_refused + s.changes_reverted == 0) return "-";
  return fmt::format("{}/{}/{}", report::number(s.changes_applied),
                     report::number(s.changes_refused), report::number(s.changes_reverted));
}

std::vector<Column> columns(const TuneResult& result) {
  const auto any = [&](auto has) {
    return std::any_of(result.summary.begin(), result.summary.end(), has);
  };
  std::vector<Column> out{
      {"strategy", [](const auto& s) { return s.strategy; }},
      {"good", [](const auto& s) { return report::percent(s.attainment); }},
      {"worst 5m", [](const auto& s) { return report::percent(s.worst_5_min); }},
      {"$/M tok", [](const auto& s) { return report::dollars(s.cost); }},
      {"good tok", [](const auto& s) { return report::short_count(s.good_tokens); }},
      {"TTFT p50", [](const auto& s) { return report::milliseconds(s.ttft_ms_p50); }},
      {"p99", [](const auto& s) { return report::milliseconds(s.ttft_ms_p99); }},
      {"gap p99", [](const auto& s) { return report::milliseconds(s.gap_ms_p99); }},
      {"changes*", changes_cell}};
  if (any([](const StrategySummary& s) { return s.strategy == "hindsight"; })) {
    out.push_back(
        {"excess", [&](const auto& s) { return signed_points(s.excess, result.measure); }});
  }
  if (any([](const StrategySummary& s) { return s.capture.has_value(); })) {
    out.push_back({"capture",
                   [](const auto& s) { return s.capture ? report::percent(*s.capture, 0) : "-"; }});
  }
  if (any([](const StrategySummary& s) { return s.recovery_s.has_value(); })) {
    out.push_back({"recovery", [](const auto& s) {
                     return s.recovery_s ? report::duration_text(*s.recovery_s) : "-";
                   }});
  }
  return out;
}

std::string comparison_table(const TuneResult& result) {
  const std::vector<Column> shown = columns(result);
  std::vector<std::vector<std::string>> rows(1);
  for (const Column& column : shown) rows[0].push_back(column.heading);
  for (const StrategySummary& s : result.summary) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const Column& column : shown) row.push_back(column.cell(s));
  }
  const bool excess = std::any_of(shown.begin(), shown.end(),
                                  [](const Column& c) { return c.heading == "excess"; });
  return text_table(rows) + "* steps applied/refused/reverted" +
         (excess ? fmt::format("; excess over hindsight in {}\n", result.measure) : "\n");
}

}  // namespace

std::string tune_text(const TuneResult& result, const documents::Scenario& scenario,
                      const Places& places, const Console& console) {
  const report::Verdict v = report::verdict(result, scenario);
  const int width = std::min(console.width(), 100);
  std::string out = console.bold(scenario.name) + "\n" +
                    wrapped(report::scenario_sentence(scenario), width, 2) + "\n";
  if (!result.summary.empty()) out += comparison_table(result) + "\n";
  out += console.bold(report::to_string(v.tone)) + "\n" + wrapped(v.headline, width, 2);
  out += console.bold("What changed") + "\n" + wrapped(v.changed, width, 2);
  out += console.bold("What hindsight would have done") + "\n" + wrapped(v.hindsight, width, 2);
  if (!result.remarks.empty()) out += console.bold("Remarks") + "\n";
  for (const std::string& remark : result.remarks) out += wrapped("- " + remark, width, 2);
  return out + fmt::format("\nReport: {}\n", places.report.string());
}

Status write_results(const TuneResult& result, const documents::Scenario& scenario,
                     const Places& places, const std::string& json) {
  const std::pair<fs::path, std::string> files[] = {
      {places.out / "result.json", json + "\n"},
      {places.out / "windows.csv", report::windows_csv(result, scenario)},
      {places.out / "changes.csv", report::changes_csv(result)},
      {places.report, report::html(result, scenario)}};
  for (const auto& [path, text] : files) {
    if (Status written = os::write_file(path, text); !written) return written;
  }
  return {};
}

Status prepare_places(const Places& places) {
  if (Status ready = prepare_folder(places.out); !ready) return ready;
  return prepare_folder(fs::absolute(places.report).parent_path());
}

}  // namespace arqon::app
