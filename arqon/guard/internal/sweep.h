// Two slots at a time, without branches: is a whole setting inside the window of each slot, on its
// grid, and made of ordinary numbers? Yes is final; no means "look closely", which the checks do.
// Vectors of 16 bytes are what every x86-64 and ARMv8 has; operations are those of IEEE 754 one by
// one, so results are the same at every level of optimisation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "arqon/guard/internal/rules.h"

namespace arqon::guard::internal {

using Pair = double __attribute__((vector_size(16)));
using PairMask = std::int64_t __attribute__((vector_size(16)));

inline Pair load(const double* at) noexcept {
  Pair out;
  std::memcpy(&out, at, sizeof out);
  return out;
}
inline PairMask load(const std::int64_t* at) noexcept {
  PairMask out;
  std::memcpy(&out, at, sizeof out);
  return out;
}
inline void store(double* at, Pair value) noexcept { std::memcpy(at, &value, sizeof value); }
inline void store(std::int64_t* at, PairMask value) noexcept {
  std::memcpy(at, &value, sizeof value);
}
inline PairMask bits_of(Pair value) noexcept { return reinterpret_cast<PairMask>(value); }
inline Pair pair_of(PairMask bits) noexcept { return reinterpret_cast<Pair>(bits); }
inline Pair both(double value) noexcept { return Pair{value, value}; }
inline Pair magnitude(Pair value) noexcept {
  constexpr std::int64_t kRest = std::numeric_limits<std::int64_t>::max();
  return pair_of(bits_of(value) & PairMask{kRest, kRest});
}
inline Pair lesser(Pair a, Pair b) noexcept { return a < b ? a : b; }
inline Pair greater(Pair a, Pair b) noexcept { return a > b ? a : b; }
inline bool all(PairMask mask) noexcept { return (mask[0] & mask[1]) == -1; }

// The setting of `slots` values, padded with 0 to whole pairs.
inline Pair pair_at(const double* setting, std::size_t i, std::size_t slots) noexcept {
  return i + 1 < slots ? load(setting + i) : Pair{setting[i], 0};
}

// Window: [low, high] per slot. Numbers within half a step's rounding of the grid are left to the
// close look, and so are zeros and denormals.
inline bool sweep_values(const double* setting, const Columns& c, const double* low,
                         const double* high, std::size_t slots, PairMask& tiny) noexcept {
  // Adding and taking away 1.5 * 2^52 rounds to a whole number.
  const Pair whole = both(0x1.8p52);
  PairMask good{-1, -1};
  PairMask small{0, 0};
  for (std::size_t i = 0; i < slots; i += 2) {
    const Pair x = pair_at(setting, i, slots);
    good &= (x >= load(low + i)) & (x <= load(high + i));
    const Pair offset = x - load(&c.origin[i]);
    const Pair nearest = (offset * load(&c.inverse[i]) + whole) - whole;
    good &= (nearest * load(&c.step[i]) == offset) | load(&c.free[i]);
    small |= magnitude(x) < both(std::numeric_limits<double>::min());
  }
  tiny = small;
  return all(good);
}

}  // namespace arqon::guard::internal
