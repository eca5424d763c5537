// A space-filling sequence: Sobol points with direction numbers of Joe and Kuo (2008, set
// new-joe-kuo-6), shifted digit by digit (Cranley-Patterson in base 2) by the study's seed.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "arqon/solver/strategy.h"

namespace arqon::solver {

// The sequence itself. Coordinates beyond kSobolDimensions are hashed random numbers.
// Pure: point i is a function of (shift stream, i).
inline constexpr std::size_t kSobolDimensions = 21;

class SobolSequence {
 public:
  SobolSequence(std::size_t dimensions, Rng shift);
  // Point `index` in [0, 1)^dimensions.
  std::vector<double> point(std::uint32_t index) const;

 private:
  std::vector<std::array<std::uint32_t, 32>> directions_;
  std::vector<std::uint32_t> shift_;
  std::size_t dimensions_;
  Rng tail_;
};

class SobolStrategy {
 public:
  explicit SobolStrategy(const StudyConfig& config);
  std::vector<Config> propose(const View& view, Rng& rng, std::size_t count);
  void observe(const View&, const Trial&) {}
  Prediction predict(const View& view, const Config& config) const;
  std::optional<Config> best(const View& view) const;

 private:
  SobolSequence sequence_;
};

}  // namespace arqon::solver
