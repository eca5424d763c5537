// The guard: between every proposal and every engine. Whole vector or nothing; each refusal typed.
// Hot path: no allocation, lock, exception, syscall, clock read or string after construction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/guard/config_cell.h"
#include "arqon/guard/guardrails.h"
#include "arqon/guard/internal/history.h"
#include "arqon/guard/internal/rules.h"
#include "arqon/guard/token_bucket.h"
#include "arqon/space/space.h"

namespace arqon::guard {

enum class Lane : std::uint8_t { kExperiment, kReflex, kRevert };

enum class ViolationKind : std::uint8_t {
  kNone,
  kWrongLength,      // not one value per slot
  kNotFinite,        // NaN, infinity, a denormal or -0: no number an engine should be sent
  kOutOfBounds,      // outside the guardrails, or a reflex move outside the envelope
  kOffGrid,          // not an integer, category or step of its parameter
  kNotSimplex,       // weights not summing to 1 within 1e-6
  kConstraint,       // a sum of the guardrails' constraints is over its limit
  kMaxDelta,         // a step larger than max_delta, max_rise or max_ratio allow
  kRate,             // the lane's token bucket is empty
  kNoBaseline,       // no baseline was set before the first change
  kUnprovenPending,  // an unproven change is in force; confirm or revert it first
  kSafeMode,         // only reverts pass
  kFrozen,           // only reverts pass
  kForbidden,        // the knob's class does not allow a change
  kOwner,            // the knob is somebody else's to move
  kLane,             // a reload or a restart by the reflex lane
  kCoolDown,         // experiments failed lately: the lane is closed
  kDwell,            // the knob moved a moment ago
  kFlips,            // the knob would turn round once more than its window allows
  kTravel,           // the knob would travel further than its window allows
  kReach,            // too many replicas or failure domains, or too little left over
};
std::string_view to_string(ViolationKind kind);

// Trivially copyable; rendered to text only by the reader of a record.
struct Violation {
  ViolationKind kind = ViolationKind::kNone;
  std::uint16_t param = 0;  // index in the Space
  // What was proposed and what it broke, in the knob's unit. kWrongLength: slots given and wanted;
  // kNotSimplex: the sum and 1; kConstraint: the sum and its limit, `param` the constraint's
  // number; kMaxDelta of a simplex: the total variation and max_delta; of others: the value and the
  // step that was allowed; kRate: seconds still to wait and seconds per token; kCoolDown, kDwell:
  // seconds still to wait and in all; kFlips: flips with this one and limit; kTravel: the way with
  // this one and limit; kReach: replicas or domains, and limit; kOwner: who asked and whose it is.
  double value = 0;
  double limit = 0;
};

struct Verdict {
  bool permitted = false;
  std::uint64_t generation = 0;  // of the setting in force after the call
  Violation violation;
};

// One proposal with everything that may be said of it.
struct Proposal {
  std::span<const double> setting;
  Lane lane = Lane::kExperiment;
  TimePoint now{};
  bool continues_glide = false;
  Owner by = Owner::kAnyone;  // kAnyone: the solver, or the reflex in its lane
};

// Where an unproven setting would be in force.
struct Reach {
  std::uint32_t replicas = 1;  // that get it
  std::uint32_t cohort = 1;    // replicas in all
  std::uint32_t domains = 1;   // failure domains they lie in
  std::uint32_t needed = 0;    // replicas that the load of this hour needs
};

// What experiments have shown of an envelope: only of one that is proven at both ends and in the
// middle may the reflex lane jump.
enum class EnvelopeProof : std::uint8_t { kPartly, kEndsAndMiddle };

// Counters for telemetry; applied + refused = proposed. Reverts count in `reverted` alone.
struct GuardCounts {
  std::uint64_t proposed = 0, applied = 0, refused = 0, reverted = 0;
};

// Single writer thread; any thread may read the ConfigCell. Time is passed in; a `now` earlier than
// one seen before neither refills nor clears any limit.
class SafetyExecutor {
 public:
  // kInvalidConfig, naming the knob, when guardrails do not fit the space (lengths, min >= max,
  // bounds outside the domain, max_delta <= 0 or below one step of the grid, a rate <= 0) or the
  // space has no slot or more than kSlotsMax. The only call that allocates.
  static Result<SafetyExecutor> create(const Space& space, const Guardrails& guardrails);

  // The confirmed setting the stack was found with. Must come before the first change; replaces
  // the confirmed set, the value in force and the envelope. Checked like a proposal, except for
  // max_delta and rate; a second baseline is refused in safe mode and freeze.
  Violation set_baseline(std::span<const double> setting, TimePoint now) noexcept;

  // Checks in the order of ViolationKind and publishes into the cell when all hold; a refusal
  // changes nothing but the counters. An experiment becomes the one unproven change until confirm()
  // or revert(); a glide's later steps pass with `continues_glide`. A reflex move must land inside
  // the envelope in every slot, also while an experiment is in force, and is not an unproven
  // change. Distances: circular for a periodic knob, 1 between any two categories, total variation
  // for a simplex. Lane::kRevert is revert(): `setting` is ignored.
  // A reflex move in a knob's protective direction may jump (ignores max_delta and dwell) inside an
  // envelope that is proven.
  Verdict propose(const Proposal& proposal) noexcept;
  Verdict propose(std::span<const double> setting, Lane lane, TimePoint now,
                  bool continues_glide = false) noexcept {
    return propose({setting, lane, now, continues_glide, Owner::kAnyone});
  }
  // What propose() would answer, changing nothing and counting nothing.
  Violation check(const Proposal& proposal) const noexcept;
  // May an unproven setting be in force there? At most max(1, share of the cohort) replicas, as
  // many failure domains as the guardrails say, and enough left over when all of them are lost.
  Violation check_reach(const Reach& reach) const noexcept;

  // The setting in force becomes the confirmed one.
  void confirm(TimePoint now) noexcept;
  // Back to the confirmed setting, at once: ignores max_delta, rate, safe mode and freeze, takes no
  // token, and is refused only when there is no baseline to go back to. kFailed: the evidence was
  // against the change; this is what cool-down and failures_per_hour count.
  enum class Why : std::uint8_t { kNotNamed, kFailed };
  Verdict revert(TimePoint now, Why why = Why::kNotNamed) noexcept;

  // Reflex envelope [low, high] per slot, proven by experiments. Starts as the baseline alone.
  // Refused, leaving the old one, when it reaches outside the guardrails or low > high anywhere.
  Violation set_envelope(std::span<const double> low, std::span<const double> high,
                         EnvelopeProof proof = EnvelopeProof::kPartly) noexcept;

  void enter_safe_mode() noexcept { safe_mode_ = true; }
  void leave_safe_mode() noexcept { safe_mode_ = false; }
  void freeze() noexcept { frozen_ = true; }
  void unfreeze() noexcept { frozen_ = false; }
  bool safe_mode() const noexcept { return safe_mode_; }
  bool frozen() const noexcept { return frozen_; }

  std::span<const double> in_force() const noexcept;
  std::span<const double> confirmed() const noexcept;
  bool unproven() const noexcept { return unproven_; }
  const ConfigCell& cell() const noexcept;
  const GuardCounts& counts() const noexcept { return counts_; }

  // Earliest time at which this lane's bucket has a token again.
  TimePoint next_allowed(Lane lane, TimePoint now) const noexcept;

 private:
  SafetyExecutor(const internal::Rules& rules, const Guardrails& guardrails);

  Violation check(std::span<const double> setting, Lane lane, bool continues_glide) const noexcept;
  // checks.cc
  Violation check_values(std::span<const double> setting) const noexcept;
  Violation check_finite(std::span<const double> setting) const noexcept;
  Violation check_range(std::span<const double> setting, const double* low,
                        const double* high) const noexcept;
  Violation check_grid(std::span<const double> setting) const noexcept;
  Violation check_simplex(std::span<const double> setting) const noexcept;
  Violation check_constraints(std::span<const double> setting) const noexcept;
  Violation check_delta(std::span<const double> setting, Lane lane) const noexcept;
  Violation check_state(const Proposal& proposal) const noexcept;
  Violation check_forbidden(std::span<const double> setting) const noexcept;
  Violation check_owner(const Proposal& proposal) const noexcept;
  Violation check_history(const Proposal& proposal) const noexcept;
  Violation check_knob_history(const internal::Rule& rule, const Proposal& proposal) const noexcept;
  Violation check_closely(const Proposal& proposal) const noexcept;
  bool sweep(std::span<const double> setting) const noexcept;
  bool jumps(const internal::Rule& rule, std::span<const double> setting, Lane lane) const noexcept;
  bool moves(const internal::Rule& rule, std::span<const double> setting) const noexcept;
  Violation violation_at(ViolationKind kind, std::size_t slot, double value,
                         double limit) const noexcept;
  void advance(TimePoint now) noexcept;
  void put_in_force(std::span<const double> setting) noexcept;
  void move_window() noexcept;
  void count_failure() noexcept;

  internal::Rules rules_;
  internal::History history_;
  std::unique_ptr<ConfigCell> cell_;  // on the heap: readers keep its address when this one moves
  alignas(16) internal::Lane16 in_force_{};
  // What the next change may be, per slot: bounds and reach from the setting in force.
  alignas(16) internal::Lane16 window_low_{}, window_high_{};
  internal::Lane16 confirmed_{}, envelope_low_{}, envelope_high_{};
  EnvelopeProof proof_ = EnvelopeProof::kPartly;
  TokenBucket experiment_bucket_;
  TokenBucket reflex_bucket_;
  TimePoint time_ = TimePoint::min();  // latest `now` seen
  std::uint64_t generation_ = 0;
  bool has_baseline_ = false;
  bool safe_mode_ = false;
  bool frozen_ = false;
  bool unproven_ = false;
  GuardCounts counts_;
  static constexpr std::size_t kFailuresMax = 64;
  std::array<TimePoint, kFailuresMax> failed_at_{};  // a ring
  std::uint64_t failures_ = 0;
  TimePoint closed_until_ = TimePoint::min();  // cool-down of the experiment lane
  Duration closed_for_{0};
};

}  // namespace arqon::guard
