// When two settings are the same to an engine that rounds.
#pragma once

#include <algorithm>
#include <cmath>

#include "arqon/space/space.h"

namespace arqon::agent {

// Weights become 256 parts, times whole milliseconds: a number off by less than this part of
// its range is the number that was asked for. Whole numbers, choices and switches must be equal.
inline constexpr double kRounding = 0.005;

inline bool near(const Space& space, const Config& a, const Config& b) {
  if (a.size() != space.slots() || b.size() != a.size()) return false;
  for (std::size_t k = 0; k < space.size(); ++k) {
    const Parameter& p = space[k];
    const bool rounds = p.type == ParamType::kFloat || p.type == ParamType::kSimplex;
    const double range = p.type == ParamType::kSimplex ? 1 : p.max - p.min;
    for (std::size_t s = space.offset(k); s < space.offset(k) + p.slots(); ++s) {
      if (std::abs(a[s] - b[s]) > (rounds ? kRounding * range : 0)) return false;
    }
  }
  return true;
}

}  // namespace arqon::agent
