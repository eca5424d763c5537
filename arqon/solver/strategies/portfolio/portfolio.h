// Probe, then refine with what earns its share: Gaussian processes with learned limits as the main
// engine, a plain TPE as insurance where they predict badly, a polish of the posterior mean.
//
// Limits are learned from metrics (how far a constraint was from its bound), from failures, and
// from penalties in the reward such as -1000; the points that go beyond them are rationed.
#pragma once

#include <optional>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/strategies/portfolio/models.h"
#include "arqon/solver/strategies/sobol/sobol.h"
#include "arqon/solver/strategy.h"

namespace arqon::solver {

// For settings tried in a staging place or offline: it spends evaluations to learn. Work a decision
// is bounded: at most kActive results enter the models.
class PortfolioStrategy {
 public:
  static constexpr std::size_t kActive = 160;
  static constexpr std::size_t kWindow = 1024;   // results kept at all

  explicit PortfolioStrategy(const StudyConfig& config);

  std::vector<Config> propose(const View& view, Rng& rng, std::size_t count);
  void observe(const View& view, const Trial& trial);
  Prediction predict(const View& view, const Config& config) const;
  std::optional<Config> best(const View& view) const;

 private:
  std::size_t startup(const StudyConfig& config) const;
  // Smallest margin to a limit that the next point must have, in standard deviations.
  double margin_wanted(const StudyConfig& config) const;
  Config decide(const View& view, std::span<const Config> also_pending, Rng& rng) const;
  Config probe(const View& view, std::size_t index, std::span<const Point> waiting) const;
  Config small_step(const Space& space, std::span<const Point> best, Rng& rng) const;
  Config refine(const View& view, std::size_t turn, std::span<const Point> waiting,
                Rng& rng) const;

  Encoding encoding_;
  FeatureMap map_;
  SobolSequence probes_;
  SobolSequence everywhere_;
  std::vector<Record> records_;
  LearnedAll learned_;
  std::uint64_t told_ = 0;
  std::uint64_t fitted_at_ = 0;
};

}  // namespace arqon::solver
