// What every adapter offers: attach to a running engine, and look at one from outside (doctor).
// An adapter owns its engine's text: target options, protocols, names of metrics. Each stands in
// its own folder, is one row of the table in registry.cc, and passes testing/engine_suite.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/serving/engine.h"
#include "arqon/space/space.h"
#include "arqon/wire/json.h"

namespace arqon::adapters {

// How a document asks for a live engine.
struct AttachRequest {
  // The scenario's `target` object, e.g. {"engine": "vllm", "url": "http://127.0.0.1:8000"}. The
  // adapter checks every key (kInvalidConfig with line, column and the nearest known key).
  wire::Value target;
  // What the document wants to tune, in its order; names are "pool.knob". Empty: whatever the
  // engine offers. A knob the engine lacks, or bounds beyond its boot capacity, are kInvalidConfig
  // that names the alternatives or the capacity.
  std::vector<Parameter> knobs;
  std::vector<serving::Slo> classes;  // never empty
  // Its axis is that of every Observation and, where an engine shares a page with us, of the page's
  // times: the system's (os::SystemClock) for a real engine. Outlives the engine.
  Clock& clock;
  // For an agent beside the tuner: only writes, and reads what is in force and who serves. What one
  // process alone can have (a socket that receives a log, a ring of samples) is left alone;
  // counters stay 0.
  bool actuator_only = false;
};

// One knob as doctor shows it.
struct KnobReport {
  std::string name;        // ours: "batch_size"
  std::string engine_name; // the engine's: "max_num_active_reqs"
  std::string access;      // live | reload | restart | request | absent
  std::string value;       // in force now, empty when it cannot be read
  std::string why;         // what makes it so, and what would make it better
};

// What a look from outside found. Nothing is written to the engine.
struct Probe {
  bool reachable = false;
  serving::Identity identity;
  std::vector<KnobReport> knobs;
  std::vector<std::string> notes;  // what was found beside knobs: telemetry, health, traps
  std::vector<std::string> next;   // what to do next, in order, as commands where there are any
};

struct Adapter {
  std::string_view name;   // "vllm"
  std::string_view about;  // one line for help texts: versions, what is live
  Result<std::unique_ptr<serving::Engine>> (*attach)(const AttachRequest& request);
  Result<Probe> (*probe)(std::string_view url, Clock& clock);
};

// Every adapter, in the order of help texts.
const std::vector<Adapter>& registry();
// Null when there is none of that name.
const Adapter* find(std::string_view name);

}  // namespace arqon::adapters
