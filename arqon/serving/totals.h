// What a run came to, simulated or measured on a real endpoint: the totals of `simulate --json` and
// `load --json`. Rules: docs/reference/scenario.md, "Outcomes".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arqon/serving/outcome.h"

namespace arqon::serving {

// Exact nearest-rank quantiles over finished requests, in ms.
struct Quantiles {
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0;
  std::uint64_t n = 0;
};
// Reorders `values`.
Quantiles quantiles_of(std::vector<float>& values);

struct ClassResult {
  std::string name;
  Ledger ledger;
  std::uint64_t late_by[kLimits] = {};  // by the limit that broke first
  Quantiles ttft_ms, tpot_ms, max_gap_ms, e2e_ms;
};

struct Totals {
  std::vector<ClassResult> classes;
  Ledger ledger;                      // sum over classes
  double attainment = 1;              // good / arrived over all classes
  double worst_5_min_attainment = 1;  // by arrival time, 5-minute bins with >= 100 arrivals
  std::uint64_t good_tokens = 0;
  double paid_gpu_s = 0;
  double paid_dollars = 0;
  double dollars_per_million_good_tokens = 0;
  Quantiles ttft_ms, tpot_ms, max_gap_ms, e2e_ms;  // all classes
  double output_tokens_per_s = 0;
  double input_tokens_per_s = 0;
  // From here on the twin alone knows.
  double busy_fraction = 0;  // reported, never optimised
  double kv_use_mean = 0, kv_use_max = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t recomputed_tokens = 0;
  double prefix_hit_rate = 0;                  // share of prompt tokens found in prefix caches
  double tokens_per_step = 0;                  // mean accepted tokens per decode step and sequence
  std::vector<std::uint64_t> batch_histogram;  // steps by floor(log2(running sequences))
  std::uint64_t steps = 0;
  double simulated_s = 0;
};

}  // namespace arqon::serving
