// What Prometheus kept of an engine, as windows for calibration and as traffic for advice. vLLM's
// series (0.6 and later); other engines write their windows by hand (read_observations.h).
//
// Two forms: the answer of Prometheus' /api/v1/query_range for {__name__=~"vllm:.*"} (JSON, one
// answer or a list of them), or scrapes of /metrics one after the other, each begun by a line
// "# scraped SECONDS".
#pragma once

#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "arqon/calibrate/observation.h"
#include "arqon/wire/diagnostic.h"
#include "arqon/wire/prometheus.h"

namespace arqon::calibrate {

struct Scrape {
  double t_s = 0;  // seconds since 1970, or any axis that rises
  wire::Exposition metrics;
};
using History = std::vector<Scrape>;  // rising t_s

// True when the text is one of the two forms rather than a table of windows.
bool looks_like_history(std::string_view text);
// Refuses, with place: other JSON, scrapes without their line, times that do not rise, and what
// wire::parse_prometheus refuses. Bounded: 64 MiB, 100,000 scrapes.
tl::expected<History, wire::Diagnostics> read_history(std::string_view text);

// One window between two scrapes at least `seconds_min` apart; windows in which a counter fell (the
// engine was restarted) are left out. Counts are per engine when several report.
Observations windows_of(const History& history, double seconds_min);

// A length distribution: shares per histogram bucket, uniform between its bounds.
struct LengthShare {
  double above = 0, to = 1;  // tokens, (above, to]
  double share = 0;          // of requests
};

// What asked for the work, over the whole history, of one engine.
struct Traffic {
  double seconds = 0;
  double requests = 0;
  double rate_per_s = 0;               // mean
  std::vector<double> rate_by_window;  // rate of each window, for bursts
  std::vector<LengthShare> prompt, output;
  double prompt_mean = 0, output_mean = 0;
  double prefix_hit = -1;  // share of prompt tokens found cached; below 0 = not told
  double acceptance = -1;  // of draft tokens; below 0 = no speculation
  double preemptions = 0;
  double kv_blocks = 0, block_size = 0;  // vllm:cache_config_info; 0 = not told
};
Traffic traffic_of(const History& history);

}  // namespace arqon::calibrate
