#include "arqon/compare/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "arqon/compare/baselines.h"
#include "arqon/compare/evaluate.h"
#include "arqon/compare/policies.h"
#include "arqon/compare/search.h"
#include "arqon/compare/summary.h"
#include "arqon/compare/walker.h"
#include "arqon/control/loop.h"

namespace arqon::compare {
namespace {

using documents::StrategyRun;

// Roughly how many plain runs one search costs, for the progress bar only.
constexpr double kSearchWeight = 60;

bool needs_search(std::string_view strategy) {
  return strategy == "yesterday" || strategy == "hindsight" || strategy == "oracle";
}

std::string describe(const Space& space, const Config& setting) {
  std::string text;
  for (std::size_t k = 0; k < space.size(); ++k) {
    text += fmt::format("{}{}={:.6g}", k == 0 ? "" : ", ", space[k].name, setting[space.offset(k)]);
  }
  return text;
}

// Runs one strategy after another over one seed's traffic.
class SeedRunner {
 public:
  SeedRunner(const documents::Scenario& scenario, std::uint64_t seed, SharedTrace trace,
             const CompareOptions& options)
      : scenario_(scenario), seed_(seed), trace_(std::move(trace)), options_(options) {}

  Result<StrategyRun> run(const std::string& strategy, const std::optional<Baselines>& baselines) {
    auto twin = make_twin(scenario_, trace_, seed_);
    if (!twin) return tl::unexpected(twin.error());
    const Config boot = (*twin)->capabilities().boot;
    StrategyRun out;
    out.strategy = strategy;
    out.seed = seed_;
    Status ran = strategy.starts_with("arqonhpo") ? live(**twin, strategy == "arqonhpo-frozen", out)
                                                  : rival(**twin, strategy, boot, baselines, out);
    if (!ran) return tl::unexpected(ran.error());
    (*twin)->drain();
    out.totals = (*twin)->totals();
    return out;
  }

 private:
  Status live(sim::Twin& twin, bool observe_only, StrategyRun& out) {
    control::LoopOptions options = loop_options(scenario_, seed_);
    options.stop = options_.stop;
    options.frozen = options_.frozen;
    if (observe_only) options.mode = control::Mode::kObserve;
    auto loop = control::Loop::create(twin, twin, std::move(options));
    if (!loop) return tl::unexpected(loop.error());
    const Status ran = loop->run_until(time_at(scenario_.duration_s));
    if (!ran) return ran;
    out.record = loop->record();
    out.note = fmt::format("ends at {}", describe(scenario_.knobs, loop->confirmed()));
    return {};
  }

  Status rival(sim::Twin& twin, const std::string& strategy, const Config& boot,
               const std::optional<Baselines>& baselines, StrategyRun& out) {
    Policy policy = keep();
    Config first = boot;
    if (strategy == "expert") first = expert_setting(scenario_, boot);
    if (strategy == "yesterday") first = baselines->yesterday;
    if (strategy == "hindsight") first = baselines->hindsight;
    if (strategy == "oracle") {
      first = baselines->oracle.front();
      policy = scheduled(segment_bounds(scenario_), baselines->oracle);
    }
    if (strategy == "random") policy = random_targets(scenario_, seed_);
    if (strategy == "rules") policy = aimd_rules(scenario_);
    if (first != boot) {
      if (auto applied = twin.apply(first); !applied) return tl::unexpected(applied.error());
    }
    out.note = describe(scenario_.knobs, first);
    auto record = walk(scenario_, twin, twin, time_at(scenario_.duration_s), policy, options_.stop);
    if (!record) return tl::unexpected(record.error());
    out.record = std::move(*record);
    return {};
  }

  const documents::Scenario& scenario_;
  std::uint64_t seed_;
  SharedTrace trace_;
  const CompareOptions& options_;
};

class Comparison {
 public:
  Comparison(const documents::Scenario& scenario, const CompareOptions& options)
      : scenario_(scenario),
        options_(options),
        strategies_(options.strategies.empty() ? strategy_names() : options.strategies),
        seeds_(options.seeds.empty() ? std::vector{scenario.seed} : options.seeds) {}

  Result<documents::TuneResult> run() {
    auto file = options_.baselines.empty() ? Result<BaselineFile>(BaselineFile{})
                                           : BaselineFile::load(options_.baselines);
    if (!file) return tl::unexpected(file.error());
    file_ = std::move(*file);
    plan();
    documents::TuneResult result;
    result.scenario = scenario_.name;
    result.measure = scenario_.measure;
    for (const std::uint64_t seed : seeds_) {
      const Status ran = run_seed(seed, result.runs);
      if (ran) continue;
      if (ran.error().code != ErrorCode::kInterrupted) return tl::unexpected(ran.error());
      result.remarks.push_back("Stopped before the end: only what was finished is shown.");
      break;
    }
    result.summary = summarise(scenario_, result.runs);
    for (std::string& s : remarks(scenario_, result.runs, result.summary)) {
      result.remarks.push_back(std::move(s));
    }
    return result;
  }

 private:
  bool searched() const {
    return std::any_of(strategies_.begin(), strategies_.end(), needs_search);
  }

  void plan() {
    for (const std::uint64_t seed : seeds_) {
      work_ += static_cast<double>(strategies_.size());
      if (searched() && !stored(seed)) work_ += kSearchWeight;
    }
  }

  std::optional<Baselines> stored(std::uint64_t seed) const {
    return options_.recompute_baselines ? std::nullopt : file_.find(scenario_, seed);
  }

  void tell(double done, const std::string& what) const {
    if (options_.progress) options_.progress({std::min(1.0, done / work_), what});
  }

  Result<Baselines> baselines(std::uint64_t seed) {
    if (auto known = stored(seed)) return *known;
    SearchOptions search;
    search.settings = options_.screen_settings;
    search.threads = options_.threads;
    search.stop = options_.stop;
    search.progress = [&](double fraction, const std::string& what) {
      tell(done_ + kSearchWeight * fraction, fmt::format("seed {}: {}", seed, what));
    };
    auto found = search_baselines(scenario_, seed, search);
    if (!found) return tl::unexpected(found.error());
    done_ += kSearchWeight;
    file_.put(scenario_, seed, found->baselines);
    if (!options_.baselines.empty() && options_.recompute_baselines) {
      if (auto saved = file_.save(options_.baselines); !saved) return tl::unexpected(saved.error());
    }
    return found->baselines;
  }

  Status run_seed(std::uint64_t seed, std::vector<StrategyRun>& runs) {
    auto trace = make_trace(scenario_, seed);
    if (!trace) return tl::unexpected(trace.error());
    std::optional<Baselines> found;
    if (searched()) {
      auto b = baselines(seed);
      if (!b) return tl::unexpected(b.error());
      found = *b;
    }
    SeedRunner runner(scenario_, seed, *trace, options_);
    for (const std::string& strategy : strategies_) {
      tell(done_, fmt::format("seed {}: {}", seed, strategy));
      auto run = runner.run(strategy, found);
      if (!run) return tl::unexpected(run.error());
      runs.push_back(std::move(*run));
      done_ += 1;
      if (options_.stop != nullptr && options_.stop->load()) {
        return fail(ErrorCode::kInterrupted, "stopped");
      }
    }
    tell(done_, fmt::format("seed {} done", seed));
    return {};
  }

  const documents::Scenario& scenario_;
  const CompareOptions& options_;
  std::vector<std::string> strategies_;
  std::vector<std::uint64_t> seeds_;
  BaselineFile file_;
  double work_ = 0;
  double done_ = 0;
};

}  // namespace

const std::vector<std::string>& strategy_names() {
  static const std::vector<std::string> kNames{"default",   "expert",          "yesterday",
                                               "hindsight", "rules",           "random",
                                               "arqonhpo",  "arqonhpo-frozen", "oracle"};
  return kNames;
}

Result<documents::TuneResult> compare(const documents::Scenario& scenario,
                                      const CompareOptions& options) {
  for (const std::string& s : options.strategies) {
    const auto& names = strategy_names();
    if (std::find(names.begin(), names.end(), s) != names.end()) continue;
    return fail(ErrorCode::kUsage,
                fmt::format("unknown strategy \"{}\"; there are: {}", s, fmt::join(names, ", ")));
  }
  return Comparison(scenario, options).run();
}

}  // namespace arqon::compare
