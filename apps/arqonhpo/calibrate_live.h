// Calibration's eyes on a running vLLM: its /metrics, and a few questions when it is idle.
#pragma once

#include <string>

#include "apps/arqonhpo/command_line.h"
#include "apps/arqonhpo/console.h"
#include "arqon/base/result.h"
#include "arqon/calibrate/history.h"

namespace arqon::app {

struct Watched {
  calibrate::History history;    // scrapes while it was only watched
  calibrate::Observations idle;  // of the probes
  std::string engine;            // "vllm 0.32.0", or "vllm"
};

// Never more than one question at a time, at most 12, none when somebody else uses the engine; then
// it says so and only watches. Ends early when interrupted, with what there is. kUnavailable when
// nobody answers.
Result<Watched> watch_vllm(const std::string& url, const CalibrateArgs& args, Console& console);

}  // namespace arqon::app
