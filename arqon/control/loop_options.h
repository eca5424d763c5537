// What a live loop is given beside the engine and the clock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/control/run_record.h"
#include "arqon/control/spec.h"
#include "arqon/control/supervisor.h"
#include "arqon/guard/guardrails.h"
#include "arqon/serving/outcome.h"
#include "arqon/space/space.h"

namespace arqon::control {

// Direction in which one knob protects each limit: +1 raise it, -1 lower it, 0 unknown.
// Index: serving::Limit.
using Protective = std::array<std::int8_t, serving::kLimits>;

// A write that is about to be made, for whoever keeps a record of it.
struct WriteNotice {
  std::uint64_t decision = 0;
  const Config& from;
  std::string_view lane;  // "experiment" | "reflex" | "revert"
  const std::string& reason;
};

struct LoopOptions {
  std::vector<Protective> protective;  // one per knob of the engine; may be empty
  guard::Guardrails guardrails;        // one entry per knob of the engine
  WindowSpec window;
  Mode mode = Mode::kAuto;
  bool reflex = true;                       // the fast lane inside confirmed envelopes
  std::uint64_t seed = 0;                   // the solver's
  std::optional<std::uint64_t> budget;      // experiments allowed; absent = no end
  const std::atomic<bool>* stop = nullptr;  // set from anywhere: ends the run after this tick
  std::function<bool()> frozen;             // asked before every write; true stops all but reverts
  Supervisor* supervisor = nullptr;         // the person in charge; outlives the loop
  Duration lease = std::chrono::seconds(10);  // unproven values lapse this long after the last tick
  std::function<void(const WriteNotice&)> before_write;  // called from the loop's thread
  std::function<void(const WindowRecord&)> on_window;  // progress; called from the loop's thread
};

}  // namespace arqon::control
