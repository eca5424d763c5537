// Counter-based random numbers: draw i of a stream is a pure function of (key, i), so streams can
// be split by name without one ever shifting another, copied, and skipped for free.
// Mixing function: SplitMix64's finaliser (Steele, Lea, Flood 2014), applied twice over key and
// counter. Distributions are our own because those of the standard library differ per vendor.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace arqon {

// Not thread-safe; copy it or split it instead of sharing it.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : key_(mix(seed + kGolden)) {}

  // An independent stream named `name`; does not advance this one.
  Rng stream(std::string_view name) const;
  // An independent stream numbered `index`; does not advance this one.
  Rng stream(std::uint64_t index) const;

  std::uint64_t next_u64() { return at(counter_++); }
  // Uniform in [0, 1) with 53 bits.
  double uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // Uniform in [0, n), n >= 1; unbiased to 2^-64 * n.
  std::uint64_t below(std::uint64_t n);
  // Standard normal by inversion (Acklam's rational approximation, |relative error| < 1.2e-9):
  // one draw per value, so streams stay aligned.
  double normal();
  // Exponential with mean 1.
  double exponential();
  // Index drawn in proportion to non-negative weights with a positive sum.
  std::size_t weighted(std::span<const double> weights);

  // Draw number `counter` without touching the stream's own position.
  std::uint64_t at(std::uint64_t counter) const {
    return mix(key_ ^ mix(counter * kGolden + kGolden));
  }

 private:
  static constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ULL;
  static constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

// Inverse of the standard normal distribution function for p in (0, 1).
double normal_quantile(double p);
// FNV-1a, stable across processes and machines; for naming streams and keying data files.
std::uint64_t hash_bytes(std::string_view bytes);

}  // namespace arqon
