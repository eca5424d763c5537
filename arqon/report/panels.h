// The plots of the report: panels over one time axis.
#pragma once

#include <string>

#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::report {

// All panels with their captions and legends as HTML: traffic and mix, share of good requests per
// class, p99 TTFT, p99 largest gap, cost, and the path of each knob. `run` is the run shown;
// the default and yesterday of the same seed are drawn faintly beside it.
std::string panels_html(const documents::TuneResult& result, const documents::Scenario& scenario,
                        const documents::StrategyRun& run);

// A moment at which a workload's segment begins (after the start of the run), and what changes in
// words, e.g. "chat 50%, code 50%, rate x0.85".
struct Shift {
  double t_s = 0;
  std::string text;
};
std::vector<Shift> shifts(const documents::Scenario& scenario);

}  // namespace arqon::report
