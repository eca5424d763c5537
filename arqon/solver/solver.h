// Ask/tell optimiser, batch and online, over one history. Deterministic: the same config and the
// same ordered results give the same proposals in every process.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/solver/strategy.h"
#include "arqon/solver/study.h"

namespace arqon::solver {

struct Recommendation {
  Config params;
  Prediction prediction;
};

// All that a solver knows beside its config. Models are not in it: they follow from the history.
struct SolverState {
  std::vector<Trial> history;       // in the order told
  std::vector<Config> pending;      // handed out, not answered
  std::uint64_t handed_out = 0;
  bool batch = false;               // the last point was asked for by ask
};

// Single-threaded. Both modes share one history and one budget.
class Solver {
 public:
  // kInvalidConfig when the config is inconsistent or names an unknown strategy.
  static Result<Solver> create(StudyConfig config);
  // A solver that goes on byte for byte as the one whose state() this was. kInvalidConfig also when
  // the state does not fit the config.
  static Result<Solver> restore(StudyConfig config, SolverState state);
  SolverState state() const { return {history_, pending_, handed_out_, batch_}; }

  // Up to `count` points to evaluate at once; fewer, or none, near the end of the budget. For
  // settings tried offline: strategy "auto" spends evaluations to learn.
  std::vector<Config> ask(std::size_t count = 1);
  // One point, or nothing once the budget is used. O(1): the decision was made at the last result.
  // For a live system: strategy "auto" stays near what is known to be good.
  std::optional<Config> ask_one();

  // Takes all trials or none: kInvalidConfig names the first trial that breaks its contract
  // (params outside the space, NaN, `value` beside an objective, a missing metric, an eval_id that
  // was told before).
  Status tell(std::vector<Trial> trials);
  // As tell; the name of the online loop. Points nobody asked for are free.
  Status seed(std::vector<Trial> trials) { return tell(std::move(trials)); }

  // Recommended setting by posterior and margin, never the luckiest measurement.
  std::optional<Recommendation> best() const;
  Prediction predict(const Config& params) const;
  std::span<const Trial> history() const { return history_; }
  const StudyConfig& config() const { return config_; }

 private:
  Solver(StudyConfig config, Strategy strategy);
  View view() const;
  // Checks and stores all trials or none; decides nothing.
  Status learn(std::vector<Trial> trials);
  // Says how points are asked for from now on; a decision made for the other way is dropped.
  void ask_in(bool batch);
  std::optional<Config> next_point();
  // The next point to hand out, or nothing when the budget or the space is used up.
  std::optional<Config> decide();
  Config hand_out(Config point);

  StudyConfig config_;
  Strategy strategy_;
  Rng rng_;
  std::vector<Trial> history_;
  std::vector<Config> pending_;
  std::set<std::uint64_t> eval_ids_;   // of the trials told
  std::uint64_t handed_out_ = 0;
  bool batch_ = false;
  std::optional<Config> next_;   // computed when a result arrives
};

}  // namespace arqon::solver
