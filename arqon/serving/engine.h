// The contract between the loop and whatever serves requests: the twin, vLLM, Triton, a router.
// control sees only this; it cannot tell the twin from a real engine.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/serving/outcome.h"
#include "arqon/space/space.h"
#include "arqon/stats/histogram.h"

namespace arqon::serving {

// What attach found: the knobs in the order of every Config that passes, and their price.
struct Capabilities {
  std::string engine;            // e.g. "simulated vllm-v1"
  std::vector<Parameter> knobs;  // domain and class of change as the engine allows them
  std::vector<Duration> settle;  // per knob: how long after a change measurements are mixed
  Config boot;                   // values found at attach
  int replicas = 1;              // that can carry a setting of their own
  std::vector<Slo> classes;      // request classes the engine reports on
};

// What one class of requests has done since the engine's epoch began. Cumulative; never falls
// within an epoch. A request is counted in `bad` when its fate is known: at the moment it breaks
// a limit, not when it finishes, so that overload cannot hide in the queue.
struct ClassCounters {
  std::uint64_t arrived = 0;
  std::uint64_t good = 0;                       // finished inside every limit
  std::uint64_t bad = 0;                        // broke a limit, cut, or rejected
  std::array<std::uint64_t, kLimits> bad_by{};  // by the limit that was broken first
  std::uint64_t prompt_tokens = 0;              // of arrived requests
  std::uint64_t output_tokens = 0;              // of finished requests
  std::uint64_t good_tokens = 0;                // output tokens of good requests
  stats::Histogram ttft_ms;
  stats::Histogram gap_ms;  // largest gap of each finished request
  stats::Histogram tpot_ms;
};

struct Observation {
  TimePoint at;
  std::uint64_t epoch = 0;             // rises when the engine restarts and counters begin again
  std::vector<ClassCounters> classes;  // same order as Capabilities::classes
  double paid_dollars = 0;             // cumulative
  Config effective;                    // the knob values in force, read back
  // Gauges.
  double running = 0;  // requests in the batch, all replicas
  double waiting = 0;  // requests queued
  double kv_use = 0;   // fraction of KV blocks in use, mean over replicas
};

// Which part of the fleet a call speaks of: all of it, or one replica (a canary).
struct Scope {
  static constexpr int kAll = -1;
  int replica = kAll;  // in [0, Capabilities::replicas)
};

enum class Health : std::uint8_t { kOk, kDegraded, kDown };

// One caller thread. Nothing throws.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual const Capabilities& capabilities() const = 0;
  // Puts a whole setting in force (live knobs at the next step; restart knobs after a drain and a
  // load) and returns the values accepted, which may differ from those asked for (clamped). With
  // one replica in scope the others keep theirs, and the router gives that one its fair share of
  // the requests, so that a setting which refuses quickly does not attract them and one that is
  // slow cannot shed them; a later call for all ends that.
  virtual Result<Config> apply(const Config& setting, Scope scope) = 0;
  // Of one replica: counters of the requests sent to it (histograms may be empty), its gauges, and
  // the knob values in force there.
  virtual Observation observe(Scope scope) = 0;
  virtual Health health() = 0;

  Result<Config> apply(const Config& setting) { return apply(setting, Scope{}); }
  Observation observe() { return observe(Scope{}); }
};

}  // namespace arqon::serving
