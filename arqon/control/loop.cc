#include "arqon/control/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/control/internal/constants.h"

namespace arqon::control {

using namespace internal;  // NOLINT(google-build-using-namespace): our own constants

namespace {

// The engine's knobs narrowed to what the guardrails allow.
Space narrowed(const serving::Capabilities& caps, const guard::Guardrails& guardrails) {
  std::vector<Parameter> knobs = caps.knobs;
  for (std::size_t i = 0; i < knobs.size() && i < guardrails.limits.size(); ++i) {
    if (knobs[i].type != ParamType::kInt && knobs[i].type != ParamType::kFloat) continue;
    const double step = knobs[i].grid_step();
    const double low = std::max(knobs[i].min, guardrails.limits[i].min);
    // The grid starts at the domain's own minimum; narrowing must not shift it.
    knobs[i].min =
        step > 0 ? knobs[i].min + std::ceil((low - knobs[i].min) / step - 1e-9) * step : low;
    knobs[i].max = std::min(knobs[i].max, guardrails.limits[i].max);
  }
  return Space(std::move(knobs));
}

}  // namespace

Result<Loop> Loop::create(serving::Engine& engine, Clock& clock, LoopOptions options) {
  const serving::Capabilities& caps = engine.capabilities();
  const Space domain(caps.knobs);
  if (options.guardrails.limits.size() != domain.size()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("guardrails: {} limits for {} knobs", options.guardrails.limits.size(),
                            domain.size()));
  }
  auto guard = guard::SafetyExecutor::create(domain, options.guardrails);
  if (!guard) return tl::unexpected(guard.error().with_context("guardrails"));
  auto canary_guard = guard::SafetyExecutor::create(domain, options.guardrails);
  if (!canary_guard) return tl::unexpected(canary_guard.error());
  Space space = narrowed(caps, options.guardrails);
  auto proposer = Proposer::create(space, options.protective, caps.boot, options.seed);
  if (!proposer) return tl::unexpected(proposer.error());
  return Loop(engine, clock, std::move(options), std::move(space), std::move(*guard),
              std::move(*canary_guard), std::move(*proposer));
}

Loop::Loop(serving::Engine& engine, Clock& clock, LoopOptions options, Space space,
           guard::SafetyExecutor guard, guard::SafetyExecutor canary_guard, Proposer proposer)
    : engine_(engine),
      clock_(clock),
      options_(std::move(options)),
      space_(std::move(space)),
      guard_(std::move(guard)),
      canary_guard_(std::move(canary_guard)),
      proposer_(std::move(proposer)),
      classes_(engine.capabilities().classes),
      reflex_(space_, options_.guardrails.limits, options_.protective, engine.capabilities().boot),
      evidence_(classes_),
      traffic_(classes_),
      price_(kPriceFirst) {
  for (const Parameter& p : space_.parameters()) record_.knob_names.push_back(p.name);
  for (const serving::Slo& c : classes_) record_.class_names.push_back(c.name);
}

Config Loop::in_force() const {
  const auto values = guard_.in_force();
  return {values.begin(), values.end()};
}

Config Loop::confirmed() const {
  const auto values = guard_.confirmed();
  return {values.begin(), values.end()};
}

Status Loop::start() {
  begun_ = clock_.now();
  last_ = engine_.observe();
  const guard::Violation violation = guard_.set_baseline(last_.effective, clock_.now());
  if (violation.kind != guard::ViolationKind::kNone) {
    return fail(ErrorCode::kRefused,
                fmt::format("the setting found at attach breaks the guardrails at {} ({}); widen "
                            "its bounds or set it by hand first",
                            space_[violation.param].name, guard::to_string(violation.kind)));
  }
  publish_envelope();
  meter_.emplace(options_.window, last_);
  regime_since_ = clock_.now();
  mix_seconds_ = kMixSeconds;
  return {};
}

Status Loop::run_until(TimePoint end) {
  if (!meter_) {
    if (auto started = start(); !started) return started;
  } else if (clock_.now() > last_.at + kStaleMax) {
    // Who knows what happened while nobody looked.
    const serving::Observation now = engine_.observe();
    void_measurements(now);
    meter_.emplace(options_.window, now);
    quiet_until_ = now.at + kQuiet;
  }
  while (clock_.now() < end) {
    if (options_.stop != nullptr && options_.stop->load()) break;
    clock_.wait_until(std::min(end, clock_.now() + kTick));
    tick();
  }
  if (experiment_) revert("the run ends", Finding::kNothing);
  if (auto window = meter_->finish(last_, state())) record_window(std::move(*window));
  return {};
}

void Loop::tick() {
  const serving::Observation now = engine_.observe();
  if (anchored_) (void)engine_.renew(options_.lease);
  if (trusted(now)) {
    supervise();
    account(now);
    phase_tick(now);
    if (auto window = meter_->take(now, state())) {
      record_window(std::move(*window));
      if (options_.on_window) options_.on_window(record_.windows.back());
    }
    last_ = now;
  }
  report();
}

void Loop::phase_tick(const serving::Observation& now) {
  switch (phase_) {
    case Phase::kSteady:
      return steady(now);
    case Phase::kAwaiting:
      return await_approval(now);
    case Phase::kGlide:
      return glide(now);
    case Phase::kSettle:
      return settle(now);
    case Phase::kMeasure:
      return measure(now);
    case Phase::kWiden:
      return widen(now);
  }
}

// A person may take back what is open, or else what was confirmed last.
void Loop::supervise() {
  if (options_.supervisor == nullptr || !options_.supervisor->take_rollback()) return;
  const std::string reason = "a person asked for it";
  if (experiment_) return revert(reason, Finding::kNothing);
  if (before_confirmed_.empty() || before_confirmed_ == confirmed()) {
    return record_decision("hold", in_force(), in_force(),
                           "asked to go back, but nothing was confirmed before this setting");
  }
  const Config from = in_force();
  const guard::Violation violation = guard_.set_baseline(before_confirmed_, clock_.now());
  if (violation.kind != guard::ViolationKind::kNone) {
    return record_decision("hold", from, from,
                           fmt::format("guard: {}", guard::to_string(violation.kind)));
  }
  ++decisions_;
  record_decision("rollback", from, in_force(), reason);
  before_confirmed_.clear();
  before_reflex_.reset();
  reflex_.reset(confirmed());
  publish_envelope();
  evidence_.clear();
  quiet_until_ = clock_.now() + 2 * kQuiet;
  const Status applied =
      apply(guard_, {.from = from, .lane = guard::Lane::kRevert, .reason = reason});
  if (applied) (void)engine_.confirm();
  restoring_ = !applied;
}

void Loop::report() const {
  if (options_.supervisor == nullptr) return;
  LoopStatus status;
  status.t_s = elapsed_s();
  status.phase = phase_name();
  status.in_force = in_force();
  status.confirmed = confirmed();
  status.hold = hold_;
  status.decision = decisions_;
  if (proposal_) {
    status.proposed = proposal_->move.target;
    status.why = proposal_->why;
  } else if (experiment_) {
    status.proposed = experiment_->move.target;
    status.why = experiment_->why;
  }
  status.health = engine_.health();
  status.paused = options_.supervisor->paused();
  status.frozen = frozen();
  options_.supervisor->report(status);
}

std::string Loop::phase_name() const {
  if (!trouble_.empty()) return trouble_;
  switch (phase_) {
    case Phase::kSteady:
      return restoring_ ? "restoring" : "steady";
    case Phase::kAwaiting:
      return "awaiting approval";
    case Phase::kGlide:
      return "glide";
    case Phase::kSettle:
      return "settle";
    case Phase::kMeasure:
      return "measure";
    case Phase::kWiden:
      return "widen";
  }
  return "steady";
}

// The counts of every arm for this tick.
void Loop::account(const serving::Observation& now) {
  traffic_.add(last_, now);
  notice_regime(now);
  if (!experiment_) {
    if (now.at >= quiet_until_) {
      evidence_.add(last_, now);
      credit_ = std::clamp(credit_ + evidence_.excess_of_last_tick(kAim), 0.0, 2 * price_);
    }
    return;
  }
  Experiment& e = *experiment_;
  serving::Observation arm = canary() ? engine_.observe(e.scope) : now;
  const stats::Counts whole = decided(last_, now);
  const stats::Counts part = decided(e.last, arm);
  const stats::Counts rest{whole.n - part.n, whole.bad - part.bad};  // none in a fleet of one
  e.arms.add(part, rest);
  if (phase_ == Phase::kMeasure && e.blocks) account_blocks(whole, now);
  if (phase_ == Phase::kMeasure && !e.blocks) e.judged.add(part, rest);
  const std::array<double, 2> queues{arm.waiting, now.waiting - arm.waiting};
  for (std::size_t i = 0; i < 2; ++i) e.waiting[i] += kQueueSmoothing * (queues[i] - e.waiting[i]);
  e.last = std::move(arm);
}

void Loop::account_blocks(const stats::Counts& decided, const serving::Observation& now) {
  Experiment& e = *experiment_;
  if (!e.blocks->counted(now.at)) {
    e.block_waiting = now.waiting;
    return;
  }
  const bool test = e.blocks->turn() == Turn::kTest;
  e.judged.add(test ? decided : stats::Counts{}, test ? stats::Counts{} : decided);
}

// Traffic that differs in kind from what the last verdicts were reached on makes them stale. Looks
// at causes only: the share of each class. A mix that keeps swinging is one regime: it is looked at
// over ever longer spans.
void Loop::notice_regime(const serving::Observation& now) {
  const double age = to_seconds(now.at - regime_since_);
  if (age < mix_seconds_) return;
  std::vector<double> mix;
  double arrived = 0;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    mix.push_back(static_cast<double>(traffic_.tally(c, mix_seconds_).arrived));
    arrived += mix.back();
  }
  if (arrived < static_cast<double>(options_.window.requests_min)) return;
  double moved = 0;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    mix[c] /= arrived;
    if (!mix_.empty()) moved += 0.5 * std::abs(mix[c] - mix_[c]);
  }
  if (mix_.empty()) {
    mix_ = std::move(mix);
  } else if (moved > kMixMoved) {
    begin_regime(moved, age, now);
  }
}

void Loop::begin_regime(double moved, double age, const serving::Observation& now) {
  mix_.clear();
  regime_since_ = now.at;
  const bool short_lived = age < kRegimeShort * mix_seconds_;
  mix_seconds_ = short_lived ? std::min(kMixSecondsMax, 2 * mix_seconds_) : kMixSeconds;
  price_ = kPriceFirst;
  (void)proposer_.new_regime();
  // What was proven for other traffic is not proven for this.
  reflex_.reset(confirmed());
  publish_envelope();
  if (experiments_ > regime_experiments_) {  // otherwise there is no verdict to go stale
    record_decision("regime", in_force(), in_force(),
                    fmt::format("{:.0f} % of the mix of requests has moved: earlier verdicts are "
                                "stale",
                                100 * moved));
  }
  regime_experiments_ = experiments_;
}

bool Loop::frozen() const {
  return (options_.frozen && options_.frozen()) ||
         (options_.supervisor != nullptr && options_.supervisor->frozen());
}

bool Loop::may_write() const {
  return (options_.mode == Mode::kAuto || options_.mode == Mode::kApprove) && !frozen();
}

std::string Loop::state() const {
  if (phase_ == Phase::kMeasure) return "experiment";
  if (phase_ != Phase::kSteady || clock_.now() < quiet_until_) return "settling";
  return "confirmed";
}

void Loop::steady(const serving::Observation& now) {
  if (now.at < quiet_until_) return;
  if (before_reflex_) {
    const stats::Counts after = evidence_.total(kIncumbentSeconds);
    if (after.n >= options_.window.requests_min / 2) judge_reflex(after, now);
    return;
  }
  if (options_.supervisor != nullptr && options_.supervisor->paused()) {
    return say_hold("paused by a person");
  }
  if (options_.reflex && reflex(now)) return;
  if (worth_an_experiment()) return begin(now);
  if (evidence_.seconds() >= kHealthySeconds && credit_ < 1 && !evidence_.breach(kAim, kAlpha)) {
    say_hold("every class keeps its target with room: nothing to gain by a change");
  }
}

}  // namespace arqon::control
