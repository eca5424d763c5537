// The default: what is asked in batches is answered by the portfolio, what is asked one by one for
// a live system by the cautious TPE.
#pragma once

#include <optional>
#include <vector>

#include "arqon/solver/strategies/portfolio/portfolio.h"
#include "arqon/solver/strategies/tpe/tpe.h"
#include "arqon/solver/strategy.h"

namespace arqon::solver {

// Each half learns the whole history, but only once it is its turn: a live loop never pays for the
// models of a batch study.
class AutomaticStrategy {
 public:
  explicit AutomaticStrategy(const StudyConfig& config) : portfolio_(config), live_(config) {}

  std::vector<Config> propose(const View& view, Rng& rng, std::size_t count);
  void observe(const View& view, const Trial& trial);
  Prediction predict(const View& view, const Config& config) const;
  std::optional<Config> best(const View& view) const;

 private:
  bool is_current(const View& view) const;
  // Brings the half whose turn it is up to the end of the history.
  void catch_up(const View& view);

  PortfolioStrategy portfolio_;
  TpeStrategy live_;
  std::size_t told_portfolio_ = 0;
  std::size_t told_live_ = 0;
};

}  // namespace arqon::solver
