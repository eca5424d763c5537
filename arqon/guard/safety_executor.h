// The guard: between every proposal and every engine. Whole vector or nothing; each refusal typed.
// Hot path: no allocation, lock, exception, syscall, clock read or string after construction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/guard/config_cell.h"
#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::guard {

constexpr std::size_t kSlotsMax = 64;  // dense slots of one setting

enum class Lane : std::uint8_t { kExperiment, kReflex, kRevert };

enum class ViolationKind : std::uint8_t {
  kNone,
  kWrongLength,      // not one value per slot
  kNotFinite,        // NaN or infinity
  kOutOfBounds,
  kOffGrid,          // not an integer, category or step of its parameter
  kNotSimplex,       // weights negative or not summing to 1
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
  std::uint16_t param = 0;      // index in the Space
  double value = 0;             // what was proposed
  double limit = 0;             // what it broke
};

struct Verdict {
  bool permitted = false;
  std::uint64_t generation = 0; // of the setting in force after the call
  Violation violation;
};

// Counters for telemetry; applied + refused = proposed.
struct GuardCounts {
  std::uint64_t proposed = 0, applied = 0, refused = 0, reverted = 0;
};

// Single writer thread; any thread may read the ConfigCell. Time is passed in; a `now` earlier than
// one seen before neither refills nor clears any limit.
class SafetyExecutor {
 public:
  // kInvalidConfig when guardrails do not fit the space (lengths, min >= max, max_delta <= 0,
  // bounds outside the domain) or the space has more than kSlotsMax slots.
  static Result<SafetyExecutor> create(const Space& space, const Guardrails& guardrails);

  // The confirmed setting the stack was found with. Must come before the first change; replaces
  // the confirmed set and the value in force.
  Violation set_baseline(std::span<const double> setting, TimePoint now) noexcept;

  // Checks in the order of ViolationKind and publishes into the cell when all hold. An experiment
  // becomes the one unproven change until confirm() or revert(); a glide's later steps pass with
  // `continues_glide`. A reflex move needs the value to stay inside the confirmed envelope.
  Verdict propose(std::span<const double> setting, Lane lane, TimePoint now,
                  bool continues_glide = false) noexcept;

  // The setting in force becomes the confirmed one.
  void confirm(TimePoint now) noexcept;
  // Back to the confirmed setting, at once: ignores max_delta, rate, safe mode and freeze.
  Verdict revert(TimePoint now) noexcept;

  // Reflex envelope [low, high] per slot, proven by experiments. Starts as the baseline alone.
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
  bool safe_mode_ = false;
  bool frozen_ = false;
  bool unproven_ = false;
  GuardCounts counts_;
  // (the rest is the guard's own)
};

}  // namespace arqon::guard
