// Finds out that the caller rounds a continuous knob before using it, as int(batch_size) does.
#pragma once

#include <span>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/strategies/tpe/border.h"

namespace arqon::solver {

// What becomes of a coordinate before it acts.
enum class Grain { kNone, kFloor, kRound };

// What the losses told so far about each coordinate's grain. A copyable value. Evidence adds up: a
// grain shows where settings are spread, and must not be forgotten once they are close together.
// Coordinates whose unit steps are too fine to matter, and those with a declared grid, keep kNone.
class GrainEvidence {
 public:
  GrainEvidence(const Encoding& encoding, const Space& space);

  // Weighs each grain by how much less residual than none it leaves about a local quadratic.
  void update(const Encoding& encoding, const Space& space, std::span<const Labelled> data,
              const Point& center);
  const std::vector<Grain>& grains() const { return grains_; }
  // True when no coordinate can have a grain: nothing to learn.
  bool is_idle() const { return open_.empty(); }

 private:
  struct Open {
    std::size_t coordinate;
    double floor = 0;  // summed log ratios of residuals, none to floor
    double round = 0;
  };
  std::vector<Open> open_;
  std::vector<Grain> grains_;
};

// The point as it acts under `grains`.
Point acting_point(const Encoding& encoding, const Space& space, std::span<const Grain> grains,
                   std::span<const double> at);
// A setting in the middle of the values that act like `config`.
Config middle_of_grain(const Space& space, const Encoding& encoding, std::span<const Grain> grains,
                       Config config);

}  // namespace arqon::solver
