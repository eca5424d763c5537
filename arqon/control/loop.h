// The live loop: watch, judge, propose, guard, apply, read back, confirm or revert.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/control/arms.h"
#include "arqon/control/evidence.h"
#include "arqon/control/loop_options.h"
#include "arqon/control/meter.h"
#include "arqon/control/proposer.h"
#include "arqon/control/reflex.h"
#include "arqon/control/run_record.h"
#include "arqon/control/time_blocks.h"
#include "arqon/guard/safety_executor.h"
#include "arqon/serving/engine.h"

namespace arqon::control {

// One thread. Deterministic: the same options and observations give the same record.
//
// Two lanes. The reflex lane moves one knob a step at a time inside the envelope that experiments
// have confirmed. The experiment lane tries one unproven setting at a time, on one replica while
// the others keep the confirmed one: glide there in steps the guard permits, let it settle, count
// good and bad requests of both arms with an always-valid test, then widen to the fleet and
// confirm, or revert. In a fleet of one the two settings take turns in short blocks. Experiments
// are paid for with requests that were bad beyond what the target allows: a healthy stack is left
// alone.
//
// What cannot be trusted is not judged: while telemetry is stale or the engine is down, stuck or
// another one than before, nothing is moved and nothing counted; afterwards the confirmed setting
// is put back where another is in force. A setting that somebody else put in force is theirs: it is
// taken as the one to keep.
class Loop {
 public:
  // kInvalidConfig when the guardrails do not fit the engine's knobs.
  static Result<Loop> create(serving::Engine& engine, Clock& clock, LoopOptions options);

  // Runs until `end` or a stop. An experiment still open is reverted. An error only when the
  // setting found at attach breaks the guardrails.
  Status run_until(TimePoint end);
  // Times in it count from begun(), the start of the first run_until.
  const RunRecord& record() const { return record_; }
  TimePoint begun() const { return begun_; }
  // The setting that evidence stands behind, and the envelope proven so far.
  Config confirmed() const;

 private:
  enum class Phase : std::uint8_t { kSteady, kAwaiting, kGlide, kSettle, kMeasure, kWiden };
  struct Experiment {
    std::uint64_t decision = 0;
    Move move;
    std::string why;  // what was broken, and why this move may mend it
    Config from;
    serving::Scope scope;  // one replica, or all in a fleet of one
    stats::Counts before;  // the confirmed setting's recent past
    TimePoint started{};
    TimePoint settled{};  // earliest end of settling
    // Queues of the arm under test and of the rest, smoothed, and where they stood when settling
    // last saw them move (arm) and when judging began (both).
    std::array<double, 2> waiting{}, waiting_from{};
    TimePoint waiting_moved{};
    Arms arms;                  // since the experiment began: for the tripwire
    Arms judged;                // since it settled: for the verdict
    std::optional<TimeBlocks> blocks;     // a fleet of one: whose turn it is
    double block_waiting = 0;             // queue when this block began to count
    std::array<double, 2> block_backlog{};  // queue grown in the blocks of the test, the confirmed
    serving::Observation last;  // of the arm under test
  };

  Loop(serving::Engine& engine, Clock& clock, LoopOptions options, Space space,
       guard::SafetyExecutor guard, guard::SafetyExecutor canary_guard, Proposer proposer);

  // A proposal that waits for a person (mode approve).
  struct Proposal {
    Move move;
    std::string why;
    stats::Counts before;
    TimePoint made{};
  };

  Status start();
  void tick();
  void phase_tick(const serving::Observation& now);
  void supervise();
  void report() const;
  // loop_trust.cc: may what was observed be believed, and is what is in force ours?
  bool trusted(const serving::Observation& now);
  void distrust(const std::string& why, bool abandon, const serving::Observation& now);
  void regain(const serving::Observation& now);
  bool foreign(const serving::Observation& now);
  void adopt(const serving::Observation& now);
  void begin_with_another(const serving::Observation& now);
  void take_over(const serving::Observation& now, const std::string& action,
                 const std::string& what);
  void void_measurements(const serving::Observation& now);
  void abandon(const std::string& reason);
  void restore(const serving::Observation& now);
  bool anchored();
  void account(const serving::Observation& now);
  void account_blocks(const stats::Counts& decided, const serving::Observation& now);
  void steady(const serving::Observation& now);
  void await_approval(const serving::Observation& now);
  void glide(const serving::Observation& now);
  void settle(const serving::Observation& now);
  void measure(const serving::Observation& now);
  void take_turns(const serving::Observation& now);
  void widen(const serving::Observation& now);

  std::optional<Breach> worth_an_experiment() const;
  void begin(const serving::Observation& now);
  void open_experiment(Proposal proposal, const serving::Observation& now);
  bool reflex(const serving::Observation& now);
  void judge_reflex(const stats::Counts& after, const serving::Observation& now);
  void judge_envelope();
  void publish_envelope();
  bool tripped() const;
  stats::Counts with_backlog(const stats::Counts& counts, std::size_t arm) const;
  // One step towards the experiment's target with the guard of that part of the fleet. True when
  // the target is in force there; an error when guard or engine refuse.
  Result<bool> step(guard::SafetyExecutor& guard, serving::Scope scope,
                    const serving::Observation& now);
  void confirm(const std::string& reason);
  // What a revert says about the setting tried.
  enum class Finding : std::uint8_t { kNothing, kNoBetter, kWorse };
  void revert(const std::string& reason, Finding finding);
  void learn(const Config& target, const Arms& arms);
  // One write to the engine, and how the record shows it: `moved` is the part of the fleet whose
  // values change, which is less than `scope` when a revert ends a canary.
  struct Write {
    serving::Scope scope;
    serving::Scope moved;
    Config from;
    guard::Lane lane = guard::Lane::kExperiment;
    std::string reason;
  };
  // Puts what the guard published into that part of the fleet; reads back what is in force.
  Status apply(const guard::SafetyExecutor& guard, const Write& write);
  void begin_settling(const serving::Observation& now);
  void notice_regime(const serving::Observation& now);
  void begin_regime(double moved, double age, const serving::Observation& now);
  guard::SafetyExecutor& arm_guard();
  bool canary() const;
  Duration settle_time(const Config& from, const Config& to) const;

  bool frozen() const;
  bool may_write() const;
  std::string state() const;
  std::string phase_name() const;
  Config in_force() const;
  double elapsed_s() const { return to_seconds(clock_.now() - begun_); }
  void record_window(WindowRecord window);
  void record_change(const Config& from, const Config& to, serving::Scope scope, guard::Lane lane,
                     ChangeState state, const std::string& reason);
  void record_decision(const std::string& action, const Config& from, const Config& to,
                       const std::string& reason, const stats::Counts& before = {},
                       const stats::Counts& after = {});
  void say_hold(const std::string& reason);

  serving::Engine& engine_;
  Clock& clock_;
  LoopOptions options_;
  Space space_;
  guard::SafetyExecutor guard_;         // of the fleet
  guard::SafetyExecutor canary_guard_;  // of the one replica an experiment is tried on
  Proposer proposer_;
  std::vector<serving::Slo> classes_;
  Reflex reflex_;
  Evidence evidence_;  // of the confirmed setting
  Evidence traffic_;   // of everything, for causes only
  std::optional<Meter> meter_;
  TimePoint begun_{};
  serving::Observation last_;
  Phase phase_ = Phase::kSteady;
  std::optional<Experiment> experiment_;
  std::optional<Proposal> proposal_;
  std::string trouble_;         // why observations are not believed; empty when they are
  TimePoint trouble_since_{};
  bool restoring_ = false;      // the confirmed setting may not be in force: put it back
  TimePoint restore_at_{};      // next attempt
  bool canary_left_ = false;    // an experiment was abandoned, and one replica may still show it
  bool anchored_ = false;       // the engine keeps the confirmed set for the day we die
  Config alien_;                // somebody's setting that the guardrails forbid, while in force
  bool another_ = false;  // another engine, model or hardware has been accepted, not yet looked at
  int foreign_ticks_ = 0;       // ticks in a row that another setting than ours was in force
  Config before_confirmed_;     // what was confirmed before; empty when nothing was
  TimePoint quiet_until_{};  // settling after a move of the fleet: not counted
  std::optional<stats::Counts> before_reflex_;
  double credit_ = 0;        // bad requests beyond the target, not yet spent
  double price_ = 0;         // of the next experiment
  std::vector<double> mix_;  // shares of the classes when the regime began; empty = open
  TimePoint regime_since_{};
  double mix_seconds_ = 0;                // the mix is taken over this long
  std::uint64_t regime_experiments_ = 0;  // experiments there had been when the regime began
  std::uint64_t decisions_ = 0;
  std::uint64_t experiments_ = 0;
  std::string hold_;  // last reason for holding, said once
  RunRecord record_;
};

}  // namespace arqon::control
