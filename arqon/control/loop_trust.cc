// May what was observed be believed, and is what is in force ours?
#include <fmt/format.h>

#include <utility>

#include "arqon/control/internal/constants.h"
#include "arqon/control/loop.h"

namespace arqon::control {

using namespace internal;  // NOLINT(google-build-using-namespace): our own constants

// True when this tick may be counted and acted on.
bool Loop::trusted(const serving::Observation& now) {
  switch (engine_.health()) {
    case serving::Health::kDown:
      distrust("engine down", true, now);
      return false;
    case serving::Health::kUnqualified: {
      const serving::Identity before = engine_.capabilities().identity;
      if (engine_.requalify()) {
        another_ = another_ || engine_.capabilities().identity != before;
        break;
      }
      distrust("engine unqualified", true, now);
      return false;
    }
    case serving::Health::kDegraded:
      distrust("engine degraded", false, now);
      return false;
    case serving::Health::kOk:
      break;
  }
  if (!now.fresh) {
    distrust("stale telemetry", false, now);
    return false;
  }
  if (!alien_.empty() && now.effective == alien_) {
    distrust("a setting outside the guardrails is in force", false, now);
    return false;
  }
  alien_.clear();
  if (another_) {
    another_ = false;
    begin_with_another(now);
    return false;
  }
  const bool restarted = now.epoch != last_.epoch;
  if (restarted && experiment_) abandon("the engine restarted");
  if (restarted || !trouble_.empty()) {
    regain(now);
    return false;
  }
  if (restoring_) {
    restore(now);
    last_ = now;
    return false;
  }
  if (foreign(now)) {
    adopt(now);
    return false;
  }
  return true;
}

// `abandon_now`: the engine that was written to is gone; a revert has nobody to go to.
void Loop::distrust(const std::string& why, bool abandon_now, const serving::Observation& now) {
  if (trouble_ != why) {
    trouble_ = why;
    trouble_since_ = now.at;
    record_decision("hold", in_force(), in_force(), why + ": nothing is counted and nothing moved");
  }
  if (experiment_ && abandon_now) abandon(why);
  if (experiment_ && now.at >= trouble_since_ + kStaleMax) {
    revert(why + " for too long to go on", Finding::kNothing);
  }
}

// Observations are to be believed again: begin afresh from here.
void Loop::regain(const serving::Observation& now) {
  const std::string was = trouble_.empty() ? "the engine restarted" : "after " + trouble_;
  trouble_.clear();
  void_measurements(now);
  restoring_ = restoring_ || (anchored_ && !experiment_ && now.effective != confirmed());
  record_decision("resume", in_force(), in_force(),
                  was + ": measurements begin anew" +
                      (restoring_ ? ", the confirmed setting goes back" : ""));
}

void Loop::void_measurements(const serving::Observation& now) {
  evidence_.clear();
  traffic_.clear();
  before_reflex_.reset();
  (void)meter_->take(now, state());  // a new epoch voids the window; an old one goes on
  if (experiment_) experiment_->last = canary() ? engine_.observe(experiment_->scope) : now;
  last_ = now;
  foreign_ticks_ = 0;
}

// The experiment is over and what is in force is not known: the confirmed setting goes back when
// there is an engine again.
void Loop::abandon(const std::string& reason) {
  const Experiment& e = *experiment_;
  record_decision("revert", e.move.target, e.from, reason, e.judged.rest(), e.judged.canary());
  if (canary()) (void)canary_guard_.revert(clock_.now());
  (void)guard_.revert(clock_.now());
  canary_left_ = canary_left_ || canary();
  experiment_.reset();
  phase_ = Phase::kSteady;
  restoring_ = true;
  restore_at_ = {};
}

void Loop::restore(const serving::Observation& now) {
  // What the fleet shows says nothing of a replica that was tried something on.
  if (!canary_left_ && now.effective == confirmed() && now.acknowledged) {
    restoring_ = false;
    quiet_until_ = now.at + kQuiet;
    return;
  }
  if (now.at < restore_at_ || !anchored()) return;
  restore_at_ = now.at + kRestoreEvery;
  const Write write{.from = now.effective, .lane = guard::Lane::kRevert,
                    .reason = "the confirmed setting goes back"};
  restoring_ = !apply(guard_, write);
  canary_left_ = canary_left_ && restoring_;
  if (!restoring_) quiet_until_ = now.at + kQuiet;
}

// Another setting than ours has been in force for a while though we wrote nothing.
bool Loop::foreign(const serving::Observation& now) {
  const bool differs = now.acknowledged && !canary() && now.effective != in_force();
  foreign_ticks_ = differs ? foreign_ticks_ + 1 : 0;
  return foreign_ticks_ >= kForeignTicks;
}

// Our lease lapsed (the confirmed setting is in force), or somebody else set it: it is theirs.
void Loop::adopt(const serving::Observation& now) {
  foreign_ticks_ = 0;
  if (now.effective == confirmed()) {
    if (experiment_) {
      abandon("the confirmed setting came back by itself");
    } else {
      (void)guard_.revert(now.at);
    }
    restoring_ = false;
    return void_measurements(now);
  }
  if (experiment_) abandon("somebody else changed the setting");
  take_over(now, "foreign", "somebody else put this setting in force");
}

// Another version, model or hardware serves now: what was proven before is not proven here, and
// what was confirmed there is not the way back here.
void Loop::begin_with_another(const serving::Observation& now) {
  if (experiment_) abandon("another engine serves now");
  trouble_.clear();
  (void)proposer_.new_regime();
  take_over(now, "resume", fmt::format("this is {} with {} now, and this is in force there",
                                       engine_.capabilities().identity.engine,
                                       engine_.capabilities().identity.model));
}

// What is in force is the setting to keep, unless the guardrails forbid it.
void Loop::take_over(const serving::Observation& now, const std::string& action,
                     const std::string& what) {
  const Config from = in_force();
  const guard::Violation violation = guard_.set_baseline(now.effective, now.at);
  const bool kept = violation.kind == guard::ViolationKind::kNone;
  ++decisions_;
  record_decision(action, from, now.effective,
                  what + (kept ? ": it is the one to keep"
                               : fmt::format(", which breaks the guardrails ({}): nothing is "
                                             "moved until it is changed",
                                             guard::to_string(violation.kind))));
  if (!kept) alien_ = now.effective;
  restoring_ = kept && canary_left_;
  anchored_ = false;
  reflex_.reset(confirmed());
  publish_envelope();
  void_measurements(now);
}

// Before the first write: what is in force now is what returns on the day we die.
bool Loop::anchored() {
  if (anchored_) return true;
  const Status kept = engine_.confirm();
  anchored_ = kept.has_value();
  if (anchored_) {
    (void)engine_.renew(options_.lease);
  } else {
    say_hold("the way back could not be kept: " + kept.error().message);
  }
  return anchored_;
}

}  // namespace arqon::control
