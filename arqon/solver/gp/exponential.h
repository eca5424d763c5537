// exp for arguments <= 0, by arithmetic alone: the same bits whatever the mathematical library, and
// a loop over it vectorises. Range reduction by ln 2 in two parts (Cody and Waite 1980), then the
// Taylor series to degree 12; relative error below 1e-14.
#pragma once

#include <bit>
#include <cstdint>

namespace arqon::solver {

// exp(x), x in [-infinity, 0]; below -700 as if it were -700.
inline double exp_of_negative(double x) {
  constexpr double kLog2E = 1.44269504088896340736;
  constexpr double kLn2High = 6.93147180369123816490e-01;
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
  x = x < -700 ? -700 : x;
  const double shifted = x * kLog2E + kRound;
  const double whole = shifted - kRound;
  const double r = (x - whole * kLn2High) - whole * kLn2Low;
  double sum = 1.0 / 479001600;
  sum = sum * r + 1.0 / 39916800;
  sum = sum * r + 1.0 / 3628800;
  sum = sum * r + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  sum = sum * r + 0.5;
  sum = sum * r + 1;
  sum = sum * r + 1;
  // The low bits of `shifted` hold the integer: moved to the exponent they are its power of two.
  const auto power = (std::bit_cast<std::uint64_t>(shifted) + 1023) << 52;
  return sum * std::bit_cast<double>(power);
}

}  // namespace arqon::solver
