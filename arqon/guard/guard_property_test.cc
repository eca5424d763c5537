// A million random and hostile calls against the executor. Two judges watch, neither of which
// shares code with it: a fake engine behind the cell, which accepts nothing that breaks a promise,
// and a slow model that says what every call must answer.
// The mutation targets link this same test with an executor that lacks one check; it must fail.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/guard/safety_executor.h"
#include "arqon/guard/testing/hostile.h"
#include "arqon/guard/testing/naive_facts.h"

namespace arqon::guard {
namespace {

using testing::Answer;
using testing::both;
using testing::Knob;
using testing::ordinary;

#ifdef __OPTIMIZE__
constexpr int kRuns = 1000;
#else
constexpr int kRuns = 100;
#endif
constexpr int kCallsPerRun = 1200;

// Which promise a whole setting breaks first; kEither when only rounding decides.
struct Expected {
  ViolationKind kind = ViolationKind::kNone;
  bool either = false;
};

class World {
 public:
  World(Rng& rng, std::vector<Knob> knobs, const std::vector<double>& start, double rate,
        double reflex_rate)
      : rng_(rng),
        knobs_(std::move(knobs)),
        last_(start),
        period_ns_{1e9L / rate, 1e9L / reflex_rate} {
    std::vector<Parameter> parameters;
    Guardrails guardrails{
        .limits = {}, .max_updates_per_second = rate, .reflex_updates_per_second = reflex_rate};
    draw_paces(guardrails);
    for (Knob& knob : knobs_) {
      knob.slot = slots_;
      slots_ += knob.p.slots();
      parameters.push_back(knob.p);
      guardrails.limits.push_back(knob.limits);
    }
    if (constraint_) guardrails.constraints.push_back(*constraint_);
    Result<SafetyExecutor> made = SafetyExecutor::create(Space(parameters), guardrails);
    if (!made) {
      failure_ = "create: " + made.error().message;
      return;
    }
    executor_.emplace(std::move(*made));
    reader_.emplace(executor_->cell());
  }

  // Runs `calls` calls; the first broken promise in words, or nothing.
  std::optional<std::string> run(int calls) {
    for (int i = 0; i < calls && !failure_; ++i) {
      pass_time();
      one_call();
      check_books();
      if (failure_) *failure_ += " (call " + std::to_string(i) + ")";
    }
    return failure_ ? failure_ : misnamed_;
  }
  std::uint64_t proposed() const { return proposed_; }
  std::uint64_t applied() const { return applied_; }

 private:
  enum class Source { kNothing, kExperiment, kReflex, kRevert, kBaseline };

  void fail(std::string why) {
    if (!failure_) failure_ = std::move(why);
  }
  bool chance(double p) { return rng_.uniform() < p; }

  void draw_paces(Guardrails& g) {
    if (chance(0.5)) g.window_s = rng_.uniform(2, 20);
    if (chance(0.2)) g.cool_down_s = rng_.uniform(0.5, 10);
    if (chance(0.2)) g.failures_per_hour = static_cast<std::uint32_t>(2 + rng_.below(5));
    window_ns_ = static_cast<std::int64_t>(g.window_s * 1e9);
    if (chance(0.5)) g.blast.share = rng_.uniform(0.01, 0.6);
    if (chance(0.5)) g.blast.domains = static_cast<std::uint32_t>(1 + rng_.below(3));
    g.blast.spare = static_cast<std::uint32_t>(rng_.below(3));
    blast_ = g.blast;
    cool_down_ns_ = static_cast<std::int64_t>(g.cool_down_s * 1e9);
    failures_per_hour_ = g.failures_per_hour;
    if (!chance(0.3)) return;
    // Two slots, one of them perhaps times the other, and a limit with some room from the start.
    const auto slot = [&] { return static_cast<std::uint16_t>(rng_.below(last_.size())); };
    Constraint c{.terms = {{rng_.uniform(-1, 2), slot(), Constraint::kOne},
                           {rng_.uniform(-1, 2), slot(), Constraint::kOne}},
                 .limit = 0,
                 .text = "two slots"};
    if (chance(0.3)) c.terms[1].times = slot();
    c.limit = static_cast<double>(sum_of(c, last_));
    c.limit += std::abs(c.limit) * rng_.uniform(0, 0.5) + rng_.uniform(0.01, 5);
    constraint_ = c;
  }

  static long double sum_of(const Constraint& c, std::span<const double> s) {
    long double sum = 0;
    for (const Constraint::Term& t : c.terms) {
      const long double factor = t.times == Constraint::kOne ? 1.0L : s[t.times];
      sum += static_cast<long double>(t.weight) * s[t.slot] * factor;
    }
    return sum;
  }

  // Does a total over the last window, with `more` on top, keep to the limit? What lies up to a
  // fifteenth of a window further back may count or not.
  template <typename Times, typename Size>
  Answer within(const Times& times, const Size& size, long double more, long double limit) const {
    long double least = more, most = more;
    for (const auto& entry : times) {
      const auto [at, amount] = size(entry);
      const long double age = static_cast<long double>(time_ns_) - static_cast<long double>(at);
      if (age < static_cast<long double>(window_ns_)) least += amount;
      if (age <= static_cast<long double>(window_ns_) * 16 / 15 + 16) most += amount;
    }
    const long double room = 1e-8L * limit + 1e-12L * std::max(1.0L, most);
    if (least > limit + room) return Answer::kNo;
    return most <= limit - room || (most <= limit && room == 0) ? Answer::kYes : Answer::kEither;
  }

  bool jumps(const Knob& k, std::span<const double> s, Lane lane) const {
    const bool line = (k.p.type == ParamType::kFloat || k.p.type == ParamType::kInt ||
                       k.p.type == ParamType::kBool) &&
                      k.p.scale != Scale::kPeriodic;
    if (lane != Lane::kReflex || !envelope_proven_ || !line) return false;
    const double way = s[k.slot] - last_[k.slot];
    return k.limits.protective > 0 ? way > 0 : k.limits.protective < 0 && way < 0;
  }

  bool moved(const Knob& k, std::span<const double> s) const {
    for (std::size_t i = k.slot; i < k.slot + k.p.slots(); ++i) {
      if (s[i] != last_[i]) return true;
    }
    return false;
  }

  Answer turns_kept(const Knob& k, std::span<const double> s) const {
    Answer kept = Answer::kYes;
    for (std::size_t i = k.slot; i < k.slot + k.p.slots() && k.limits.flips > 0; ++i) {
      if (s[i] == last_[i] || !turns(k, i, s[i])) continue;
      long double n = 1, sure = 1;
      for (const std::int64_t at : past_[i].turns) {
        const long double age = static_cast<long double>(time_ns_) - static_cast<long double>(at);
        sure += age < static_cast<long double>(window_ns_) ? 1 : 0;
        n += age <= static_cast<long double>(window_ns_) * 16 / 15 + 16 ? 1 : 0;
      }
      if (sure > k.limits.flips) return Answer::kNo;
      if (n > k.limits.flips) kept = Answer::kEither;
    }
    return kept;
  }

  bool turns(const Knob& k, std::size_t slot, double to) const {
    const double before = past_[slot].direction;
    if (before == 0) return false;
    if (k.p.type == ParamType::kCategorical) return true;
    return (k.direction(last_[slot], to) < 0) != (before < 0);
  }

  Answer travel_kept(const Knob& k, std::span<const double> s) const {
    if (k.limits.travel == 0) return Answer::kYes;
    return within(
        past_[k.slot].moves, [](const auto& move) { return move; },
        k.length(&last_[k.slot], &s[k.slot]), k.limits.travel);
  }

  bool rested(const Knob& k) const {
    for (std::size_t i = k.slot; i < k.slot + k.p.slots(); ++i) {
      if (!past_[i].moved_ns) continue;
      const auto rest = static_cast<std::uint64_t>(time_ns_) -
                        static_cast<std::uint64_t>(*past_[i].moved_ns);
      if (rest < static_cast<std::uint64_t>(k.limits.dwell_s * 1e9)) return false;
    }
    return true;
  }

  // What a permitted change of either lane leaves behind.
  void remember(std::span<const double> now) {
    for (const Knob& k : knobs_) {
      if (!moved(k, now)) continue;
      past_[k.slot].moves.emplace_back(time_ns_, k.length(&last_[k.slot], &now[k.slot]));
      for (std::size_t i = k.slot; i < k.slot + k.p.slots(); ++i) {
        if (now[i] == last_[i]) continue;
        if (turns(k, i, now[i])) past_[i].turns.push_back(time_ns_);
        past_[i].direction = k.direction(last_[i], now[i]);
        past_[i].moved_ns = time_ns_;
      }
    }
  }

  // The rest of the lattice, once everything in judge() holds.
  Expected judge_pace(std::span<const double> s, Lane lane, bool glide, Expected e) const {
    const auto verdict = [&](ViolationKind kind) { return Expected{kind, e.either}; };
    const Owner by = lane == Lane::kReflex ? Owner::kReflex : Owner::kSolver;
    for (const Knob& k : knobs_) {
      if (!moved(k, s)) continue;
      if (k.limits.owner != Owner::kAnyone && k.limits.owner != by) {
        return verdict(ViolationKind::kOwner);
      }
      if (lane == Lane::kReflex && k.p.change_class == ChangeClass::kRestart) {
        return verdict(ViolationKind::kLane);
      }
    }
    if (lane == Lane::kExperiment && closed_until_ns_ && time_ns_ < *closed_until_ns_) {
      return verdict(ViolationKind::kCoolDown);
    }
    for (const Knob& k : knobs_) {
      if (!moved(k, s)) continue;
      if (!glide && !jumps(k, s, lane) && !rested(k)) return verdict(ViolationKind::kDwell);
      const Answer flips = turns_kept(k, s), travel = travel_kept(k, s);
      if (flips == Answer::kNo) return verdict(ViolationKind::kFlips);
      if (flips == Answer::kEither) e.either = true;
      if (travel == Answer::kNo) return verdict(ViolationKind::kTravel);
      if (travel == Answer::kEither) e.either = true;
    }
    return e;
  }

  // Moves true time on, mostly by about one period, often not at all; sometimes the clock that is
  // shown to the guard lies in the past.
  void pass_time() {
    const double kind = rng_.uniform();
    if (kind < 0.6) true_ns_ += static_cast<std::int64_t>(rng_.uniform() * 1.5e9);
    if (kind > 0.995) true_ns_ += 86'400'000'000'000;
    shown_ = TimePoint(Duration(true_ns_));
    if (chance(0.05)) shown_ -= from_seconds(rng_.uniform() * 7200);
    if (chance(0.002)) shown_ = TimePoint::min();
  }

  // The reading handed to the guard; what a limit may count as time is the latest one so far.
  TimePoint reading() {
    time_ns_ = std::max(time_ns_, shown_.time_since_epoch().count());
    return shown_;
  }

  void one_call() {
    const double what = rng_.uniform();
    if (what < 0.90) return propose();
    if (what < 0.94) return confirm();
    if (what < 0.96) return revert();
    if (what < 0.97) return chance(0.5) ? envelope() : reach();
    if (what < 0.98) return baseline();
    if (what < 0.982) return executor_->freeze(), void(frozen_ = true);
    if (what < 0.984) return executor_->enter_safe_mode(), void(safe_mode_ = true);
    if (what < 0.992) return executor_->unfreeze(), void(frozen_ = false);
    executor_->leave_safe_mode(), void(safe_mode_ = false);
  }

  // ---- what is proposed ----

  std::span<const double> draw_setting() {
    // Behind a short setting lie plausible values: length alone gives it away.
    for (std::size_t i = 0; i < proposal_.size(); ++i) proposal_[i] = last_[i % slots_];
    const std::uint64_t moves = chance(0.1) ? knobs_.size() : 1 + rng_.below(2);
    for (std::uint64_t i = 0; i < moves; ++i) {
      const Knob& k = knobs_[rng_.below(knobs_.size())];
      if (k.p.type == ParamType::kSimplex) {
        move_simplex(k, &proposal_[k.slot], rng_);
      } else {
        move_scalar(k, proposal_[k.slot], rng_);
      }
    }
    const std::size_t length = chance(0.02) ? rng_.below(proposal_.size()) : slots_;
    return {proposal_.data(), length};
  }

  // ---- what must come of it ----

  Expected judge_values(std::span<const double> s) const {
    if (s.size() != slots_) return {ViolationKind::kWrongLength};
    for (const double v : s) {
      if (!ordinary(v)) return {ViolationKind::kNotFinite};
    }
    for (const Knob& k : knobs_) {
      for (std::size_t i = 0; i < k.p.slots(); ++i) {
        const double v = s[k.slot + i];
        if (v < k.limits.min || v > k.limits.max) return {ViolationKind::kOutOfBounds};
      }
    }
    Answer grid = Answer::kYes, sum = Answer::kYes;
    for (const Knob& k : knobs_) {
      grid = both(grid, k.grid(s[k.slot]));
      sum = both(sum, k.sum(&s[k.slot]));
    }
    if (grid == Answer::kNo) return {ViolationKind::kOffGrid};
    if (sum == Answer::kNo) return {ViolationKind::kNotSimplex, grid == Answer::kEither};
    const Expected values{ViolationKind::kNone, both(grid, sum) == Answer::kEither};
    if (!constraint_) return values;
    const long double over = sum_of(*constraint_, s) - constraint_->limit;
    if (std::abs(over) <= 1e-8L * (1 + constraint_room())) return {values.kind, true};
    if (over > 0) return {ViolationKind::kConstraint, values.either};
    return values;
  }

  // The size of the numbers in the constraint.
  long double constraint_room() const {
    long double size = std::abs(constraint_->limit);
    for (const Constraint::Term& t : constraint_->terms) {
      const auto largest = [&](std::uint16_t slot) {
        return std::max(std::abs(low_of_limits()[slot]), std::abs(high_of_limits()[slot]));
      };
      size += std::abs(t.weight) * largest(t.slot) *
              (t.times == Constraint::kOne ? 1 : largest(t.times));
    }
    return size;
  }

  bool token(Lane lane) const {
    const auto& last = last_ns_[lane == Lane::kReflex];
    if (!last) return true;
    const long double elapsed =
        static_cast<long double>(time_ns_) - static_cast<long double>(*last);
    return elapsed >= std::ceil(period_ns_[lane == Lane::kReflex]);
  }

  Expected judge(std::span<const double> s, Lane lane, bool glide) const {
    Expected e = judge_values(s);
    if (e.kind != ViolationKind::kNone) return e;
    const auto verdict = [&](ViolationKind kind) { return Expected{kind, e.either}; };
    if (has_baseline_ && lane == Lane::kReflex) {
      for (std::size_t i = 0; i < slots_; ++i) {
        if (s[i] < low_[i] || s[i] > high_[i]) {
          // The envelope is a bound: it is named before the grid is looked at only by its kind.
          return verdict(ViolationKind::kOutOfBounds);
        }
      }
    }
    for (const Knob& k : knobs_) {
      if (!has_baseline_) break;
      if (jumps(k, s, lane)) continue;
      const Answer near = k.near_enough(&last_[k.slot], &s[k.slot]);
      if (near == Answer::kNo) return verdict(ViolationKind::kMaxDelta);
      if (near == Answer::kEither) e.either = true;
    }
    if (!token(lane)) return verdict(ViolationKind::kRate);
    if (!has_baseline_) return verdict(ViolationKind::kNoBaseline);
    if (lane == Lane::kExperiment && unproven_ && !glide) {
      return verdict(ViolationKind::kUnprovenPending);
    }
    if (safe_mode_) return verdict(ViolationKind::kSafeMode);
    if (frozen_) return verdict(ViolationKind::kFrozen);
    for (const Knob& k : knobs_) {
      for (std::size_t i = 0; i < k.p.slots(); ++i) {
        const bool moves = s[k.slot + i] != last_[k.slot + i];
        if (moves && k.p.change_class == ChangeClass::kForbidden) {
          return verdict(ViolationKind::kForbidden);
        }
      }
    }
    return judge_pace(s, lane, glide, e);
  }

  // The engine: looks at the cell after every call and refuses to be sent what was ruled out.
  void engine(Source source) {
    const Snapshot& seen = reader_->current();
    if (source == Source::kNothing) {
      if (seen.generation != generation_) fail("engine: something was published by a refused call");
      return;
    }
    if (seen.generation != generation_ + 1) fail("engine: generation did not rise by one");
    generation_ = seen.generation;
    if (seen.size != slots_) return fail("engine: partial setting");
    const auto now = seen.setting();
    if (const Expected e = judge_values(now); e.kind != ViolationKind::kNone && !e.either) {
      fail("engine: received a value that breaks " + std::string(to_string(e.kind)));
    }
    if (source == Source::kExperiment || source == Source::kReflex) {
      engine_change(now, source == Source::kReflex);
    }
    last_.assign(now.begin(), now.end());
  }

  // A change that is neither a revert nor a baseline.
  void engine_change(std::span<const double> now, bool reflex) {
    if (!has_baseline_) fail("engine: changed before a baseline");
    if (safe_mode_ || frozen_) fail("engine: changed while stopped");
    if (!reflex && unproven_ && !glide_) fail("engine: a second unproven change");
    const Lane lane = reflex ? Lane::kReflex : Lane::kExperiment;
    for (const Knob& k : knobs_) {
      if (turns_kept(k, now) == Answer::kNo) fail("engine: one turn too many of " + k.p.name);
      if (travel_kept(k, now) == Answer::kNo) fail("engine: " + k.p.name + " travels too far");
      if (!jumps(k, now, lane) && k.near_enough(&last_[k.slot], &now[k.slot]) == Answer::kNo) {
        fail("engine: step over max_delta of " + k.p.name);
      }
      for (std::size_t i = k.slot; i < k.slot + k.p.slots(); ++i) {
        if (reflex && has_baseline_ && (now[i] < low_[i] || now[i] > high_[i])) {
          fail("engine: a reflex move outside the envelope");
        }
        if (k.p.change_class == ChangeClass::kForbidden && now[i] != last_[i]) {
          fail("engine: a forbidden knob moved");
        }
      }
    }
    if (!token(reflex ? Lane::kReflex : Lane::kExperiment)) {
      fail("engine: two changes of one lane within its period");
    }
    last_ns_[reflex] = time_ns_;
    remember(now);
  }

  void propose() {
    const double which = rng_.uniform();
    const Lane lane = which < 0.6    ? Lane::kExperiment
                      : which < 0.97 ? Lane::kReflex
                                     : Lane::kRevert;
    glide_ = chance(0.5);
    const TimePoint now = reading();
    const std::span<const double> setting = draw_setting();
    if (lane == Lane::kRevert) {
      after_revert(executor_->propose(setting, lane, now, glide_));
      return;
    }
    ++proposed_;
    const Expected expected = judge(setting, lane, glide_);
    const Violation foreseen = executor_->check({setting, lane, now, glide_, Owner::kAnyone});
    const Verdict verdict = executor_->propose(setting, lane, now, glide_);
    if (foreseen.kind == ViolationKind::kNone && !verdict.permitted) {
      fail("check() said yes to what propose() refused");
    }
    if (verdict.permitted != (verdict.violation.kind == ViolationKind::kNone)) {
      fail("permitted and violation disagree");
    }
    if (verdict.permitted) {
      ++applied_;
      const std::vector<double> sent(setting.begin(), setting.end());
      engine(lane == Lane::kReflex ? Source::kReflex : Source::kExperiment);
      if (last_ != sent) fail("engine: received another setting than was permitted");
      unproven_ = unproven_ || lane == Lane::kExperiment;
    } else {
      engine(Source::kNothing);
    }
    if (verdict.generation != generation_) fail("verdict names another generation");
    if (verdict.violation.kind != expected.kind && !expected.either) {
      const std::string why = "answered " + std::string(to_string(verdict.violation.kind)) +
                              ", must be " + std::string(to_string(expected.kind));
      // A refusal with the wrong reason can wait: perhaps something worse comes of the same fault.
      const bool harmless = !verdict.permitted && expected.kind != ViolationKind::kNone;
      harmless ? void(misnamed_ = misnamed_.value_or(why)) : fail(why);
    }
  }

  void confirm() {
    executor_->confirm(reading());
    if (has_baseline_) confirmed_ = last_, unproven_ = false;
    engine(Source::kNothing);
  }

  void revert() {
    const bool failed = chance(0.5);
    const TimePoint now = reading();
    if (failed) count_failure();
    after_revert(executor_->revert(now, failed ? SafetyExecutor::Why::kFailed
                                               : SafetyExecutor::Why::kNotNamed));
  }

  void count_failure() {
    constexpr std::int64_t kHour = 3'600'000'000'000;
    failed_ns_.push_back(time_ns_);
    const auto recent = std::count_if(failed_ns_.begin(), failed_ns_.end(), [&](std::int64_t at) {
      return static_cast<long double>(time_ns_) - static_cast<long double>(at) < kHour;
    });
    if (failures_per_hour_ > 0 && recent >= failures_per_hour_) frozen_ = true;
    if (cool_down_ns_ == 0) return;
    long double closed = static_cast<long double>(cool_down_ns_);
    for (int i = 1; i < recent; ++i) closed = std::min<long double>(kHour, 2 * closed);
    closed_until_ns_ = time_ns_ + static_cast<std::int64_t>(closed);
  }

  void after_revert(const Verdict& verdict) {
    if (verdict.permitted != has_baseline_) fail("a revert was refused, or had nowhere to go");
    if (!has_baseline_) return engine(Source::kNothing);
    ++reverted_;
    engine(Source::kRevert);
    if (last_ != confirmed_) fail("engine: a revert led elsewhere than to the confirmed set");
    unproven_ = false;
  }

  void envelope() {
    const std::span<const double> a = draw_setting();
    std::vector<double> low(a.begin(), a.end());
    const std::span<const double> b = draw_setting();
    std::vector<double> high(b.begin(), b.end());
    for (std::size_t i = 0; chance(0.98) && i < std::min(low.size(), high.size()); ++i) {
      if (low[i] > high[i]) std::swap(low[i], high[i]);
    }
    if (chance(0.6)) low = low_of_limits(), high = high_of_limits();
    bool sound = has_baseline_ && low.size() == slots_ && high.size() == slots_;
    for (std::size_t i = 0; sound && i < slots_; ++i) {
      sound = ordinary(low[i]) && ordinary(high[i]) && low[i] <= high[i] &&
              low[i] >= low_of_limits()[i] && high[i] <= high_of_limits()[i];
    }
    const bool proven = chance(0.5);
    const EnvelopeProof proof = proven ? EnvelopeProof::kEndsAndMiddle : EnvelopeProof::kPartly;
    const bool taken = executor_->set_envelope(low, high, proof).kind == ViolationKind::kNone;
    if (taken != sound) fail("envelope taken or refused wrongly");
    if (taken) low_ = low, high_ = high, envelope_proven_ = proven;
    engine(Source::kNothing);
  }

  void reach() {
    const auto draw = [&](std::uint64_t n) { return static_cast<std::uint32_t>(rng_.below(n)); };
    const Reach r{1 + draw(4), 1 + draw(30), 1 + draw(4), draw(30)};
    bool fits = blast_.share == 0 || r.replicas == 1 || r.replicas <= blast_.share * r.cohort;
    fits = fits && (blast_.domains == 0 || r.domains <= blast_.domains);
    const int left = static_cast<int>(r.cohort) - static_cast<int>(r.replicas);
    fits = fits && (r.needed == 0 || left >= static_cast<int>(r.needed + blast_.spare));
    if ((executor_->check_reach(r).kind == ViolationKind::kNone) != fits) {
      fail("a reach taken or refused wrongly");
    }
  }

  std::vector<double> low_of_limits() const {
    std::vector<double> out;
    for (const Knob& k : knobs_) out.insert(out.end(), k.p.slots(), k.limits.min);
    return out;
  }
  std::vector<double> high_of_limits() const {
    std::vector<double> out;
    for (const Knob& k : knobs_) out.insert(out.end(), k.p.slots(), k.limits.max);
    return out;
  }

  void baseline() {
    // Many guards start with proposals before any baseline; see `last_`.
    const std::span<const double> setting = draw_setting();
    const Expected expected = judge_values(setting);
    const bool stopped = has_baseline_ && (safe_mode_ || frozen_);
    const bool taken = executor_->set_baseline(setting, reading()).kind == ViolationKind::kNone;
    if (!expected.either && taken != (expected.kind == ViolationKind::kNone && !stopped)) {
      fail("baseline taken or refused wrongly");
    }
    engine(taken ? Source::kBaseline : Source::kNothing);
    if (!taken) return;
    has_baseline_ = true;
    unproven_ = false;
    confirmed_ = low_ = high_ = last_;
    envelope_proven_ = false;
  }

  void check_books() {
    const GuardCounts& c = executor_->counts();
    if (c.proposed != proposed_ || c.applied != applied_ || c.reverted != reverted_ ||
        c.applied + c.refused != c.proposed) {
      fail("counters do not add up");
    }
    if (executor_->unproven() != unproven_) fail("unproven() is wrong");
    if (!has_baseline_) return;
    if (!std::ranges::equal(executor_->in_force(), last_)) fail("in_force() is not what was sent");
    if (!std::ranges::equal(executor_->confirmed(), confirmed_)) fail("confirmed() is wrong");
  }

 private:
  Rng& rng_;
  std::vector<Knob> knobs_;
  std::vector<double> last_;  // in force at the engine
  std::array<long double, 2> period_ns_;  // experiment, reflex
  std::size_t slots_ = 0;
  std::optional<SafetyExecutor> executor_;
  std::optional<ConfigReader> reader_;
  std::optional<std::string> failure_, misnamed_;

  std::int64_t true_ns_ = 1'000'000'000'000;
  TimePoint shown_;
  std::int64_t time_ns_ = std::numeric_limits<std::int64_t>::min();
  std::array<std::optional<std::int64_t>, 2> last_ns_;
  std::vector<double> confirmed_, low_, high_;
  std::int64_t window_ns_ = 0;
  std::int64_t cool_down_ns_ = 0;
  std::uint32_t failures_per_hour_ = 0;
  std::optional<Constraint> constraint_;
  bool envelope_proven_ = false;
  BlastRadius blast_;
  // What each slot has done: its moves (a simplex: of the whole, at its first slot), its turns, its
  // last direction and when it moved.
  struct Past {
    std::vector<std::pair<std::int64_t, double>> moves;
    std::vector<std::int64_t> turns;
    double direction = 0;
    std::optional<std::int64_t> moved_ns;
  };
  std::array<Past, kSlotsMax> past_;
  std::vector<std::int64_t> failed_ns_;
  std::optional<std::int64_t> closed_until_ns_;
  std::array<double, 2 * kSlotsMax> proposal_{};
  std::uint64_t generation_ = 0, proposed_ = 0, applied_ = 0, reverted_ = 0;
  bool glide_ = false, has_baseline_ = false, unproven_ = false, safe_mode_ = false,
       frozen_ = false;
};

TEST(GuardProperty, no_hostile_proposal_reaches_the_engine_and_no_sound_one_is_refused) {
  std::uint64_t proposed = 0, applied = 0;
  for (int run = 0; run < kRuns; ++run) {
    Rng rng = Rng(20240601).stream("guard").stream(static_cast<std::uint64_t>(run));
    std::vector<Knob> knobs;
    std::vector<double> start;
    const std::size_t count = 1 + rng.below(8);
    for (std::size_t i = 0; i < count; ++i) {
      auto [knob, values] = testing::draw_knob(rng, i);
      knobs.push_back(std::move(knob));
      start.insert(start.end(), values.begin(), values.end());
    }
    const double rate = rng.uniform(0.3, 3), reflex_rate = rng.uniform(0.3, 3);
    World world(rng, std::move(knobs), start, rate, reflex_rate);
    const auto failure = world.run(kCallsPerRun);
    ASSERT_FALSE(failure.has_value()) << "run " << run << ": " << *failure;
    proposed += world.proposed();
    applied += world.applied();
  }
  RecordProperty("proposed", std::to_string(proposed));
  RecordProperty("applied", std::to_string(applied));
  // The quiet way to pass would be to let nothing through.
  EXPECT_GE(proposed, static_cast<std::uint64_t>(kRuns) * 1000);
  EXPECT_GE(applied, proposed / 25);
}

}  // namespace
}  // namespace arqon::guard
