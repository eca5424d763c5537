// The live loop: watch, judge, propose, guard, apply, read back, confirm or revert.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/control/evidence.h"
#include "arqon/control/loop_options.h"
#include "arqon/control/meter.h"
#include "arqon/control/proposer.h"
#include "arqon/control/reflex.h"
#include "arqon/control/run_record.h"
#include "arqon/guard/safety_executor.h"
#include "arqon/serving/engine.h"

namespace arqon::control {

// One thread. Deterministic: the same options and observations give the same record.
//
// Two lanes. The reflex lane moves one knob a step at a time inside the envelope that experiments
// have confirmed. The experiment lane tries one unproven setting at a time: glide there in steps the
// guard permits, let it settle, count good and bad requests against the confirmed setting with an
// always-valid test, then confirm or revert. Experiments are paid for with requests that were bad
// beyond what the target allows: a healthy stack is left alone.
class Loop {
 public:
  // kInvalidConfig when the guardrails do not fit the engine's knobs.
  static Result<Loop> create(serving::Engine& engine, Clock& clock, LoopOptions options);

  // Runs until `end`, a stop, or an engine that is down. An experiment still open is reverted.
  Status run_until(TimePoint end);
  const RunRecord& record() const { return record_; }
  // The setting that evidence stands behind, and the envelope proven so far.
  Config confirmed() const;

 private:
  enum class Phase : std::uint8_t { kSteady, kGlide, kSettle, kMeasure };
  struct Experiment {
    std::uint64_t decision = 0;
    Move move;
    Config from;
    std::optional<Breach> breach;
    stats::Counts incumbent;     // what it has to beat
    TimePoint started{};
    TimePoint settled{};         // earliest end of settling
    double waiting_low = 0;      // least queue seen while settling
    TimePoint waiting_low_at{};
  };

  Loop(serving::Engine& engine, Clock& clock, LoopOptions options, Space space,
       guard::SafetyExecutor guard, Proposer proposer);

  Status start();
  Status tick();
  void account(const serving::Observation& now);
  Status steady(const serving::Observation& now);
  Status glide(const serving::Observation& now);
  void settle(const serving::Observation& now);
  Status measure(const serving::Observation& now);

  bool worth_an_experiment() const;
  Status begin(const serving::Observation& now);
  Status reflex(const serving::Observation& now);
  bool tripped() const;
  Status confirm(const stats::Counts& challenger, const std::string& reason);
  Status revert(const stats::Counts& challenger, const std::string& reason, bool refuted);
  // Puts what the guard published into the engine; reads back what is in force.
  Status apply(const Config& from, guard::Lane lane, const std::string& reason);
  void begin_settling(const serving::Observation& now);
  void notice_regime(const serving::Observation& now);

  bool may_write() const;
  std::string state() const;
  Config in_force() const;
  void record_change(const Config& from, const Config& to, guard::Lane lane, ChangeState state,
                     const std::string& reason);
  void record_decision(const std::string& action, const Config& from, const Config& to,
                       const std::string& reason, const stats::Counts& before = {},
                       const stats::Counts& after = {});
  void say_hold(const std::string& reason);

  serving::Engine& engine_;
  Clock& clock_;
  LoopOptions options_;
  Space space_;
  guard::SafetyExecutor guard_;
  Proposer proposer_;
  std::vector<serving::Slo> classes_;
  Reflex reflex_;
  Evidence evidence_;                 // of the confirmed setting
  Evidence challenger_;               // of the experiment
  std::optional<Meter> meter_;
  serving::Observation last_;
  Phase phase_ = Phase::kSteady;
  std::optional<Experiment> experiment_;
  TimePoint quiet_until_{};           // settling after a revert or a reflex move: not counted
  std::optional<stats::Counts> before_reflex_;
  double credit_ = 0;                 // bad requests beyond the target, not yet spent
  double price_ = 0;                  // of the next experiment
  std::vector<Tally> regime_;         // traffic since the regime began
  TimePoint regime_since_{};
  std::uint64_t decisions_ = 0;
  std::uint64_t experiments_ = 0;
  std::string hold_;                  // last reason for holding, said once
  RunRecord record_;
};

}  // namespace arqon::control
