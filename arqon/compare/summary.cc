#include "arqon/compare/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "arqon/compare/evaluate.h"

namespace arqon::compare {
namespace {

using documents::StrategyRun;
using documents::StrategySummary;

// A lead is real from here on (docs/reference/scenario.md).
constexpr double kRealBadShare = 0.02;
constexpr double kRealRelative = 0.03;
constexpr double kNearOracle = 0.97;
constexpr double kRecoverySpan = 600;

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

double count(const StrategyRun& run, control::ChangeState state) {
  const auto& changes = run.record.changes;
  return static_cast<double>(std::count_if(changes.begin(), changes.end(),
                                           [&](const auto& c) { return c.state == state; }));
}

const StrategyRun* find_run(const std::vector<StrategyRun>& runs, std::string_view strategy,
                            std::uint64_t seed) {
  for (const StrategyRun& run : runs) {
    if (run.strategy == strategy && run.seed == seed) return &run;
  }
  return nullptr;
}

double good_share(const control::RunRecord& record, double from_s, double to_s) {
  double good = 0, n = 0;
  for (const control::WindowRecord& w : record.windows) {
    if (w.t_s <= from_s || w.t_s > to_s) continue;
    for (const control::ClassWindow& c : w.classes) {
      good += static_cast<double>(c.good);
      n += static_cast<double>(c.good + c.bad);
    }
  }
  return n > 0 ? good / n : 1;
}

// Median over shifts of the time until ten minutes are within 3 % of the oracle's; nothing when
// some shift was never recovered from.
std::optional<double> recovery(const documents::Scenario& scenario, const StrategyRun& run,
                               const StrategyRun& oracle) {
  const std::vector<double> bounds = segment_bounds(scenario);
  std::vector<double> times;
  for (std::size_t p = 1; p + 1 < bounds.size(); ++p) {
    std::optional<double> recovered;
    for (const control::WindowRecord& w : run.record.windows) {
      const double from = w.t_s - w.seconds;
      if (recovered || from < bounds[p] || from + kRecoverySpan > bounds[p + 1]) continue;
      const double theirs = good_share(oracle.record, from, from + kRecoverySpan);
      if (good_share(run.record, from, from + kRecoverySpan) >= kNearOracle * theirs) {
        recovered = from - bounds[p];
      }
    }
    if (!recovered) return std::nullopt;
    times.push_back(*recovered);
  }
  if (times.empty()) return std::nullopt;
  return median(times);
}

std::optional<double> capture(const documents::Scenario& scenario, const StrategyRun& run,
                              const StrategyRun& yesterday, const StrategyRun& oracle) {
  const double theirs = measure_of(scenario.measure, yesterday.totals);
  const double best = measure_of(scenario.measure, oracle.totals);
  const double lead = theirs - best;
  const bool real = scenario.measure == "bad_share" ? lead >= kRealBadShare
                                                    : lead >= kRealRelative * std::abs(theirs);
  if (!real) return std::nullopt;
  return (theirs - measure_of(scenario.measure, run.totals)) / lead;
}

StrategySummary summarise_one(const documents::Scenario& scenario, const std::string& strategy,
                              const std::vector<StrategyRun>& all) {
  std::vector<const StrategyRun*> runs;
  for (const StrategyRun& run : all) {
    if (run.strategy == strategy) runs.push_back(&run);
  }
  const auto mid = [&](const std::function<double(const StrategyRun&)>& field) {
    std::vector<double> values;
    for (const StrategyRun* run : runs) values.push_back(field(*run));
    return median(std::move(values));
  };
  StrategySummary s;
  s.strategy = strategy;
  s.seeds = runs.size();
  s.attainment = mid([](const auto& r) { return r.totals.attainment; });
  s.worst_5_min = mid([](const auto& r) { return r.totals.worst_5_min_attainment; });
  s.cost = mid([](const auto& r) { return r.totals.dollars_per_million_good_tokens; });
  s.good_tokens = mid([](const auto& r) { return static_cast<double>(r.totals.good_tokens); });
  s.ttft_ms_p50 = mid([](const auto& r) { return r.totals.ttft_ms.p50; });
  s.ttft_ms_p99 = mid([](const auto& r) { return r.totals.ttft_ms.p99; });
  s.gap_ms_p99 = mid([](const auto& r) { return r.totals.max_gap_ms.p99; });
  s.changes_applied = mid([](const auto& r) { return count(r, control::ChangeState::kApplied); });
  s.changes_refused = mid([](const auto& r) { return count(r, control::ChangeState::kRefused); });
  s.changes_reverted = mid([](const auto& r) { return count(r, control::ChangeState::kReverted); });
  s.changes_per_hour =
      (s.changes_applied + s.changes_reverted) / std::max(1.0, scenario.duration_s / 3600);
  std::vector<double> excesses, captures, recoveries;
  for (const StrategyRun* run : runs) {
    const StrategyRun* hindsight = find_run(all, "hindsight", run->seed);
    const StrategyRun* yesterday = find_run(all, "yesterday", run->seed);
    const StrategyRun* oracle = find_run(all, "oracle", run->seed);
    if (hindsight != nullptr) {
      excesses.push_back(measure_of(scenario.measure, run->totals) -
                         measure_of(scenario.measure, hindsight->totals));
    }
    if (oracle == nullptr) continue;
    if (yesterday != nullptr) {
      if (const auto c = capture(scenario, *run, *yesterday, *oracle)) captures.push_back(*c);
    }
    if (const auto r = recovery(scenario, *run, *oracle)) recoveries.push_back(*r);
  }
  s.excess = median(excesses);
  if (!captures.empty()) s.capture = median(captures);
  if (!recoveries.empty()) s.recovery_s = median(recoveries);
  return s;
}

const StrategySummary* row(const std::vector<StrategySummary>& rows, std::string_view strategy) {
  for (const StrategySummary& r : rows) {
    if (r.strategy == strategy) return &r;
  }
  return nullptr;
}

}  // namespace

std::vector<StrategySummary> summarise(const documents::Scenario& scenario,
                                       const std::vector<StrategyRun>& runs) {
  std::vector<StrategySummary> out;
  for (const StrategyRun& run : runs) {
    if (row(out, run.strategy) == nullptr)
      out.push_back(summarise_one(scenario, run.strategy, runs));
  }
  return out;
}

std::vector<std::string> remarks(const documents::Scenario& scenario,
                                 const std::vector<StrategyRun>& runs,
                                 const std::vector<StrategySummary>& summary) {
  std::vector<std::string> out;
  const StrategySummary* ours = row(summary, "arqonhpo");
  if (ours == nullptr) return out;
  const StrategySummary* found = row(summary, "default");
  if (!scenario.gain_expected && found != nullptr) {
    const double moved = 100 * (ours->attainment - found->attainment);
    out.push_back(fmt::format(
        "{}; ArqonHPO made {:.1f} changes an hour and moved attainment by {:+.2f} points.",
        moved > 0.1 ? "A check for harm, yet there was something to gain"
                    : "A check for harm: there was nothing to gain",
        ours->changes_per_hour, moved));
  }
  std::size_t seeds = 0;
  for (const StrategyRun& run : runs) seeds += run.strategy == "arqonhpo" ? 1u : 0u;
  if (scenario.live()) {
    out.push_back(fmt::format(
        "{} repeat{} on one engine: the intervals of the phases say what can be told apart.",
        seeds, seeds == 1 ? "" : "s"));
  } else if (seeds < 5) {
    out.push_back(fmt::format("{} seed{}: too few to call a difference; five or more are needed.",
                              seeds, seeds == 1 ? "" : "s"));
  }
  return out;
}

}  // namespace arqon::compare
