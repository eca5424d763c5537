#include "arqon/stats/paired.h"

#include <array>
#include <cmath>
#include <limits>

namespace arqon::stats {
namespace {

// 97.5 % quantiles of Student's t for 1 .. 30 degrees of freedom; beyond, the expansion
// z + (z^3 + z) / (4 df) is right to 0.001 (Abramowitz and Stegun 26.7.5).
constexpr std::array kT975{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                           2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                           2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};

double t975(std::size_t freedom) {
  if (freedom <= kT975.size()) return kT975[freedom - 1];
  constexpr double z = 1.959964;
  return z + (z * z * z + z) / (4 * static_cast<double>(freedom));
}

}  // namespace

PairedMean paired_mean(std::span<const double> differences) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  const auto n = static_cast<double>(differences.size());
  PairedMean out{.mean = 0, .low = -kInfinite, .high = kInfinite};
  if (differences.empty()) return out;
  for (const double d : differences) out.mean += d / n;
  if (differences.size() < 2) return out;
  double squares = 0;
  for (const double d : differences) squares += (d - out.mean) * (d - out.mean);
  const double half = t975(differences.size() - 1) * std::sqrt(squares / (n - 1) / n);
  out.low = out.mean - half;
  out.high = out.mean + half;
  return out;
}

}  // namespace arqon::stats
