// Multivariate tree-structured Parzen estimator over the encoded space, with limits.
//
// Searching, it is TPE: the best results are "good", the rest and what is pending "bad", and the
// candidate with the greatest ratio of the two densities is next (Bergstra et al. 2011). Settings
// that broke a limit, failed, or brought a penalty such as -1000 are never good and never enter
// the model of the objective. Once limits bind, the strategy closes in on the border: a local
// quadratic for the objective, a local probit for P(allowed), and the best point whose chance to
// break a limit is small; what it spends on sharpening the border falls as evidence grows.
#pragma once

#include <optional>
#include <vector>

#include "arqon/solver/encoding.h"
#include "arqon/solver/strategies/sobol/sobol.h"
#include "arqon/solver/strategies/tpe/grain.h"
#include "arqon/solver/strategies/tpe/judge.h"
#include "arqon/solver/strategy.h"

namespace arqon::solver {

// O(1) in the history: at most kWindow observations are looked at.
class TpeStrategy {
 public:
  static constexpr std::size_t kWindow = 512;
  static constexpr std::size_t kElite = 64;

  explicit TpeStrategy(const StudyConfig& config);

  std::vector<Config> propose(const View& view, Rng& rng, std::size_t count);
  void observe(const View& view, const Trial& trial);
  Prediction predict(const View& view, const Config& config) const;
  std::optional<Config> best(const View& view) const;

 private:
  std::size_t startup(const StudyConfig& config) const;
  void forget();
  Config decide(const View& view, std::span<const Config> also_pending, Rng& rng) const;

  Encoding encoding_;
  SobolSequence probes_;
  GrainEvidence grains_;
  std::vector<Observation> observations_;
};

}  // namespace arqon::solver
