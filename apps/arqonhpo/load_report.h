// What a measured run has to say, for people, for scripts and as rows.
#pragma once

#include <string>
#include <vector>

#include "apps/arqonhpo/console.h"
#include "arqon/documents/scenario.h"
#include "arqon/load/load.h"
#include "arqon/load/read_results.h"
#include "arqon/wire/json.h"

namespace arqon::app {

// What is told beside the outcome itself.
struct LoadContext {
  std::string url;          // without credentials
  std::string model;
  std::string endpoint;     // "completions" | "chat"
  double rate = 1;          // factor on the scenario's own
  double warmup_s = 0;
  int concurrency = 0;      // closed loop
  std::uint64_t shortened = 0;    // requests made to fit the model's context
  std::uint32_t context_max = 0;  // 0 unknown
};

// The members of `simulate --json` that a client can measure, then "load".
std::string load_json(const load::Outcome& outcome, const documents::Scenario& scenario,
                      const LoadContext& context);
// `totals` under the names of `simulate --json`, without what only the twin knows.
wire::Object measured_totals(const serving::Totals& totals, const documents::Scenario& scenario,
                             double wall_s);
std::string load_requests_csv(const load::Outcome& outcome,
                              const std::vector<serving::Slo>& classes);
// A run of another client: the same members, then "tool", "label", "model" and "remarks".
wire::Object foreign_object(const load::ForeignRun& run, const documents::Scenario& scenario);
std::string foreign_text(const load::ForeignRun& run, const documents::Scenario& scenario,
                         const Console& console);
// Failures, saturation, lateness and price of the client, one sentence a line.
std::string load_remarks(const load::Outcome& outcome, const LoadContext& context);

}  // namespace arqon::app
