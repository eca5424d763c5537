// Finds out that the caller rounds a continuous knob before using it, as int(batch_size) does.
#pragma once

#include <span>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/strategies/tpe/border.h"

namespace arqon::solver {

// What becomes of a coordinate before it acts.
enum class Grain { kNone, kFloor, kRound };

// One grain a coordinate, learned from the losses: the grain under which a local quadratic leaves
// far less residual than without. Coordinates whose unit steps are too fine to matter, and those
// with a declared grid, keep kNone.
std::vector<Grain> find_grains(const Encoding& encoding, const Space& space,
                               std::span<const Labelled> data, const Point& center);

// The point as it acts under `grains`.
Point acting_point(const Encoding& encoding, const Space& space, std::span<const Grain> grains,
                   std::span<const double> at);
// A setting in the middle of the values that act like `config`.
Config middle_of_grain(const Space& space, const Encoding& encoding, std::span<const Grain> grains,
                       Config config);

}  // namespace arqon::solver
