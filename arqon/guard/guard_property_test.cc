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
  World(Rng& rng, std::vector<Knob> knobs, double rate, double reflex_rate)
      : rng_(rng), knobs_(std::move(knobs)), period_ns_{1e9L / rate, 1e9L / reflex_rate} {
    std::vector<Parameter> parameters;
    Guardrails guardrails{
        .limits = {}, .max_updates_per_second = rate, .reflex_updates_per_second = reflex_rate};
    for (Knob& knob : knobs_) {
      knob.slot = slots_;
      slots_ += knob.p.slots();
      parameters.push_back(knob.p);
      guardrails.limits.push_back(knob.limits);
    }
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
    if (what < 0.97) return envelope();
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
    return {ViolationKind::kNone, both(grid, sum) == Answer::kEither};
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
    return e;
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
    for (const Knob& k : knobs_) {
      if (k.near_enough(&last_[k.slot], &now[k.slot]) == Answer::kNo) {
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
    const Verdict verdict = executor_->propose(setting, lane, now, glide_);
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

  void revert() { after_revert(executor_->revert(reading())); }

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
    const bool taken = executor_->set_envelope(low, high).kind == ViolationKind::kNone;
    if (taken != sound) fail("envelope taken or refused wrongly");
    if (taken) low_ = low, high_ = high;
    engine(Source::kNothing);
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

 public:
  // A setting to start from, inside every limit.
  void start_at(std::vector<double> setting) { last_ = std::move(setting); }

 private:
  Rng& rng_;
  std::vector<Knob> knobs_;
  std::array<long double, 2> period_ns_;  // experiment, reflex
  std::size_t slots_ = 0;
  std::optional<SafetyExecutor> executor_;
  std::optional<ConfigReader> reader_;
  std::optional<std::string> failure_, misnamed_;

  std::int64_t true_ns_ = 1'000'000'000'000;
  TimePoint shown_;
  std::int64_t time_ns_ = std::numeric_limits<std::int64_t>::min();
  std::array<std::optional<std::int64_t>, 2> last_ns_;
  std::vector<double> last_;  // in force at the engine
  std::vector<double> confirmed_, low_, high_;
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
    World world(rng, std::move(knobs), rng.uniform(0.3, 3), rng.uniform(0.3, 3));
    world.start_at(start);
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
