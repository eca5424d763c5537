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

// Who serves: what was proven on one of these is not proven on another.
struct Identity {
  std::string engine;    // "vllm 0.32.0", "triton 2.51.0", "haproxy 2.6.12"
  std::string model;     // served model, empty where there is none
  std::string hardware;  // device or CPU the engine names, empty when it does not say
  bool operator==(const Identity&) const = default;
};

// What attach found out about one knob beside its domain.
struct KnobFacts {
  double boot_capacity = kNoLimit;  // what the engine was started with: a live value is never more
  bool readback = true;             // the value in force can be read from the engine itself
  Duration apply_cost{};            // how long apply blocks when this knob moves (reload, restart)
  std::string note;                 // how it reaches the engine, and any rule between knobs
};

// What attach found: the knobs in the order of every Config that passes, and their price.
struct Capabilities {
  std::string engine;            // e.g. "simulated vllm-v1"
  Identity identity;
  std::vector<Parameter> knobs;  // domain and class of change as the engine allows them
  std::vector<KnobFacts> facts;  // per knob; may be empty (the twin)
  std::vector<Duration> settle;  // per knob: how long after a change measurements are mixed
  Config boot;                   // values found at attach
  int replicas = 1;              // that can carry a setting of their own
  std::vector<Slo> classes;      // request classes the engine reports on
  // The engine itself keeps the confirmed set and a lease (confirm, renew): it needs no agent.
  bool keeps_confirmed = false;
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
  // False when the last write waits for the engine to look at it (an idle engine steps at its next
  // request): normal, not a fault. `effective` then holds what will be in force.
  bool acknowledged = true;
  // False when telemetry did not answer or made no sense: counters and gauges are the last good
  // ones, nothing may be concluded and nothing may be moved.
  bool fresh = true;
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

// kDegraded: answers, but stuck or with faults. kDown: does not answer. kUnqualified: another
// version, model or capacity than was attached to; nothing may be written until requalify().
enum class Health : std::uint8_t { kOk, kDegraded, kDown, kUnqualified };
std::string_view to_string(Health health);

// One caller thread. Nothing throws. Every call ends within its own deadline, whatever the engine
// does. `testing/engine_suite.h` holds every implementation to this contract.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual const Capabilities& capabilities() const = 0;
  // Puts a whole setting in force (live knobs at the next step; restart knobs after a drain and a
  // load) and returns the values in force as read back, which may differ from those asked for
  // (clamped). Only what differs from the values in force is written. kInvalidConfig for a value
  // outside the domain and kRefused when the engine or its health says no: nothing was changed.
  // kConflict when the engine said yes and did nothing. kUnavailable when it did not answer: what
  // is in force is unknown until it is observed. With
  // one replica in scope the others keep theirs, and the router gives that one its fair share of
  // the requests, so that a setting which refuses quickly does not attract them and one that is
  // slow cannot shed them; a later call for all ends that.
  virtual Result<Config> apply(const Config& setting, Scope scope) = 0;
  // Of one replica: counters of the requests sent to it (histograms may be empty), its gauges, and
  // the knob values in force there.
  virtual Observation observe(Scope scope) = 0;
  virtual Health health() = 0;

  // The way back that works without us. What is in force is now the confirmed set: what returns,
  // also after a restart of the engine, when the tuner dies. Engines with no place to keep it (the
  // twin) take it as said.
  virtual Status confirm() { return {}; }
  // The tuner is alive and answers for unproven values until `lease` from now; when that passes
  // without another call, the confirmed set returns by itself.
  virtual Status renew(Duration /*lease*/) { return {}; }
  // After kUnqualified: looks again. Ok when the domain of every knob still holds; the identity and
  // facts are then the new ones, and what was confirmed for another identity is not confirmed.
  virtual Status requalify() { return {}; }

  Result<Config> apply(const Config& setting) { return apply(setting, Scope{}); }
  Observation observe() { return observe(Scope{}); }
};

}  // namespace arqon::serving
