// One finished request as somebody measured it (an engine, a proxy's log, a load client), and how
// it enters the counters. The rules of docs/reference/scenario.md, "Outcomes", for real engines.
#pragma once

#include <cstdint>

#include "arqon/serving/engine.h"

namespace arqon::serving {

// Times in ms from the intended arrival. What was not measured is absent (< 0) and not judged.
struct RequestOutcome {
  enum class End : std::uint8_t { kFinished, kCut, kRejected, kFailed };
  End end = End::kFinished;  // kFailed: error, abort by the server, or success without a token
  std::uint32_t prompt_tokens = 0;
  std::uint32_t output_tokens = 0;
  double ttft_ms = -1;
  double tpot_ms = -1;     // mean time per token after the first; absent for one token
  double max_gap_ms = -1;  // largest pause between tokens
  double e2e_ms = -1;
};

// The first limit that the request broke: kNone when it is good. kRejected also for kFailed.
Limit judge(const RequestOutcome& request, const Slo& slo);

// Counts the arrival, the verdict, tokens and histograms of one ended request; returns the verdict.
Limit count(const RequestOutcome& request, const Slo& slo, ClassCounters& counters);

}  // namespace arqon::serving
