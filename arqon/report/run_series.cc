#include "arqon/report/run_series.h"

#include <algorithm>
#include <cmath>

namespace arqon::report {
namespace {

void add(Bucket& bucket, const control::WindowRecord& w) {
  bucket.t_s = w.t_s;
  bucket.seconds += w.seconds;
  bucket.paid_dollars += w.paid_dollars;
  const std::size_t n = std::min(bucket.classes.size(), w.classes.size());
  for (std::size_t c = 0; c < n; ++c) {
    const control::ClassWindow& from = w.classes[c];
    ClassBucket& to = bucket.classes[c];
    bucket.good_tokens += static_cast<double>(from.good_tokens);
    to.arrived += static_cast<double>(from.arrived);
    to.good += static_cast<double>(from.good);
    to.bad += static_cast<double>(from.bad);
    to.prompt_tokens += static_cast<double>(from.prompt_tokens);
    to.ttft_ms_p99 = std::max(to.ttft_ms_p99, from.ttft_ms_p99);
    to.gap_ms_p99 = std::max(to.gap_ms_p99, from.gap_ms_p99);
  }
}

}  // namespace

const documents::StrategyRun* shown_run(const documents::TuneResult& result) {
  const documents::StrategyRun* with_changes = nullptr;
  for (const documents::StrategyRun& run : result.runs) {
    if (run.strategy == "arqonhpo") return &run;
    if (with_changes == nullptr && !run.record.changes.empty()) with_changes = &run;
  }
  if (with_changes != nullptr) return with_changes;
  return result.runs.empty() ? nullptr : &result.runs.front();
}

const documents::StrategyRun* find_run(const documents::TuneResult& result,
                                       std::string_view strategy, std::uint64_t seed) {
  const auto found = std::find_if(result.runs.begin(), result.runs.end(), [&](const auto& run) {
    return run.strategy == strategy && run.seed == seed;
  });
  return found == result.runs.end() ? nullptr : &*found;
}

const documents::StrategySummary* find_summary(const documents::TuneResult& result,
                                               std::string_view strategy) {
  const auto found = std::find_if(result.summary.begin(), result.summary.end(),
                                  [&](const auto& row) { return row.strategy == strategy; });
  return found == result.summary.end() ? nullptr : &*found;
}

std::vector<Bucket> merge_windows(const control::RunRecord& record, std::size_t classes,
                                  double end_s, std::size_t buckets_max) {
  std::vector<Bucket> buckets;
  const double slices = static_cast<double>(std::max<std::size_t>(buckets_max, 1));
  const bool merge = record.windows.size() > buckets_max;
  double slice_before = -1;
  for (const control::WindowRecord& w : record.windows) {
    if (!std::isfinite(w.t_s)) continue;
    // The middle of a window decides its slice, so that a slice never straddles two.
    const double middle = std::clamp((w.t_s - w.seconds / 2) / std::max(end_s, 1e-9), 0.0, 1.0);
    const double slice = std::min(std::floor(middle * slices), slices - 1);
    if (buckets.empty() || !merge || slice > slice_before) {
      buckets.emplace_back().classes.resize(classes);
    }
    slice_before = slice;
    add(buckets.back(), w);
  }
  return buckets;
}

double latency_ms(const documents::TuneResult& result, std::string_view strategy) {
  std::vector<double> values;
  for (const documents::StrategyRun& run : result.runs) {
    if (run.strategy == strategy) values.push_back(run.totals.ttft_ms.p90);
  }
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

double axis_end_s(const documents::TuneResult& result, const documents::Scenario& scenario) {
  double end = scenario.duration_s;
  for (const documents::StrategyRun& run : result.runs) {
    for (const control::WindowRecord& w : run.record.windows) {
      if (std::isfinite(w.t_s)) end = std::max(end, w.t_s);
    }
  }
  return std::isfinite(end) && end > 0 ? end : 1;
}

}  // namespace arqon::report
