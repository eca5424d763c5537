// Turns cumulative observations into windows. Shared by the loop and by every baseline, so that all
// are measured alike.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "arqon/control/run_record.h"
#include "arqon/control/spec.h"
#include "arqon/serving/engine.h"
#include "arqon/stats/sequential.h"

namespace arqon::control {

// Requests of all classes whose fate became known between two observations of the same epoch.
stats::Counts decided(const serving::Observation& from, const serving::Observation& to);

// What happened between two observations of the same epoch.
WindowRecord difference(const serving::Observation& from, const serving::Observation& to);

// Cuts time into windows of at least `requests_min` decided requests and `seconds_min`, at most
// `seconds_max`. A restart of the engine (new epoch) voids the window it falls into.
class Meter {
 public:
  Meter(WindowSpec spec, const serving::Observation& start);
  // Takes the next observation; returns the window that it closes, if any.
  std::optional<WindowRecord> take(const serving::Observation& now, const std::string& state);
  // The open window as far as it goes; nothing when it is empty.
  std::optional<WindowRecord> finish(const serving::Observation& now, const std::string& state);

 private:
  WindowSpec spec_;
  serving::Observation start_;
  std::string state_;
};

}  // namespace arqon::control
