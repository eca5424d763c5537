#include "arqon/base/rng.h"

#include <cmath>

#include "arqon/base/assert.h"

namespace arqon {

Rng Rng::stream(std::string_view name) const { return stream(hash_bytes(name)); }

Rng Rng::stream(std::uint64_t index) const {
  Rng child(0);
  child.key_ = mix(key_ ^ mix(index + 0xD1B54A32D192ED03ULL));
  return child;
}

std::uint64_t Rng::below(std::uint64_t n) {
  ARQON_ASSERT(n >= 1);
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(next_u64()) * n) >> 64);
}

double Rng::normal() {
  // The half step keeps p inside the open interval (0, 1).
  const double p = (static_cast<double>(next_u64() >> 11) + 0.5) * 0x1.0p-53;
  return normal_quantile(p);
}

double Rng::exponential() { return -std::log1p(-uniform()); }

std::size_t Rng::weighted(std::span<const double> weights) {
  double total = 0;
  for (const double w : weights) total += w;
  ARQON_ASSERT(total > 0);
  double left = uniform() * total;
  std::size_t last_positive = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    last_positive = i;
    left -= weights[i];
    if (left < 0) return i;
  }
  return last_positive;
}

double normal_quantile(double p) {
  static constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                                 -2.759285104469687e+02, 1.383577518672690e+02,
                                 -3.066479806614716e+01, 2.506628277459239e+00};
  static constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                                 -1.556989798598866e+02, 6.680131188771972e+01,
                                 -1.328068155288572e+01};
  static constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                                 -2.400758277161838e+00, -2.549732539343734e+00,
                                 4.374664141464968e+00,  2.938163982698783e+00};
  static constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01,
                                 2.445134137142996e+00, 3.754408661907416e+00};
  ARQON_ASSERT(p > 0 && p < 1);
  constexpr double kLow = 0.02425;
  if (p < kLow || p > 1 - kLow) {
    const double q = std::sqrt(-2 * std::log(p < kLow ? p : 1 - p));
    const double x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
                     ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    return p < kLow ? x : -x;
  }
  const double q = p - 0.5;
  const double r = q * q;
  return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
         (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t h = 0xCBF29CE484222325ULL;
  for (const char ch : bytes) {
    h ^= static_cast<unsigned char>(ch);
    h *= 0x100000001B3ULL;
  }
  return h;
}

}  // namespace arqon
