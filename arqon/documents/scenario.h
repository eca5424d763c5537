// The scenario document (schema 1): a fleet, its traffic, its SLOs and what may be tuned.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/control/spec.h"
#include "arqon/guard/guardrails.h"
#include "arqon/serving/outcome.h"
#include "arqon/sim/fleet.h"
#include "arqon/space/space.h"
#include "arqon/wire/diagnostic.h"
#include "arqon/wire/json.h"
#include "arqon/workload/spec.h"

namespace arqon::documents {

// Which way a knob protects each limit: +1 raise it, -1 lower it. Keys: ttft, tpot, gap, e2e.
using Protective = std::map<std::string, int>;

// Who keeps the way back beside an engine that has no place for it.
struct AgentSpec {
  std::string socket;  // of an agent that runs already; empty = none named
  bool spawn = true;   // start one where the engine needs it
};

struct Scenario {
  std::string name;
  std::uint64_t seed = 0;
  double duration_s = 3600;
  std::string measure = "bad_share";  // bad_share | cost | good_tokens | latency
  bool gain_expected = true;          // false: a no-harm scenario
  std::string target_engine = "simulated";
  // The whole "target" of a live engine: its adapter reads it, and checks every key.
  wire::Value target;
  AgentSpec agent;  // live engines only
  control::Mode mode = control::Mode::kAuto;
  sim::FleetSpec fleet;
  std::vector<workload::Spec> workloads;  // "workload" is one object or a list of them
  std::vector<serving::Slo> classes;      // document order
  std::vector<sim::QualityRule> quality;  // one per class
  Space knobs{{}};                        // document order; addresses "pool.knob" or "pool/N.knob"
  std::vector<Protective> protective;     // one per knob
  guard::Guardrails guardrails;
  control::WindowSpec window;
  std::optional<std::uint64_t> budget;  // proposals allowed; absent = unlimited
  std::filesystem::path folder;         // where relative trace paths start
  // "knobs" and "guardrails" of a live engine as written, null where absent. `knobs`, `protective`
  // and `guardrails` above are empty while something is left out that only the engine knows: fit().
  wire::Value live_knobs, live_guardrails;

  bool live() const { return target_engine != "simulated"; }
  // Every knob says its whole domain.
  bool knobs_complete() const { return !live() || knobs.size() > 0; }
};

// All errors at once, in document order; never partly applied. Relative trace paths start in the
// folder of `file`. Format: docs/formats/scenario.md. Bounded: 8 MiB, depth 64.
tl::expected<Scenario, wire::Diagnostics> parse_scenario(std::string_view text,
                                                         const std::filesystem::path& file);
// A live scenario with what it leaves out filled in from the domains the engine offers: knobs,
// protective and guardrails in document order, or all of the engine's when the document names none.
// Diagnostics for a knob the engine lacks, another type or class (but "forbidden"), a domain that
// reaches beyond the engine's, and guardrails that do not fit.
tl::expected<Scenario, wire::Diagnostics> fit(const Scenario& scenario,
                                              const std::vector<Parameter>& engine);
// The effective document with every default of ours filled in, canonical key order; engine options
// that are left out are the engine's own for that GPU. parse_scenario reads it back.
std::string to_json(const Scenario& scenario);
// Key of stored baselines: a hash of the canonical document without name and seed, 16 hex digits.
// What a trace file holds is not part of it.
std::string scenario_hash(const Scenario& scenario);

}  // namespace arqon::documents
