#include "arqon/compare/live_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "arqon/base/rng.h"
#include "arqon/compare/evaluate.h"
#include "arqon/compare/policies.h"
#include "arqon/compare/summary.h"
#include "arqon/compare/walker.h"
#include "arqon/control/loop.h"

namespace arqon::compare {
namespace {

using documents::PhaseRow;
using documents::StrategyRun;

// How much of a growing record a run has already taken, and where its clock began.
struct Mark {
  std::size_t windows = 0, changes = 0, decisions = 0;
};

Mark end_of(const control::RunRecord& record) {
  return {record.windows.size(), record.changes.size(), record.decisions.size()};
}

// What came after `mark`, its times counted from `begin_s` of the record's.
control::RunRecord since(const control::RunRecord& all, const Mark& mark, double begin_s) {
  control::RunRecord part = all;
  const auto cut = [&](auto& rows, std::size_t n) {
    rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(n));
    for (auto& row : rows) row.t_s -= begin_s;
  };
  cut(part.windows, mark.windows);
  cut(part.changes, mark.changes);
  cut(part.decisions, mark.decisions);
  return part;
}

std::vector<std::string> phase_names(const documents::Scenario& scenario, std::size_t phases) {
  std::vector<std::string> names;
  const auto& segments = scenario.workloads.front().segments;
  for (std::size_t i = 0; i < phases; ++i) {
    const bool named = i < segments.size() && !segments[i].name.empty();
    names.push_back(named ? segments[i].name : fmt::format("part {}", i + 1));
  }
  return names;
}

class LiveComparison {
 public:
  LiveComparison(const documents::Scenario& scenario, serving::Engine& engine, Clock& clock,
                 const LiveComparisonOptions& options)
      : scenario_(scenario),
        engine_(engine),
        clock_(clock),
        options_(options),
        found_(engine.observe().effective),
        bounds_(segment_bounds(scenario)) {}

  Result<documents::TuneResult> run() {
    if (Status made = make_loop(); !made) return tl::unexpected(made.error());
    for (std::uint64_t repeat = 0; repeat < options_.repeats && !stopped(); ++repeat) {
      const Status ran = run_repeat(repeat);
      if (!ran && !stopped()) {
        (void)put(found_);
        return tl::unexpected(ran.error());
      }
    }
    if (Status put_back = put(found_); !put_back) return tl::unexpected(put_back.error());
    return finish();
  }

 private:
  bool stopped() const { return options_.stop != nullptr && options_.stop->load(); }

  Status make_loop() {
    control::LoopOptions options = loop_options(scenario_, options_.seed);
    options.mode = control::Mode::kAuto;
    options.stop = options_.stop;
    options.frozen = options_.frozen;
    auto loop = control::Loop::create(engine_, clock_, std::move(options));
    if (!loop) return tl::unexpected(loop.error());
    loop_.emplace(std::move(*loop));
    return {};
  }

  // Puts a setting in force and makes it what returns when nobody answers for it.
  Status put(const Config& setting) {
    const auto effective = engine_.apply(setting);
    if (!effective) return tl::unexpected(effective.error().with_context("between two runs"));
    if (*effective != setting) {
      return fail(ErrorCode::kConflict, "the engine did not take the setting a run begins with");
    }
    return engine_.confirm();
  }

  Status run_repeat(std::uint64_t repeat) {
    auto trace = make_trace(scenario_, options_.seed + repeat);
    if (!trace) return tl::unexpected(trace.error());
    std::vector<std::string> order = options_.strategies;
    Rng rng = Rng(options_.seed).stream("order").stream(repeat);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
    for (const std::string& strategy : order) {
      if (stopped()) return {};
      if (Status ran = run_one(strategy, repeat, *trace); !ran) return ran;
      clock_.wait_until(clock_.now() + from_seconds(options_.rest_s));
    }
    return {};
  }

  Status run_one(const std::string& strategy, std::uint64_t repeat, const SharedTrace& trace) {
    const bool own = strategy == "arqonhpo";
    if (Status ready = put(own && warm_ ? loop_->confirmed() : found_); !ready) return ready;
    load::Options load = options_.load;
    load.trace = trace;
    load.classes = scenario_.classes;
    load.duration_s = scenario_.duration_s;
    load.seed = options_.seed + repeat;
    std::optional<Result<load::Outcome>> outcome;
    std::stop_source stop_load;
    const TimePoint begin = clock_.now();
    std::jthread client([&] {
      load::Hooks hooks;
      hooks.stop = stop_load.get_token();
      hooks.abort = stop_load.get_token();
      hooks.progress = [&](const load::Progress& p) { say(strategy, repeat, p.at_s); };
      outcome = load::run(load, clock_, hooks);
    });
    StrategyRun run{
        .strategy = strategy, .seed = repeat + 1, .note = {}, .totals = {}, .record = {}};
    const TimePoint end = begin + from_seconds(load.warmup_s + scenario_.duration_s);
    const Status steered = own ? steer(begin, end, run) : walk_policy(strategy, begin, end, run);
    if (!steered || stopped()) stop_load.request_stop();
    client.join();
    if (!steered) return steered;
    if (!*outcome) return tl::unexpected(outcome->error());
    keep(strategy, repeat, **outcome);
    run.totals = (*outcome)->totals;
    runs_.push_back(std::move(run));
    return {};
  }

  Status steer(TimePoint begin, TimePoint end, StrategyRun& run) {
    const Mark mark = end_of(loop_->record());
    if (Status ran = loop_->run_until(end); !ran) return ran;
    warm_ = true;
    run.record = since(loop_->record(), mark, to_seconds(begin - loop_->begun()));
    run.note = "keeps what it confirmed from repeat to repeat";
    return {};
  }

  Status walk_policy(const std::string& strategy, TimePoint begin, TimePoint end,
                     StrategyRun& run) {
    Policy policy = arqon::compare::keep();
    if (strategy == "rules") policy = aimd_rules(scenario_);
    if (strategy == "random") policy = random_targets(scenario_, options_.seed);
    auto record = walk(scenario_, engine_, clock_, end, policy, options_.stop);
    if (!record) return tl::unexpected(record.error());
    run.record = since(*record, {}, to_seconds(begin));
    return {};
  }

  // The phases of one run as the load client saw them.
  void keep(const std::string& strategy, std::uint64_t repeat, const load::Outcome& outcome) {
    const std::size_t phases = bounds_.size() - 1;
    const std::vector<std::string> names = phase_names(scenario_, phases);
    for (std::size_t p = 0; p < phases; ++p) {
      const serving::Totals totals =
          load::totals_of(outcome.rows, scenario_.classes, bounds_[p], bounds_[p + 1]);
      PhaseRow& row = row_of(names[p], strategy);
      row.arrived.resize(repeat + 1);
      row.good.resize(repeat + 1);
      row.arrived[repeat] = totals.ledger.arrived;
      row.good[repeat] = totals.ledger.good;
    }
  }

  PhaseRow& row_of(const std::string& phase, const std::string& strategy) {
    const auto found = std::find_if(phases_.begin(), phases_.end(), [&](const PhaseRow& row) {
      return row.phase == phase && row.strategy == strategy;
    });
    if (found != phases_.end()) return *found;
    phases_.push_back({.phase = phase, .strategy = strategy, .arrived = {}, .good = {},
                       .against_default = {}});
    return phases_.back();
  }

  documents::TuneResult finish() {
    std::vector<PhaseRow> ordered;
    for (const std::string& phase : phase_names(scenario_, bounds_.size() - 1)) {
      for (const std::string& strategy : options_.strategies) {
        ordered.push_back(row_of(phase, strategy));
      }
    }
    compare_to_default(ordered);
    std::stable_sort(runs_.begin(), runs_.end(), [&](const StrategyRun& a, const StrategyRun& b) {
      return rank(a.strategy) < rank(b.strategy);
    });
    documents::TuneResult result;
    result.scenario = scenario_.name;
    result.measure = scenario_.measure;
    result.summary = summarise(scenario_, runs_);
    result.remarks = remarks(scenario_, runs_, result.summary);
    result.phases = std::move(ordered);
    result.runs = std::move(runs_);
    return result;
  }

  std::size_t rank(const std::string& strategy) const {
    const auto at = std::find(options_.strategies.begin(), options_.strategies.end(), strategy);
    return static_cast<std::size_t>(at - options_.strategies.begin());
  }

  static void compare_to_default(std::vector<PhaseRow>& rows) {
    for (PhaseRow& row : rows) {
      const auto base = std::find_if(rows.begin(), rows.end(), [&](const PhaseRow& other) {
        return other.phase == row.phase && other.strategy == "default";
      });
      if (base == rows.end() || &*base == &row) continue;
      std::vector<double> points;
      for (std::size_t r = 0; r < std::min(row.arrived.size(), base->arrived.size()); ++r) {
        if (row.arrived[r] == 0 || base->arrived[r] == 0) continue;
        const auto share = [r](const PhaseRow& of) {
          return static_cast<double>(of.good[r]) / static_cast<double>(of.arrived[r]);
        };
        points.push_back(100 * (share(row) - share(*base)));
      }
      if (!points.empty()) row.against_default = stats::paired_mean(points);
    }
  }

  void say(const std::string& strategy, std::uint64_t repeat, double at_s) const {
    if (!options_.progress) return;
    const auto strategies = static_cast<double>(options_.strategies.size());
    const double part = std::clamp(at_s / scenario_.duration_s, 0.0, 1.0);
    const double runs = static_cast<double>(runs_.size());
    options_.progress({(runs + part) / (strategies * static_cast<double>(options_.repeats)),
                       fmt::format("repeat {} of {}: {}, {:.0f} of {:.0f} s", repeat + 1,
                                   options_.repeats, strategy, std::max(0.0, at_s),
                                   scenario_.duration_s)});
  }

  const documents::Scenario& scenario_;
  serving::Engine& engine_;
  Clock& clock_;
  const LiveComparisonOptions& options_;
  Config found_;
  std::vector<double> bounds_;
  std::optional<control::Loop> loop_;
  bool warm_ = false;  // the loop has had a run of its own
  std::vector<StrategyRun> runs_;
  std::vector<PhaseRow> phases_;
};

}  // namespace

Result<documents::TuneResult> compare_live(const documents::Scenario& scenario,
                                           serving::Engine& engine, Clock& clock,
                                           const LiveComparisonOptions& options) {
  if (scenario.workloads.empty()) {
    return fail(ErrorCode::kInvalidConfig,
                "workload: a comparison on a live engine sends the scenario's traffic, and it has "
                "none");
  }
  return LiveComparison(scenario, engine, clock, options).run();
}

}  // namespace arqon::compare
