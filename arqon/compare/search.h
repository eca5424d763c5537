// Finds the settings a rival would need hindsight, or yesterday, to know.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/compare/evaluate.h"
#include "arqon/documents/scenario.h"

namespace arqon::compare {

// The settings behind three rows of the comparison.
struct Baselines {
  Config yesterday;            // best on the traffic before the first shift
  Config hindsight;            // best static on this very traffic
  std::vector<Config> oracle;  // best static per segment
};

// One setting of the screen and how it fared: bad share per segment, for the sweep that shows
// whether there is anything to gain.
struct SweepRow {
  Config setting;
  std::vector<double> bad_share;  // per segment, on the thinned copy
  double whole = 0;               // bad share over all segments
};

struct SearchOptions {
  std::uint64_t settings = 300;  // screened on a thinned copy of the traffic
  std::size_t finalists = 20;    // run in full
  unsigned threads = 1;
  std::function<void(double fraction, const std::string& what)> progress;
  const std::atomic<bool>* stop = nullptr;
};

struct SearchResult {
  Baselines baselines;
  std::vector<SweepRow> sweep;
};

// Ranks by attainment to 0.1 point, then by p90 of TTFT. kInterrupted when stopped.
Result<SearchResult> search_baselines(const documents::Scenario& scenario, std::uint64_t seed,
                                      const SearchOptions& options);

}  // namespace arqon::compare
