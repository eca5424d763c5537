#include "arqon/control/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/control/glide.h"

namespace arqon::control {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);
// Error probability of one verdict.
constexpr double kAlpha = 0.05;
// A share of bad requests above this part of the error budget is worth an experiment.
constexpr double kAim = 0.5;
// First price of an experiment in bad requests beyond the aim; doubled by each one that fails.
constexpr double kPriceFirst = 20;
constexpr double kPriceMax = 5000;
// Experiments end undecided after this many windows' worth of requests.
constexpr std::uint64_t kWindowsMax = 16;
constexpr std::uint64_t kWindowsFutile = 4;
constexpr double kIncumbentSeconds = 240;
constexpr Duration kSettleMax = std::chrono::seconds(90);
constexpr Duration kQueueStill = std::chrono::seconds(3);
constexpr double kRegimeSeconds = 300;

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

std::string_view lane_name(guard::Lane lane) {
  switch (lane) {
    case guard::Lane::kExperiment: return "experiment";
    case guard::Lane::kReflex: return "reflex";
    case guard::Lane::kRevert: return "revert";
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
  Space space = narrowed(caps, options.guardrails);
  auto proposer = Proposer::create(space, options.protective, caps.boot, options.seed);
  if (!proposer) return tl::unexpected(proposer.error());
  return Loop(engine, clock, std::move(options), std::move(space), std::move(*guard),
              std::move(*proposer));
}

Loop::Loop(serving::Engine& engine, Clock& clock, LoopOptions options, Space space,
           guard::SafetyExecutor guard, Proposer proposer)
    : engine_(engine),
      clock_(clock),
      options_(std::move(options)),
      space_(std::move(space)),
      guard_(std::move(guard)),
      proposer_(std::move(proposer)),
      classes_(engine.capabilities().classes),
      reflex_(space_, options_.guardrails.limits, options_.protective, engine.capabilities().boot),
      evidence_(classes_),
      challenger_(classes_),
      price_(kPriceFirst),
      regime_(classes_.size()) {
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
  const Config low = reflex_.low(), high = reflex_.high();
  (void)guard_.set_envelope(low, high);
  meter_.emplace(options_.window, last_);
  regime_since_ = clock_.now();
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
    const Status reverted = revert(challenger_.total(kIncumbentSeconds), "the run ends", false);
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
  if (now.epoch != last_.epoch) {   // a restart voids what was being measured
    evidence_.clear();
    challenger_.clear();
    (void)meter_->take(now, state());
    last_ = now;
    return {};
  }
  account(now);
  Status status;
  switch (phase_) {
    case Phase::kSteady: status = steady(now); break;
    case Phase::kGlide: status = glide(now); break;
    case Phase::kSettle: settle(now); break;
    case Phase::kMeasure: status = measure(now); break;
  }
  if (auto window = meter_->take(now, state())) {
    if (options_.on_window) options_.on_window(*window);
    record_.windows.push_back(std::move(*window));
  }
  last_ = now;
  return status;
}

void Loop::account(const serving::Observation& now) {
  notice_regime(now);
  if (experiment_) {
    challenger_.add(last_, now);
  } else if (now.at >= quiet_until_) {
    evidence_.add(last_, now);
    credit_ = std::clamp(credit_ + evidence_.excess_of_last_tick(kAim), 0.0, 2 * price_);
  }
}

// Traffic that differs in kind from what the last verdicts were reached on makes them stale. Looks
// at causes only: the share of each class and the length of its prompts.
void Loop::notice_regime(const serving::Observation& now) {
  std::vector<Tally> recent(classes_.size());
  double arrived = 0, arrived_before = 0;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    regime_[c].arrived += now.classes[c].arrived - last_.classes[c].arrived;
    regime_[c].prompt_tokens += now.classes[c].prompt_tokens - last_.classes[c].prompt_tokens;
    recent[c] = experiment_ ? challenger_.tally(c, kRegimeSeconds)
                            : evidence_.tally(c, kRegimeSeconds);
    arrived += static_cast<double>(recent[c].arrived);
    arrived_before += static_cast<double>(regime_[c].arrived);
  }
  if (arrived < static_cast<double>(options_.window.requests_min)) return;
  bool moved = false;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    const double share = static_cast<double>(recent[c].arrived) / arrived;
    const double before = static_cast<double>(regime_[c].arrived) / arrived_before;
    moved = moved || std::abs(share - before) > 0.15;
  }
  if (!moved) return;
  regime_.assign(classes_.size(), Tally{});
  regime_since_ = now.at;
  price_ = kPriceFirst;
  (void)proposer_.new_regime();
  record_decision("regime", in_force(), in_force(),
                  "the mix of requests has moved: earlier verdicts are stale");
}

bool Loop::may_write() const {
  return options_.mode == Mode::kAuto && !(options_.frozen && options_.frozen());
}

std::string Loop::state() const {
  if (phase_ == Phase::kMeasure) return "experiment";
  if (phase_ != Phase::kSteady || clock_.now() < quiet_until_) return "settling";
  return "confirmed";
}

bool Loop::worth_an_experiment() const {
  return credit_ >= price_ && evidence_.total(kIncumbentSeconds).n >= options_.window.requests_min;
}

Status Loop::steady(const serving::Observation& now) {
  if (now.at < quiet_until_) return {};
  if (before_reflex_) {
    const stats::Counts after = evidence_.total(kIncumbentSeconds);
    if (after.n < options_.window.requests_min / 2) return {};
    reflex_.helped(after.rate() < before_reflex_->rate(), now.at);
    before_reflex_.reset();
    guard_.confirm(now.at);   // both ends were proven before: nothing new is claimed
  }
  if (options_.reflex) {
    if (auto moved = reflex(now); !moved || now.at < quiet_until_) return moved;
  }
  if (!worth_an_experiment()) {
    if (evidence_.seconds() >= kRegimeSeconds && credit_ < 1) {
      say_hold("every class keeps its target with room: nothing to gain by a change");
    }
    return {};
  }
  return begin(now);
}

Status Loop::begin(const serving::Observation& now) {
  if (options_.budget && experiments_ >= *options_.budget) {
    say_hold("the budget of experiments is used");
    return {};
  }
  const auto breach = evidence_.breach(kAim, kAlpha);
  const stats::Counts incumbent = evidence_.total(kIncumbentSeconds);
  const Config from = in_force();
  proposer_.tell(from, incumbent);
  const auto move = proposer_.next(from, breach);
  credit_ = 0;
  if (!move) {
    price_ = std::min(kPriceMax, 2 * price_);
    say_hold("requests miss their limits, and no setting within the guardrails is left untried");
    return {};
  }
  ++decisions_;
  const std::string why =
      breach ? fmt::format("{}: {:.2f} % of {} requests broke a limit, most often {}; {}",
                           classes_[breach->class_index].name,
                           100.0 * static_cast<double>(breach->tally.bad) /
                               static_cast<double>(breach->tally.n),
                           breach->tally.n, serving::to_string(breach->limit), move->why)
             : fmt::format("{:.2f} % of {} requests were bad; {}", percent(incumbent),
                           incumbent.n, move->why);
  if (!may_write()) {
    record_decision("recommend", from, move->target, why, incumbent);
    proposer_.failed(*move);   // said once; not repeated every window
    return {};
  }
  ++experiments_;
  record_decision("experiment", from, move->target, why, incumbent);
  experiment_ = Experiment{decisions_, *move, from, breach, incumbent, now.at, {}, 0, {}};
  challenger_.clear();
  phase_ = Phase::kGlide;
  return glide(now);
}

Status Loop::glide(const serving::Observation& now) {
  if (tripped()) {
    return revert(challenger_.total(kIncumbentSeconds), "bad requests shot up on the way", true);
  }
  if (!may_write()) {
    return revert(challenger_.total(kIncumbentSeconds), "frozen while on the way", false);
  }
  if (guard_.next_allowed(guard::Lane::kExperiment, now.at) > now.at) return {};
  const Config from = in_force();
  const Config next =
      glide_step(space_, options_.guardrails.limits, from, experiment_->move.target);
  const guard::Verdict verdict = guard_.propose(next, guard::Lane::kExperiment, now.at,
                                                guard_.unproven());
  if (!verdict.permitted) {
    const std::string reason =
        fmt::format("guard: {}", guard::to_string(verdict.violation.kind));
    record_change(from, next, guard::Lane::kExperiment, ChangeState::kRefused, reason);
    if (verdict.violation.kind == guard::ViolationKind::kRate) return {};
    return revert(challenger_.total(kIncumbentSeconds), reason, true);
  }
  if (auto applied = apply(from, guard::Lane::kExperiment,
                           record_.decisions.back().reason); !applied) {
    return revert({}, applied.error().message, true);
  }
  if (in_force() == experiment_->move.target) begin_settling(now);
  return {};
}

void Loop::begin_settling(const serving::Observation& now) {
  Duration settle = std::chrono::seconds(5);
  const serving::Capabilities& caps = engine_.capabilities();
  for (std::size_t k = 0; k < space_.size() && k < caps.settle.size(); ++k) {
    const std::size_t slot = space_.offset(k);
    if (experiment_->from[slot] != experiment_->move.target[slot]) {
      settle = std::max(settle, caps.settle[k]);
    }
  }
  phase_ = Phase::kSettle;
  experiment_->settled = now.at + settle;
  experiment_->waiting_low = now.waiting;
  experiment_->waiting_low_at = now.at;
}

// Settled when the least time has passed and the queue that the old setting left has stopped
// shrinking.
void Loop::settle(const serving::Observation& now) {
  if (now.waiting < 0.95 * experiment_->waiting_low - 1) {
    experiment_->waiting_low = now.waiting;
    experiment_->waiting_low_at = now.at;
  }
  const bool still = now.at >= experiment_->waiting_low_at + kQueueStill;
  const bool late = now.at >= experiment_->settled + kSettleMax;
  if (now.at < experiment_->settled || (!still && !late)) return;
  challenger_.clear();
  phase_ = Phase::kMeasure;
}

bool Loop::tripped() const {
  const stats::Counts recent = challenger_.total(10);
  if (recent.n < 30 || recent.rate() <= 2 * experiment_->incumbent.rate()) return false;
  const stats::Comparison c = stats::compare(experiment_->incumbent, recent, 0.02,
                                             evidence_.dispersion());
  return c.log_e_worse >= std::log(1 / kAlpha) + 3;
}

Status Loop::measure(const serving::Observation& now) {
  const stats::Counts challenger = challenger_.total(1e6);
  if (challenger.n < 50) {
    const bool starved =
        to_seconds(now.at - experiment_->started) > options_.window.seconds_max;
    return starved ? revert(challenger, "too few requests to judge", false) : Status{};
  }
  const stats::Counts& incumbent = experiment_->incumbent;
  const double v = std::max(1.0, std::min(evidence_.dispersion(), 30.0));
  const stats::Comparison c = stats::compare(incumbent, challenger, 0, v);
  const double enough = std::log(1 / kAlpha);
  if (c.log_e_better >= enough) {
    return confirm(challenger, fmt::format("bad requests {:.2f} % -> {:.2f} % ({} requests)",
                                           percent(incumbent), percent(challenger),
                                           challenger.n));
  }
  if (c.log_e_worse >= enough) {
    return revert(challenger, "worse than the confirmed setting", true);
  }
  const std::uint64_t window = options_.window.requests_min;
  const bool futile = challenger.n >= kWindowsFutile * window &&
                      challenger.rate() > 0.9 * incumbent.rate();
  const bool out_of_time =
      to_seconds(now.at - experiment_->settled) > options_.window.seconds_max;
  if (futile || out_of_time || challenger.n >= kWindowsMax * window) {
    return revert(challenger, "no better as far as can be told: inconclusive", true);
  }
  return {};
}

Status Loop::confirm(const stats::Counts& challenger, const std::string& reason) {
  guard_.confirm(clock_.now());
  record_decision("confirm", experiment_->from, in_force(), reason, experiment_->incumbent,
                  challenger);
  record_change(experiment_->from, in_force(), guard::Lane::kExperiment, ChangeState::kConfirmed,
                reason);
  proposer_.tell(in_force(), challenger);
  proposer_.passed(experiment_->move);
  reflex_.widen(in_force());
  const Config low = reflex_.low(), high = reflex_.high();
  (void)guard_.set_envelope(low, high);
  evidence_ = challenger_;
  price_ = std::max(kPriceFirst, price_ / 2);
  credit_ = price_;   // the direction is good: the next step need not wait to be paid for
  experiment_.reset();
  phase_ = Phase::kSteady;
  hold_.clear();
  return {};
}

Status Loop::revert(const stats::Counts& challenger, const std::string& reason, bool refuted) {
  const Config from = in_force();
  if (phase_ == Phase::kMeasure) proposer_.tell(from, challenger);
  record_decision("revert", from, experiment_->from, reason, experiment_->incumbent, challenger);
  const guard::Verdict verdict = guard_.revert(clock_.now());
  ARQON_ASSERT(verdict.permitted);
  Status applied;
  if (from != in_force()) applied = apply(from, guard::Lane::kRevert, reason);
  if (refuted) {
    proposer_.failed(experiment_->move);
    price_ = std::min(kPriceMax, 2 * price_);
  }
  quiet_until_ = clock_.now() + std::chrono::seconds(10);
  experiment_.reset();
  phase_ = Phase::kSteady;
  return applied;
}

Status Loop::reflex(const serving::Observation& now) {
  if (!may_write() || guard_.next_allowed(guard::Lane::kReflex, now.at) > now.at) return {};
  const Config from = in_force();
  const auto move = reflex_.move(from, evidence_, now.at);
  if (!move) return {};
  const guard::Verdict verdict = guard_.propose(move->target, guard::Lane::kReflex, now.at);
  if (!verdict.permitted) {
    reflex_.helped(false, now.at);
    record_change(from, move->target, guard::Lane::kReflex, ChangeState::kRefused,
                  fmt::format("guard: {}", guard::to_string(verdict.violation.kind)));
    return {};
  }
  ++decisions_;
  before_reflex_ = evidence_.total(20);
  record_decision("reflex", from, move->target, move->why, *before_reflex_);
  evidence_.clear();
  quiet_until_ = now.at + std::chrono::seconds(5);
  return apply(from, guard::Lane::kReflex, move->why);
}

Status Loop::apply(const Config& from, guard::Lane lane, const std::string& reason) {
  const Config wanted = in_force();
  const auto effective = engine_.apply(wanted);
  if (!effective) {
    record_change(from, wanted, lane, ChangeState::kRefused,
                  fmt::format("engine: {}", effective.error().message));
    return tl::unexpected(effective.error());
  }
  record_change(from, *effective, lane,
                lane == guard::Lane::kRevert ? ChangeState::kReverted : ChangeState::kApplied,
                reason);
  if (*effective != wanted) {
    return fail(ErrorCode::kConflict, "the engine put another setting in force than was asked for");
  }
  return {};
}

void Loop::record_change(const Config& from, const Config& to, guard::Lane lane, ChangeState state,
                         const std::string& reason) {
  for (std::size_t k = 0; k < space_.size(); ++k) {
    for (std::size_t s = space_.offset(k); s < space_.offset(k) + space_[k].slots(); ++s) {
      if (from[s] == to[s]) continue;
      record_.changes.push_back({to_seconds(clock_.now()), decisions_, space_[k].name, from[s],
                                 to[s], std::string(lane_name(lane)), state, reason});
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
