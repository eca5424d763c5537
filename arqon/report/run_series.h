// From the windows of a run to the points of a plot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "arqon/documents/results.h"

namespace arqon::report {

// The run that plots and decisions show (rule in report.h); null when there is none.
const documents::StrategyRun* shown_run(const documents::TuneResult& result);
const documents::StrategyRun* find_run(const documents::TuneResult& result,
                                       std::string_view strategy, std::uint64_t seed);
const documents::StrategySummary* find_summary(const documents::TuneResult& result,
                                               std::string_view strategy);

// One class in one bucket. Counts are sums, quantiles the highest of the windows merged.
struct ClassBucket {
  double arrived = 0, good = 0, bad = 0, prompt_tokens = 0;
  // Requests whose fate became known; a request may have arrived in an earlier window.
  double judged() const { return good + bad; }
  double ttft_ms_p99 = 0, gap_ms_p99 = 0;
};

// Consecutive windows merged; `t_s` is the end of the last one.
struct Bucket {
  double t_s = 0, seconds = 0;
  double good_tokens = 0, paid_dollars = 0;
  std::vector<ClassBucket> classes;
};

// Windows merged into at most `buckets_max` slices of equal length over [0, end_s]; order kept,
// empty slices left out. Windows with fewer classes than `classes` are padded.
std::vector<Bucket> merge_windows(const control::RunRecord& record, std::size_t classes,
                                  double end_s, std::size_t buckets_max);

// Median over the runs of a strategy of the p90 of time to first token in ms: the figure that
// stands for latency. 0 when the strategy did not run.
double latency_ms(const documents::TuneResult& result, std::string_view strategy);

// Length of the shared time axis: the scenario's duration or the last window, whichever is later.
double axis_end_s(const documents::TuneResult& result, const documents::Scenario& scenario);

}  // namespace arqon::report
