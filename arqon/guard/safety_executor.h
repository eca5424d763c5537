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
  kMaxDelta,         // a step larger than max_delta from the value in force
  kRate,             // the lane's token bucket is empty
  kNoBaseline,       // no baseline was set before the first change
  kUnprovenPending,  // an unproven change is in force; confirm or revert it first
  kSafeMode,         // only reverts pass
  kFrozen,           // only reverts pass
  kForbidden,        // the knob's class does not allow a change
};
std::string_view to_string(ViolationKind kind);

// Trivially copyable; rendered to text only by the reader of a record.
struct Violation {
  ViolationKind kind = ViolationKind::kNone;
  std::uint16_t param = 0;  // index in the Space
  // What was proposed and what it broke, in the knob's unit. kWrongLength: slots given and wanted;
  // kNotSimplex: the sum and 1; kMaxDelta of a simplex: the total variation and max_delta;
  // kMaxDelta of others: the value and max_delta; kRate: seconds still to wait and seconds per
  // token.
  double value = 0;
  double limit = 0;
};

struct Verdict {
  bool permitted = false;
  std::uint64_t generation = 0;  // of the setting in force after the call
  Violation violation;
};

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
  Verdict propose(std::span<const double> setting, Lane lane, TimePoint now,
                  bool continues_glide = false) noexcept;

  // The setting in force becomes the confirmed one.
  void confirm(TimePoint now) noexcept;
  // Back to the confirmed setting, at once: ignores max_delta, rate, safe mode and freeze, takes no
  // token, and is refused only when there is no baseline to go back to.
  Verdict revert(TimePoint now) noexcept;

  // Reflex envelope [low, high] per slot, proven by experiments. Starts as the baseline alone.
  // Refused, leaving the old one, when it reaches outside the guardrails or low > high anywhere.
  Violation set_envelope(std::span<const double> low, std::span<const double> high) noexcept;

  void enter_safe_mode() noexcept { safe_mode_ = true; }
  void leave_safe_mode() noexcept { safe_mode_ = false; }
  void freeze() noexcept { frozen_ = true; }
  void unfreeze() noexcept { frozen_ = false; }

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
  Violation check_values(std::span<const double> setting) const noexcept;
  Violation check_finite(std::span<const double> setting) const noexcept;
  Violation check_range(std::span<const double> setting, const double* low,
                        const double* high) const noexcept;
  Violation check_grid(std::span<const double> setting) const noexcept;
  Violation check_simplex(std::span<const double> setting) const noexcept;
  Violation check_delta(std::span<const double> setting) const noexcept;
  Violation check_state(Lane lane, bool continues_glide) const noexcept;
  Violation check_forbidden(std::span<const double> setting) const noexcept;
  Violation violation_at(ViolationKind kind, std::size_t slot, double value,
                         double limit) const noexcept;
  void advance(TimePoint now) noexcept;
  void put_in_force(std::span<const double> setting) noexcept;

  internal::Rules rules_;
  std::unique_ptr<ConfigCell> cell_;  // on the heap: readers keep its address when this one moves
  std::array<double, kSlotsMax> in_force_{};
  std::array<double, kSlotsMax> confirmed_{};
  std::array<double, kSlotsMax> envelope_low_{};
  std::array<double, kSlotsMax> envelope_high_{};
  TokenBucket experiment_bucket_;
  TokenBucket reflex_bucket_;
  TimePoint time_ = TimePoint::min();  // latest `now` seen
  std::uint64_t generation_ = 0;
  bool has_baseline_ = false;
  bool safe_mode_ = false;
  bool frozen_ = false;
  bool unproven_ = false;
  GuardCounts counts_;
};

}  // namespace arqon::guard
