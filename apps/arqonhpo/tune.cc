// arqonhpo tune: the live loop, alone or beside other strategies.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <system_error>
#include <thread>

#include "apps/arqonhpo/interrupt.h"
#include "apps/arqonhpo/progress.h"
#include "apps/arqonhpo/scenario_file.h"
#include "apps/arqonhpo/state_folder.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/compare/compare.h"
#include "arqon/documents/results.h"
#include "arqon/os/file.h"
#include "arqon/report/csv.h"
#include "arqon/report/report.h"
#include "arqon/report/verdict.h"
#include "arqon/report/words.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;
using documents::StrategySummary;
using documents::TuneResult;

// Where everything goes.
struct Places {
  fs::path out, report, state, baselines;
};

Status check_strategies(const std::vector<std::string>& strategies) {
  const std::vector<std::string>& known = compare::strategy_names();
  for (const std::string& name : strategies) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string near = wire::nearest_name(name, known);
    return fail(ErrorCode::kUsage,
                fmt::format("there is no strategy \"{}\"{}; known: {}", name,
                            near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near),
                            fmt::join(known, ", ")));
  }
  return {};
}

// The baseline file: as given, else beside the scenario, else the shipped one.
fs::path baseline_file(const TuneArgs& args, const documents::Scenario& scenario) {
  if (!args.baselines.empty()) return args.baselines;
  std::vector<fs::path> folders = scenario_folders();
  folders.insert(folders.begin(), scenario.folder);
  for (const fs::path& folder : folders) {
    const fs::path file = folder / "data" / "baselines.json";
    std::error_code error;
    if (fs::exists(file, error)) return file;
  }
  return args.recompute_baselines ? scenario.folder / "data" / "baselines.json" : fs::path();
}

Places places_of(const TuneArgs& args, const documents::Scenario& scenario) {
  const std::string name = folder_name(scenario.name);
  Places p;
  p.out = args.out.empty() ? fs::path("results") / name : args.out;
  p.report = args.report.empty() ? p.out / "report.html" : args.report;
  p.state = args.state.empty() ? fs::path(".arqonhpo") / name : args.state;
  p.baselines = baseline_file(args, scenario);
  return p;
}

compare::CompareOptions options_of(const TuneArgs& args, const Places& places) {
  compare::CompareOptions options;
  options.strategies = args.strategies;
  if (options.strategies.empty() && !args.compare) options.strategies = {"arqonhpo", "default"};
  options.seeds = args.seeds;
  options.threads =
      args.threads != 0 ? args.threads : std::max(1u, std::thread::hardware_concurrency());
  options.baselines = places.baselines;
  options.recompute_baselines = args.recompute_baselines;
  return options;
}

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

std::string human(const TuneResult& result, const documents::Scenario& scenario,
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

Status check_scenario(const documents::Scenario& scenario) {
  if (scenario.target_engine == "simulated") return {};
  return fail(ErrorCode::kUnavailable,
              fmt::format("target \"{}\": only the simulated engine can be tuned so far",
                          scenario.target_engine));
}

Result<TuneResult> run(const documents::Scenario& scenario, compare::CompareOptions options,
                       const TuneArgs& args, const StateFolder& state, const Console& console) {
  Progress progress(console, args.quiet);
  options.progress = [&](const compare::Progress& p) { progress.update(p.fraction, p.what); };
  options.frozen = [&] { return state.frozen(); };
  auto result = compare::compare(scenario, options);
  progress.finish();
  return result;
}

Result<int> tune(const TuneArgs& args, Console& console) {
  const std::atomic<bool>& stop = install_interrupt();
  if (Status known = check_strategies(args.strategies); !known)
    return tl::unexpected(known.error());
  const auto scenario = load_scenario(args.scenario, console);
  if (!scenario) return tl::unexpected(scenario.error());
  const Places places = places_of(args, *scenario);
  Status ready = check_scenario(*scenario);
  if (ready) ready = prepare_folder(places.out);
  if (ready) ready = prepare_folder(fs::absolute(places.report).parent_path());
  if (!ready) return tl::unexpected(ready.error());
  const auto state = StateFolder::open(places.state);
  if (!state) return tl::unexpected(state.error());
  if (state->frozen()) console.talk("the state is frozen: ArqonHPO observes and changes nothing\n");

  compare::CompareOptions options = options_of(args, places);
  options.stop = &stop;
  auto result = run(*scenario, std::move(options), args, *state, console);
  if (!result) return tl::unexpected(result.error());
  result->build = build_id();
  const std::string json = documents::to_json(*result, *scenario);
  Status done = state->save(*result, *scenario);
  if (done) done = write_results(*result, *scenario, places, json);
  if (done)
    done = console.data(args.json ? json + "\n" : human(*result, *scenario, places, console));
  if (!done) return tl::unexpected(done.error());
  if (!stop.load()) return 0;
  console.talk(fmt::format("interrupted: what was finished is in {}\n", places.out.string()));
  return exit_code(ErrorCode::kInterrupted);
}

}  // namespace

int run_tune(const TuneArgs& args, Console& console) {
  const Result<int> done = tune(args, console);
  return done ? *done : console.complain(done.error());
}

}  // namespace arqon::app
