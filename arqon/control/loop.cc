#include "arqon/control/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/control/glide.h"

namespace arqon::control {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);
// Error probability of one verdict.
constexpr double kAlpha = 0.05;
constexpr double kTripAlpha = 0.002;
// A share of bad requests above this part of the error budget is worth an experiment.
constexpr double kAim = 0.5;
// First price of an experiment in bad requests beyond the aim; doubled by each one that fails.
constexpr double kPriceFirst = 20;
constexpr double kPriceMax = 5000;
// Verdicts are looked for after this many requests of the arm under test; a confirmation takes a
// whole window of them.
constexpr std::uint64_t kJudgedMin = 50;
// An experiment ends undecided after this many windows' worth of requests, and earlier when it is
// hardly better: (windows, greatest ratio of bad shares that is still worth waiting for).
constexpr std::uint64_t kWindowsMax = 16;
constexpr std::array<std::pair<std::uint64_t, double>, 3> kFutility{
    {{1, 0.95}, {2, 0.8}, {6, 0.9}}};
constexpr double kIncumbentSeconds = 240;
constexpr Duration kSettleMax = std::chrono::seconds(180);
constexpr Duration kQueueStill = std::chrono::seconds(5);
constexpr double kQueueSmoothing = 0.25;  // per second
constexpr double kQueueNoise = 3;         // requests
constexpr double kMixSeconds = 120;
constexpr double kMixSecondsMax = 900;
constexpr double kRegimeShort = 5;  // a regime of fewer spans than this was a swing
constexpr double kMixMoved = 0.2;   // of all requests
constexpr double kHealthySeconds = 300;
constexpr Duration kQuiet = std::chrono::seconds(5);

double percent(const stats::Counts& c) { return 100 * c.rate(); }

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

// "pool.knob" of one replica is "pool/N.knob".
std::string address(const std::string& name, serving::Scope scope) {
  const std::size_t dot = name.find('.');
  if (scope.replica < 0 || dot == std::string::npos) return name;
  return fmt::format("{}/{}{}", name.substr(0, dot), scope.replica, name.substr(dot));
}

std::string_view lane_name(guard::Lane lane) {
  switch (lane) {
    case guard::Lane::kExperiment:
      return "experiment";
    case guard::Lane::kReflex:
      return "reflex";
    case guard::Lane::kRevert:
      return "revert";
  }
  return "experiment";
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
  }
  Status status;
  while (status && clock_.now() < end) {
    if (options_.stop != nullptr && options_.stop->load()) break;
    clock_.wait_until(std::min(end, clock_.now() + kTick));
    status = tick();
  }
  if (experiment_) {
    const Status reverted = revert("the run ends", Finding::kNothing);
    if (status) status = reverted;
  }
  if (auto window = meter_->finish(last_, state())) record_.windows.push_back(std::move(*window));
  return status;
}

Status Loop::tick() {
  const serving::Observation now = engine_.observe();
  if (engine_.health() == serving::Health::kDown) {
    return fail(ErrorCode::kUnavailable, "the engine is down");
  }
  if (now.epoch != last_.epoch) {  // a restart voids what was being measured
    evidence_.clear();
    traffic_.clear();
    (void)meter_->take(now, state());
    last_ = now;
    return experiment_ ? revert("the engine restarted", Finding::kNothing) : Status{};
  }
  account(now);
  Status status;
  switch (phase_) {
    case Phase::kSteady:
      status = steady(now);
      break;
    case Phase::kGlide:
      status = glide(now);
      break;
    case Phase::kSettle:
      settle(now);
      break;
    case Phase::kMeasure:
      status = measure(now);
      break;
    case Phase::kWiden:
      status = widen(now);
      break;
  }
  if (auto window = meter_->take(now, state())) {
    if (options_.on_window) options_.on_window(*window);
    record_.windows.push_back(std::move(*window));
  }
  last_ = now;
  return status;
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
  if (phase_ == Phase::kMeasure) e.judged.add(part, rest);
  const std::array<double, 2> queues{arm.waiting, now.waiting - arm.waiting};
  for (std::size_t i = 0; i < 2; ++i) e.waiting[i] += kQueueSmoothing * (queues[i] - e.waiting[i]);
  e.last = std::move(arm);
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

bool Loop::may_write() const {
  return options_.mode == Mode::kAuto && !(options_.frozen && options_.frozen());
}

std::string Loop::state() const {
  if (phase_ == Phase::kMeasure) return "experiment";
  if (phase_ != Phase::kSteady || clock_.now() < quiet_until_) return "settling";
  return "confirmed";
}

std::optional<Breach> Loop::worth_an_experiment() const {
  if (credit_ < price_ || evidence_.total(kIncumbentSeconds).n < options_.window.requests_min) {
    return std::nullopt;
  }
  return evidence_.breach(kAim, kAlpha);
}

Status Loop::steady(const serving::Observation& now) {
  if (now.at < quiet_until_) return {};
  if (before_reflex_) {
    const stats::Counts after = evidence_.total(kIncumbentSeconds);
    if (after.n < options_.window.requests_min / 2) return {};
    return judge_reflex(after, now);
  }
  if (options_.reflex) {
    if (auto moved = reflex(now); !moved || now.at < quiet_until_) return moved;
  }
  if (worth_an_experiment()) return begin(now);
  if (evidence_.seconds() >= kHealthySeconds && credit_ < 1 && !evidence_.breach(kAim, kAlpha)) {
    say_hold("every class keeps its target with room: nothing to gain by a change");
  }
  return {};
}

Status Loop::begin(const serving::Observation& now) {
  if (options_.budget && experiments_ >= *options_.budget) {
    say_hold("the budget of experiments is used");
    return {};
  }
  const std::optional<Breach> breach = worth_an_experiment();
  const stats::Counts before = evidence_.total(kIncumbentSeconds);
  const Config from = in_force();
  auto move = proposer_.next(from, breach);
  credit_ = 0;
  if (!move) {
    price_ = std::min(kPriceMax, 2 * price_);
    say_hold("requests miss their limits, and no setting within the guardrails is left untried");
    return {};
  }
  ++decisions_;
  const std::string why = fmt::format(
      "{}: {:.2f} % of {} requests broke a limit, most often {}; {}",
      classes_[breach->class_index].name,
      100.0 * static_cast<double>(breach->tally.bad) / static_cast<double>(breach->tally.n),
      breach->tally.n, serving::to_string(breach->limit), move->why);
  if (!may_write()) {
    record_decision("recommend", from, move->target, why, before);
    proposer_.failed(*move, false);  // said once; not repeated every window
    return {};
  }
  record_decision("experiment", from, move->target, why, before);
  open_experiment(std::move(*move), before, now);
  experiment_->why = why;
  return glide(now);
}

void Loop::open_experiment(Move move, const stats::Counts& before,
                           const serving::Observation& now) {
  ++experiments_;
  Experiment& e = experiment_.emplace(Experiment{});
  e.decision = decisions_;
  e.from = in_force();
  e.move = std::move(move);
  e.before = before;
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

Status Loop::glide(const serving::Observation& now) {
  if (tripped()) return revert("bad requests shot up on the way", Finding::kWorse);
  if (!may_write()) return revert("frozen while on the way", Finding::kNothing);
  const auto arrived = step(arm_guard(), experiment_->scope, now);
  if (!arrived) return revert(arrived.error().message, Finding::kWorse);
  if (*arrived) begin_settling(now);
  return {};
}

void Loop::begin_settling(const serving::Observation& now) {
  Duration settle = kQuiet;
  const serving::Capabilities& caps = engine_.capabilities();
  for (std::size_t k = 0; k < space_.size() && k < caps.settle.size(); ++k) {
    const std::size_t slot = space_.offset(k);
    if (experiment_->from[slot] != experiment_->move.target[slot]) {
      settle = std::max(settle, caps.settle[k]);
    }
  }
  phase_ = Phase::kSettle;
  experiment_->settled = now.at + settle;
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
}

// Requests that have queued up since judging began have no fate yet; a setting must not look good
// because it puts off the bad news. Each counts as bad. A few come and go with the traffic.
stats::Counts Loop::with_backlog(const stats::Counts& counts, std::size_t arm) const {
  const double grown = experiment_->waiting[arm] - experiment_->waiting_from[arm] - kQueueNoise;
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

Status Loop::measure(const serving::Observation& now) {
  Experiment& e = *experiment_;
  if (!canary() && e.judged.rest().n == 0) e.judged.add({}, e.before);
  const stats::Counts arm = with_backlog(e.judged.canary(), 0);
  const stats::Counts rest = with_backlog(e.judged.rest(), 1);
  const bool out_of_time = to_seconds(now.at - e.settled) > options_.window.seconds_max;
  if (arm.n < kJudgedMin || rest.n < kJudgedMin) {
    return out_of_time ? revert("too few requests to judge", Finding::kNothing) : Status{};
  }
  const stats::Comparison verdict = stats::compare(rest, arm, 0, e.judged.dispersion());
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
    return revert("no better as far as can be told: inconclusive", Finding::kNoBetter);
  }
  return {};
}

// What one replica has shown, the fleet follows in steps; a fleet of one is there already.
Status Loop::widen(const serving::Observation& now) {
  Experiment& e = *experiment_;
  if (canary()) {
    if (!may_write()) return revert("frozen before the fleet followed", Finding::kNothing);
    const auto arrived = step(guard_, serving::Scope{}, now);
    if (!arrived) return revert(arrived.error().message, Finding::kWorse);
    if (!*arrived) return {};
    canary_guard_.confirm(now.at);
  }
  const stats::Counts rest = e.judged.rest(), arm = e.judged.canary();
  return confirm(
      fmt::format("bad requests {:.2f} % -> {:.2f} % ({} and {} requests at the same "
                  "time)",
                  percent(rest), percent(arm), rest.n, arm.n));
}

Status Loop::confirm(const std::string& reason) {
  const Experiment& e = *experiment_;
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
  return {};
}

Status Loop::revert(const std::string& reason, Finding finding) {
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
  return applied;
}

void Loop::learn(const Config& target, const Arms& arms) {
  const auto smoothed = [](const stats::Counts& c) {
    return (static_cast<double>(c.bad) + 0.5) / (static_cast<double>(c.n) + 1);
  };
  if (arms.canary().n == 0 || arms.rest().n == 0) return;
  proposer_.tell(experiment_->from, target, smoothed(arms.canary()) / smoothed(arms.rest()));
}

Status Loop::reflex(const serving::Observation& now) {
  if (!may_write() || guard_.next_allowed(guard::Lane::kReflex, now.at) > now.at) return {};
  const Config from = in_force();
  const auto move = reflex_.move(from, evidence_, now.at);
  if (!move) return {};
  const guard::Verdict verdict = guard_.propose(move->target, guard::Lane::kReflex, now.at);
  if (!verdict.permitted) {
    reflex_.helped(false, now.at);
    record_change(from, move->target, serving::Scope{}, guard::Lane::kReflex, ChangeState::kRefused,
                  fmt::format("guard: {}", guard::to_string(verdict.violation.kind)));
    return {};
  }
  ++decisions_;
  before_reflex_ = evidence_.total(20);
  record_decision("reflex", from, move->target, move->why, *before_reflex_);
  evidence_.clear();
  quiet_until_ = now.at + kQuiet;
  return apply(guard_, {.from = from, .lane = guard::Lane::kReflex, .reason = move->why});
}

// A move that did not help is taken back: the burst may be over, and the other limits may suffer.
Status Loop::judge_reflex(const stats::Counts& after, const serving::Observation& now) {
  const bool helped = after.rate() < 0.7 * before_reflex_->rate();
  const stats::Counts before = *before_reflex_;
  before_reflex_.reset();
  reflex_.helped(helped, now.at);
  if (helped) {
    guard_.confirm(now.at);  // both ends were proven before: nothing new is claimed
    return {};
  }
  const Config from = in_force();
  (void)guard_.revert(now.at);
  const std::string reason = "the reflex move did not help";
  record_decision("revert", from, in_force(), reason, before, after);
  evidence_.clear();
  quiet_until_ = now.at + kQuiet;
  return apply(guard_, {.from = from, .lane = guard::Lane::kRevert, .reason = reason});
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

void Loop::publish_envelope() {
  const Config low = reflex_.low(), high = reflex_.high();
  (void)guard_.set_envelope(low, high);
}

Status Loop::apply(const guard::SafetyExecutor& guard, const Write& write) {
  const Config wanted(guard.in_force().begin(), guard.in_force().end());
  const auto effective = engine_.apply(wanted, write.scope);
  if (!effective) {
    record_change(write.from, wanted, write.moved, write.lane, ChangeState::kRefused,
                  fmt::format("engine: {}", effective.error().message));
    return tl::unexpected(effective.error());
  }
  const bool revert = write.lane == guard::Lane::kRevert;
  record_change(write.from, *effective, write.moved, write.lane,
                revert ? ChangeState::kReverted : ChangeState::kApplied, write.reason);
  if (*effective != wanted) {
    return fail(ErrorCode::kConflict, "the engine put another setting in force than was asked for");
  }
  return {};
}

void Loop::record_change(const Config& from, const Config& to, serving::Scope scope,
                         guard::Lane lane, ChangeState state, const std::string& reason) {
  for (std::size_t k = 0; k < space_.size(); ++k) {
    for (std::size_t s = space_.offset(k); s < space_.offset(k) + space_[k].slots(); ++s) {
      if (from[s] == to[s]) continue;
      record_.changes.push_back({to_seconds(clock_.now()), decisions_,
                                 address(space_[k].name, scope), from[s], to[s],
                                 std::string(lane_name(lane)), state, reason});
    }
  }
}

void Loop::record_decision(const std::string& action, const Config& from, const Config& to,
                           const std::string& reason, const stats::Counts& before,
                           const stats::Counts& after) {
  record_.decisions.push_back({decisions_, to_seconds(clock_.now()), action, from, to, reason,
                               before.rate(), after.rate(), before.n, after.n});
}

void Loop::say_hold(const std::string& reason) {
  if (hold_ == reason) return;
  hold_ = reason;
  const stats::Counts now = evidence_.total(kIncumbentSeconds);
  record_decision("hold", in_force(), in_force(), reason, now);
}

}  // namespace arqon::control
