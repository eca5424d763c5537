// arqonhpo tune: the live loop, alone or beside other strategies.
#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <thread>

#include "apps/arqonhpo/interrupt.h"
#include "apps/arqonhpo/live.h"
#include "apps/arqonhpo/progress.h"
#include "apps/arqonhpo/scenario_file.h"
#include "apps/arqonhpo/state_folder.h"
#include "apps/arqonhpo/tune_results.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/compare/compare.h"
#include "arqon/documents/results.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;
using documents::TuneResult;

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
  if (scenario->live()) {
    const auto live = args.compare ? compare_on_live : tune_live;
    return live(args, *scenario, places, stop, console);
  }
  if (args.seconds || !args.mode.empty()) {
    return fail(ErrorCode::kUsage,
                "--seconds and --mode are for live engines; the simulated one "
                "takes \"duration_s\" and \"mode\" from its scenario");
  }
  if (Status ready = prepare_places(places); !ready) return tl::unexpected(ready.error());
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
  if (done) {
    done = console.data(args.json ? json + "\n" : tune_text(*result, *scenario, places, console));
  }
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
