// One experiment from its proposal to its verdict.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/control/glide.h"
#include "arqon/control/internal/constants.h"
#include "arqon/control/loop.h"
#include "arqon/guard/pace.h"

namespace arqon::control {

using namespace internal;  // NOLINT(google-build-using-namespace): our own constants

std::optional<Breach> Loop::worth_an_experiment() const {
  if (credit_ < price_ || evidence_.total(kIncumbentSeconds).n < options_.window.requests_min) {
    return std::nullopt;
  }
  return evidence_.breach(kAim, kAlpha);
}

void Loop::begin(const serving::Observation& now) {
  if (options_.budget && experiments_ >= *options_.budget) {
    return say_hold("the budget of experiments is used");
  }
  const std::optional<Breach> breach = worth_an_experiment();
  Proposal proposal;
  proposal.before = evidence_.total(kIncumbentSeconds);
  proposal.made = now.at;
  const Config from = in_force();
  auto move = proposer_.next(from, breach);
  credit_ = 0;
  if (!move) {
    price_ = std::min(kPriceMax, 2 * price_);
    return say_hold(
        "requests miss their limits, and no setting within the guardrails is left untried");
  }
  proposal.move = std::move(*move);
  ++decisions_;
  proposal.why = fmt::format(
      "{}: {:.2f} % of {} requests broke a limit, most often {}; {}",
      classes_[breach->class_index].name,
      100.0 * static_cast<double>(breach->tally.bad) / static_cast<double>(breach->tally.n),
      breach->tally.n, serving::to_string(breach->limit), proposal.move.why);
  const Config& target = proposal.move.target;
  if (!may_write()) {
    record_decision("recommend", from, target, proposal.why, proposal.before);
    return proposer_.failed(proposal.move, false);  // said once; not repeated every window
  }
  if (options_.mode == Mode::kApprove) {
    record_decision("propose", from, target, proposal.why, proposal.before);
    proposal_ = std::move(proposal);
    phase_ = Phase::kAwaiting;
    return;
  }
  open_experiment(std::move(proposal), now);
}

void Loop::await_approval(const serving::Observation& now) {
  const Answer answer = options_.supervisor != nullptr ? options_.supervisor->answer(decisions_)
                                                       : Answer::kNone;
  const bool expired = now.at >= proposal_->made + kApprovalMax;
  if (answer == Answer::kNone && !expired) return;
  Proposal proposal = std::move(*proposal_);
  proposal_.reset();
  phase_ = Phase::kSteady;
  if (answer == Answer::kApproved) return open_experiment(std::move(proposal), now);
  record_decision(expired ? "withdrawn" : "rejected", in_force(), proposal.move.target,
                  expired ? "nobody answered in time" : "a person said no", proposal.before);
  if (!expired) proposer_.failed(proposal.move, false);
}

void Loop::open_experiment(Proposal proposal, const serving::Observation& now) {
  if (!anchored()) return;
  record_decision("experiment", in_force(), proposal.move.target, proposal.why, proposal.before);
  ++experiments_;
  Experiment& e = experiment_.emplace(Experiment{});
  e.decision = decisions_;
  e.from = in_force();
  e.move = std::move(proposal.move);
  e.why = std::move(proposal.why);
  e.before = proposal.before;
  e.started = now.at;
  const int replicas = engine_.capabilities().replicas;
  if (replicas > 1) {
    // Each in turn, so that no replica carries all the risk and none is the judge of everything.
    e.scope.replica = static_cast<int>(experiments_ % static_cast<std::uint64_t>(replicas));
    const guard::Violation violation = canary_guard_.set_baseline(e.from, now.at);
    ARQON_ASSERT(violation.kind == guard::ViolationKind::kNone);
  }
  e.last = canary() ? engine_.observe(e.scope) : now;
  e.waiting = {e.last.waiting, now.waiting - e.last.waiting};
  phase_ = Phase::kGlide;
  glide(now);
}

bool Loop::canary() const { return experiment_ && experiment_->scope.replica >= 0; }

guard::SafetyExecutor& Loop::arm_guard() { return canary() ? canary_guard_ : guard_; }

Result<bool> Loop::step(guard::SafetyExecutor& guard, serving::Scope scope,
                        const serving::Observation& now) {
  // Both buckets must have a token, so that canary and fleet together keep to the rate.
  const auto lane = guard::Lane::kExperiment;
  if (std::max(guard_.next_allowed(lane, now.at), canary_guard_.next_allowed(lane, now.at)) >
      now.at) {
    return false;
  }
  const Config from(guard.in_force().begin(), guard.in_force().end());
  const Config next =
      glide_step(space_, options_.guardrails.limits, from, experiment_->move.target);
  const guard::Verdict verdict = guard.propose(next, lane, now.at, guard.unproven());
  if (guard::passes_with_time(verdict.violation.kind)) return false;  // not yet
  if (!verdict.permitted) {
    const std::string reason = fmt::format("guard: {}", guard::to_string(verdict.violation.kind));
    record_change(from, next, scope, lane, ChangeState::kRefused, reason);
    return fail(ErrorCode::kRefused, reason);
  }
  const Write write{scope, scope, from, lane, experiment_->why};
  if (auto applied = apply(guard, write); !applied) {
    return tl::unexpected(applied.error());
  }
  return next == experiment_->move.target;
}

void Loop::glide(const serving::Observation& now) {
  if (tripped()) return revert("bad requests shot up on the way", Finding::kWorse);
  if (!may_write()) return revert("frozen while on the way", Finding::kNothing);
  const auto arrived = step(arm_guard(), experiment_->scope, now);
  if (!arrived) return revert(arrived.error().message, Finding::kWorse);
  if (*arrived) begin_settling(now);
}

Duration Loop::settle_time(const Config& from, const Config& to) const {
  Duration settle{};
  const serving::Capabilities& caps = engine_.capabilities();
  for (std::size_t k = 0; k < space_.size() && k < caps.settle.size(); ++k) {
    const std::size_t slot = space_.offset(k);
    if (!std::equal(from.begin() + static_cast<std::ptrdiff_t>(slot),
                    from.begin() + static_cast<std::ptrdiff_t>(slot + space_[k].slots()),
                    to.begin() + static_cast<std::ptrdiff_t>(slot))) {
      settle = std::max(settle, caps.settle[k]);
    }
  }
  return settle;
}

void Loop::begin_settling(const serving::Observation& now) {
  phase_ = Phase::kSettle;
  experiment_->settled =
      now.at + std::max(kQuiet, settle_time(experiment_->from, experiment_->move.target));
  experiment_->waiting_from = experiment_->waiting;
  experiment_->waiting_moved = now.at;
}

// Settled when the least time has passed and the queue has found its new level: while it shrinks
// the old setting's requests are counted, and while it grows the fate of those in it is unknown.
void Loop::settle(const serving::Observation& now) {
  Experiment& e = *experiment_;
  if (std::abs(e.waiting[0] - e.waiting_from[0]) > std::max(1.0, 0.05 * e.waiting_from[0])) {
    e.waiting_from = e.waiting;
    e.waiting_moved = now.at;
  }
  const bool still = now.at >= e.waiting_moved + kQueueStill;
  const bool late = now.at >= e.settled + kSettleMax;
  if (now.at < e.settled || (!still && !late)) return;
  e.waiting_from = e.waiting;
  phase_ = Phase::kMeasure;
  if (canary() ||
      glide_length(space_, options_.guardrails.limits, e.from, e.move.target) > 1) {
    return;
  }
  // A fleet of one, one step away: the settings can take turns.
  const Duration change = std::max<Duration>(settle_time(e.from, e.move.target), kTick);
  const Duration rate = from_seconds(1 / options_.guardrails.max_updates_per_second);
  e.block_waiting = now.waiting;
  e.blocks.emplace(change, std::max({change + kBlockCounted, 2 * change, rate}),
                   Rng(options_.seed).stream("time-blocks").stream(experiments_), now.at);
}

// Requests that have queued up since judging began have no fate yet; a setting must not look good
// because it puts off the bad news. Each counts as bad. A few come and go with the traffic.
stats::Counts Loop::with_backlog(const stats::Counts& counts, std::size_t arm) const {
  const Experiment& e = *experiment_;
  const double grown = e.blocks ? e.block_backlog[arm]
                                : e.waiting[arm] - e.waiting_from[arm] - kQueueNoise;
  const auto backlog = static_cast<std::uint64_t>(std::max(0.0, grown));
  return {counts.n + backlog, counts.bad + backlog};
}

// The arm under test is far worse than the confirmed setting: no time to wait for a verdict.
bool Loop::tripped() const {
  const Experiment& e = *experiment_;
  const stats::Counts& reference = canary() ? e.arms.rest() : e.before;
  const stats::Counts& arm = e.arms.canary();
  if (arm.n < 30 || arm.rate() <= 2 * reference.rate()) return false;
  return stats::compare(reference, arm, 0.02, e.arms.dispersion()).log_e_worse >=
         std::log(1 / kTripAlpha);
}

void Loop::measure(const serving::Observation& now) {
  Experiment& e = *experiment_;
  if (e.blocks && e.blocks->over(now.at)) {
    take_turns(now);
    if (!experiment_) return;
  }
  if (!canary() && !e.blocks && e.judged.rest().n == 0) e.judged.add({}, e.before);
  const stats::Counts arm = with_backlog(e.judged.canary(), 0);
  const stats::Counts rest = with_backlog(e.judged.rest(), 1);
  const bool out_of_time = to_seconds(now.at - e.settled) > options_.window.seconds_max;
  if (arm.n < kJudgedMin || rest.n < kJudgedMin) {
    if (out_of_time) revert("too few requests to judge", Finding::kNothing);
    return;
  }
  // Arms that take turns share no moment, so their own difference shows no clustering.
  const double dispersion =
      e.blocks ? std::max(e.judged.dispersion(), evidence_.dispersion()) : e.judged.dispersion();
  const stats::Comparison verdict = stats::compare(rest, arm, 0, dispersion);
  const double enough = std::log(1 / kAlpha);
  if (verdict.log_e_better >= enough && arm.n >= options_.window.requests_min) {
    learn(e.move.target, e.judged);
    phase_ = Phase::kWiden;
    return widen(now);
  }
  if (verdict.log_e_worse >= enough)
    return revert("worse than the confirmed setting", Finding::kWorse);
  const std::uint64_t window = options_.window.requests_min;
  const bool futile = std::any_of(kFutility.begin(), kFutility.end(), [&](const auto& rule) {
    return arm.n >= rule.first * window && arm.rate() > rule.second * rest.rate();
  });
  if (futile || out_of_time || arm.n >= kWindowsMax * window) {
    revert("no better as far as can be told: inconclusive", Finding::kNoBetter);
  }
}

// The block is over: the other setting's turn, as soon as the guard's rate allows.
void Loop::take_turns(const serving::Observation& now) {
  Experiment& e = *experiment_;
  const std::size_t arm = e.blocks->turn() == Turn::kTest ? 0 : 1;
  if (e.blocks->next() != e.blocks->turn()) {
    if (!may_write()) return revert("frozen between two blocks", Finding::kNothing);
    if (e.blocks->next() == Turn::kTest) {
      const auto arrived = step(guard_, serving::Scope{}, now);
      if (!arrived) return revert(arrived.error().message, Finding::kNothing);
      if (!*arrived) return;  // the guard's rate: a moment longer
    } else {
      const Config from = in_force();
      (void)guard_.revert(now.at);
      const Write write{.from = from, .lane = guard::Lane::kRevert,
                        .reason = "the confirmed setting's turn"};
      if (const Status applied = apply(guard_, write); !applied) {
        return revert(applied.error().message, Finding::kNothing);
      }
    }
  }
  e.block_backlog[arm] += std::max(0.0, now.waiting - e.block_waiting - kQueueNoise);
  e.block_waiting = now.waiting;
  e.blocks->end_block(now.at);
}

// What one replica has shown, the fleet follows in steps; a fleet of one is there already.
void Loop::widen(const serving::Observation& now) {
  Experiment& e = *experiment_;
  if (in_force() != e.move.target) {
    if (!may_write()) return revert("frozen before the fleet followed", Finding::kNothing);
    const auto arrived = step(guard_, serving::Scope{}, now);
    if (!arrived) return revert(arrived.error().message, Finding::kWorse);
    if (!*arrived) return;
    if (canary()) canary_guard_.confirm(now.at);
  }
  const stats::Counts rest = e.judged.rest(), arm = e.judged.canary();
  confirm(
      fmt::format("bad requests {:.2f} % -> {:.2f} % ({} and {} requests {})", percent(rest),
                  percent(arm), rest.n, arm.n, canary() ? "at the same time"
                                               : e.blocks ? "in turns"
                                                          : "before and after"));
}

void Loop::confirm(const std::string& reason) {
  const Experiment& e = *experiment_;
  // What cannot be brought back without us is not confirmed.
  if (const Status kept = engine_.confirm(); !kept) {
    return revert("the way back could not be kept: " + kept.error().message, Finding::kNothing);
  }
  before_confirmed_ = confirmed();
  guard_.confirm(clock_.now());
  record_decision("confirm", e.from, in_force(), reason, e.judged.rest(), e.judged.canary());
  record_change(e.from, in_force(), serving::Scope{}, guard::Lane::kExperiment,
                ChangeState::kConfirmed, reason);
  proposer_.passed(e.move);
  judge_envelope();
  evidence_.clear();
  price_ = std::max(kPriceFirst, price_ / 2);
  credit_ = price_;  // the direction is good: the next step need not wait to be paid for
  quiet_until_ = clock_.now() + kQuiet;
  experiment_.reset();
  phase_ = Phase::kSteady;
  hold_.clear();
}

void Loop::revert(const std::string& reason, Finding finding) {
  const Experiment& e = *experiment_;
  const Config tried(arm_guard().in_force().begin(), arm_guard().in_force().end());
  if (phase_ == Phase::kMeasure) {
    learn(e.move.target, e.judged);
    judge_envelope();
  }
  const stats::Counts rest = canary() ? e.judged.rest() : e.before;
  record_decision("revert", tried, e.from, reason, rest, e.judged.canary());
  const Config fleet = in_force();
  if (canary()) (void)canary_guard_.revert(clock_.now());
  const guard::Verdict verdict = guard_.revert(clock_.now());
  ARQON_ASSERT(verdict.permitted);
  // One write for all of the fleet ends the canary, whatever it had reached.
  Status applied;
  if (tried != e.from || fleet != e.from) {
    const bool fleet_moved = !canary() || fleet != e.from;
    applied = apply(guard_, {.moved = fleet_moved ? serving::Scope{} : e.scope,
                             .from = tried,
                             .lane = guard::Lane::kRevert,
                             .reason = reason});
  }
  if (finding != Finding::kNothing) {
    const bool hopeless = rest.rate() > 0.5 && e.judged.canary().rate() > 0.5;
    proposer_.failed(e.move, finding == Finding::kNoBetter && hopeless);
    price_ = std::min(kPriceMax, 2 * price_);
  }
  if (fleet != e.from || !canary()) quiet_until_ = clock_.now() + 2 * kQuiet;
  experiment_.reset();
  phase_ = Phase::kSteady;
  restoring_ = !applied;
}

void Loop::learn(const Config& target, const Arms& arms) {
  const auto smoothed = [](const stats::Counts& c) {
    return (static_cast<double>(c.bad) + 0.5) / (static_cast<double>(c.n) + 1);
  };
  if (arms.canary().n == 0 || arms.rest().n == 0) return;
  proposer_.tell(experiment_->from, target, smoothed(arms.canary()) / smoothed(arms.rest()));
}

// Both arms of an experiment were measured: those that keep the targets span the envelope.
void Loop::judge_envelope() {
  double budget = 1;
  for (const serving::Slo& c : classes_) budget = std::min(budget, 1 - c.attainment);
  const auto judge = [&](const Config& setting, const stats::Counts& counts) {
    if (counts.n < options_.window.requests_min) return;
    if (counts.rate() <= budget) {
      reflex_.prove(setting);
    } else {
      reflex_.refute(setting);
    }
  };
  judge(experiment_->from, experiment_->judged.rest());
  judge(experiment_->move.target, experiment_->judged.canary());
  if (phase_ == Phase::kWiden) reflex_.prove(in_force());  // confirmed, if only as the better one
  publish_envelope();
}

}  // namespace arqon::control
