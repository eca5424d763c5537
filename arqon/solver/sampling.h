// Points of the unit cube as points of a space, and the small tests every strategy needs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/space/space.h"

namespace arqon::solver {

// Maps a uniform point of [0, 1)^slots() to the space so that every grid value, category and part
// of a simplex is equally likely (on the parameter's own scale).
Config point_from_unit(const Space& space, std::span<const double> unit);
// A uniform point: one draw per slot.
Config random_point(const Space& space, Rng& rng);

// True when `config` equals one of `others`, value for value.
bool is_among(const Config& config, std::span<const Config> others);
// Number of points of the space, or 0 when it is not finite or more than 2^32.
std::size_t finite_size(const Space& space);
// The first point in grid order that is in neither list, or an empty Config. Finite spaces only.
Config first_free_point(const Space& space, std::span<const Config> taken,
                        std::span<const Config> also_taken);

}  // namespace arqon::solver
