// arqonhpo tune --compare on a live engine: its own traffic, every strategy in turn.
#include <fmt/format.h>

#include <algorithm>

#include "apps/arqonhpo/endpoint.h"
#include "apps/arqonhpo/live.h"
#include "apps/arqonhpo/progress.h"
#include "apps/arqonhpo/state_folder.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/compare/live_comparison.h"
#include "arqon/report/phases.h"

namespace arqon::app {
namespace {

const std::vector<std::string> kStrategies{"default", "rules", "random", "arqonhpo"};

Status check(const TuneArgs& args, const documents::Scenario& scenario) {
  for (const std::string& name : args.strategies) {
    if (std::find(kStrategies.begin(), kStrategies.end(), name) != kStrategies.end()) continue;
    return fail(ErrorCode::kUsage,
                fmt::format("a live comparison knows {}, not \"{}\"",
                            fmt::join(kStrategies, ", "), name));
  }
  if (args.seconds || !args.mode.empty() || args.recompute_baselines) {
    return fail(ErrorCode::kUsage,
                "--seconds, --mode and --recompute-baselines do not go with a live --compare: it "
                "runs the whole scenario, mode auto");
  }
  if (scenario.workloads.empty()) {
    return fail(ErrorCode::kInvalidConfig,
                "workload: --compare sends the scenario's traffic, and it has none");
  }
  return {};
}

Result<load::Options> load_options(const TuneArgs& args, const documents::Scenario& scenario) {
  load::Options options;
  options.url = args.load_url;
  const wire::Value* url = scenario.target.find("url");
  if (options.url.empty() && url != nullptr && url->as_string() != nullptr) {
    options.url = *url->as_string();
  }
  if (options.url.empty()) {
    return fail(ErrorCode::kUsage, "--load-url is needed: the target has no \"url\"");
  }
  const auto served = look_at(options.url, "", "");
  if (!served) return tl::unexpected(served.error());
  options.model = served->model;
  return options;
}

}  // namespace

Result<int> compare_on_live(const TuneArgs& args, const documents::Scenario& document,
                            const Places& places, const std::atomic<bool>& stop, Console& console) {
  Status ready = check(args, document);
  if (ready) ready = check_engine(document);
  if (ready) ready = prepare_places(places);
  if (!ready) return tl::unexpected(ready.error());
  const auto state = StateFolder::open(places.state);
  if (!state) return tl::unexpected(state.error());
  os::SystemClock clock;
  auto attached = attach(document, clock, console);
  if (!attached) return tl::unexpected(attached.error());
  const documents::Scenario& scenario = attached->scenario;
  auto load = load_options(args, scenario);
  if (!load) return tl::unexpected(load.error());

  compare::LiveComparisonOptions options;
  if (!args.strategies.empty()) options.strategies = args.strategies;
  options.repeats = args.repeats;
  options.seed = args.seeds.empty() ? scenario.seed : args.seeds.front();
  options.load = std::move(*load);
  options.stop = &stop;
  options.frozen = [&] { return state->frozen(); };
  Progress progress(console, args.quiet);
  options.progress = [&](const compare::Progress& p) { progress.update(p.fraction, p.what); };
  auto result = compare::compare_live(scenario, *attached->engine, clock, options);
  progress.finish();
  if (!result) return tl::unexpected(result.error());
  result->build = build_id();
  const std::string json = documents::to_json(*result, scenario);
  Status done = write_results(*result, scenario, places, json);
  if (done) {
    done = console.data(args.json ? json + "\n"
                                  : text_table(report::phase_cells(*result)) + "\n" +
                                        tune_text(*result, scenario, places, console));
  }
  if (!done) return tl::unexpected(done.error());
  if (!stop.load()) return 0;
  console.talk(fmt::format("interrupted: what was finished is in {}\n", places.out.string()));
  return exit_code(ErrorCode::kInterrupted);
}

}  // namespace arqon::app
