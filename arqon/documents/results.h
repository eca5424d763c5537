// Results of `simulate --json` and `tune --json`: typed values <-> wire (schema 1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/control/run_record.h"
#include "arqon/documents/scenario.h"
#include "arqon/sim/result.h"
#include "arqon/stats/paired.h"

namespace arqon::documents {

// One strategy on one seed. Strategy names: default, expert, yesterday, hindsight, rules, random,
// arqonhpo, arqonhpo-frozen, oracle.
struct StrategyRun {
  std::string strategy;
  std::uint64_t seed = 0;
  std::string note;  // e.g. the static setting that hindsight chose
  sim::Totals totals;
  control::RunRecord record;  // windows and changes; static runs have windows only
};

struct StrategySummary {
  std::string strategy;
  std::uint64_t seeds = 0;
  double attainment = 0;  // medians over seeds
  double worst_5_min = 0;
  double cost = 0;  // dollars per million good tokens
  double good_tokens = 0;
  double ttft_ms_p50 = 0, ttft_ms_p99 = 0, gap_ms_p99 = 0;
  double changes_applied = 0, changes_refused = 0, changes_reverted = 0;
  double changes_per_hour = 0;
  std::optional<double> capture;     // stated only where the lead is real
  std::optional<double> recovery_s;  // from a shift to the first 10 minutes near the oracle
  double excess = 0;                 // measure - hindsight's
};

// One stretch of the traffic under one strategy, repeat by repeat (a repeat is a seed).
struct PhaseRow {
  std::string phase;
  std::string strategy;
  std::vector<std::uint64_t> arrived, good;  // one per repeat
  // good share - "default"'s in the same repeat, in points: mean and 95 % interval (Student's t);
  // absent for the default itself and where it did not run.
  std::optional<stats::PairedMean> against_default;
};

struct TuneResult {
  std::string scenario;
  std::string measure;  // bad_share | cost | good_tokens | latency
  std::string build;    // build id; not part of any decision
  std::vector<StrategyRun> runs;
  std::vector<StrategySummary> summary;
  std::vector<PhaseRow> phases;  // of a comparison on a live engine
  // Plain sentences: what changed, what it brought, what is not known.
  std::vector<std::string> remarks;
};

// What one pool did; counts of the requests that were sent to it.
struct PoolTotals {
  std::string name;
  int replicas = 0;  // at the start
  std::uint64_t arrived = 0, good = 0, bad = 0;
  std::uint64_t output_tokens = 0, good_tokens = 0;
};

// How a simulated run went beside its totals.
struct RunFacts {
  std::vector<PoolTotals> pools;
  double wall_s = 0;
  bool partial = false;  // interrupted: totals speak of the time until then
};

std::string to_json(const TuneResult& result, const Scenario& scenario);
std::string to_json(const sim::Totals& totals, const Scenario& scenario, std::string_view build,
                    const RunFacts& facts);
// Byte-stable text of the decisions alone (no build id, no wall time): for replay and comparison.
std::string decisions_json(const control::RunRecord& record);

// One row per window: t_s, seconds, setting, paid and gauges, then each class's counts and
// quantiles as CLASS.column, then each knob's value by address. A header row first; columns are in
// docs/formats/results.md.
std::string windows_csv(const StrategyRun& run, const Scenario& scenario);
// One row per change: t_s, decision, address, from, to, lane, state, reason. A header row first.
std::string changes_csv(const StrategyRun& run);

}  // namespace arqon::documents
