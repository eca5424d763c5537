// The audit of one live run: what stands between the loop and everything it is told or writes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "apps/arqonhpo/console.h"
#include "arqon/audit/audited_engine.h"
#include "arqon/audit/last_run.h"
#include "arqon/audit/log.h"
#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/control/loop_options.h"
#include "arqon/control/supervisor.h"
#include "arqon/documents/scenario.h"
#include "arqon/os/disk.h"
#include "arqon/serving/engine.h"

namespace arqon::app {

struct TrailOptions {
  std::filesystem::path state;
  std::filesystem::path witness;  // empty = none
  bool quiet = false;             // checkpoints are not said aloud
};

// Thread rule of the loop it serves.
class AuditTrail {
 public:
  // Verifies the chain before it goes on. `engine`, `clock` and `console` outlive it. Errors as
  // audit::Log::open.
  static Result<std::unique_ptr<AuditTrail>> open(const TrailOptions& options,
                                                  serving::Engine& engine, Clock& clock,
                                                  const Console& console);

  // What the loop is given in place of its engine, clock and supervisor.
  audit::AuditedEngine& engine() { return *engine_; }
  Clock& clock() { return *clock_; }
  // Asks `inner`, which outlives the trail; frozen while the audit cannot be written.
  control::Supervisor& supervise(control::Supervisor& inner);
  void explain(const control::WriteNotice& notice);

  Status begin(const documents::Scenario& scenario, TimePoint end);
  // What the loop has decided since.
  void keep(const std::vector<wire::Value>& decisions);
  Status end();
  bool healthy() const { return log_->healthy(); }

 private:
  class Supervisor;
  void resolve_intents();
  AuditTrail(std::unique_ptr<audit::Log> log, serving::Engine& engine, Clock& clock);

  std::unique_ptr<audit::Log> log_;
  std::vector<audit::Decoded> open_intents_;  // of the run before
  std::unique_ptr<audit::TapedClock> clock_;
  std::unique_ptr<audit::AuditedEngine> engine_;
  std::unique_ptr<control::Supervisor> supervisor_;
};

}  // namespace arqon::app
