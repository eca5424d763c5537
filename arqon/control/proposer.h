// Where the next experiment comes from: the knob known to protect the limit that binds, the
// solver's model, or a step along an axis; and what was learned from the last one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/control/evidence.h"
#include "arqon/control/loop_options.h"
#include "arqon/solver/solver.h"
#include "arqon/space/space.h"

namespace arqon::control {

struct Move {
  Config target;
  std::string why;
  std::optional<std::size_t> knob;  // set for a move along one axis
  int direction = 0;
};

// Not thread-safe. Deterministic in its seed and the order of calls.
class Proposer {
 public:
  // `space`: the engine's knobs narrowed to the guardrails' bounds.
  static Result<Proposer> create(Space space, std::vector<Protective> protective, Config boot,
                                 std::uint64_t seed);

  // The next target worth an experiment from `incumbent`, or nothing when all is tried.
  std::optional<Move> next(const Config& incumbent, const std::optional<Breach>& breach);
  // The verdict on a move. A failed one halves the step of its axis, or doubles it when the move
  // changed nothing where nearly everything fails: then it did not go far enough. Its target is not
  // tried again.
  void passed(const Move& move);
  void failed(const Move& move, bool too_short);
  // How many times as bad as `incumbent` a setting was, measured at the same time. The solver
  // learns the logarithm, chained over incumbents, so that traffic which changes between
  // experiments does not mislead it.
  void tell(const Config& incumbent, const Config& target, double bad_ratio);
  // Traffic has moved: what failed may work now, and old measurements no longer count.
  Status new_regime();

 private:
  Proposer(Space space, std::vector<Protective> protective, Config boot, std::uint64_t seed,
           solver::Solver solver);
  std::optional<Move> protective_move(const Config& incumbent, const Breach& breach);
  std::optional<Move> axis_move(const Config& incumbent);
  std::optional<Move> solver_move(const Config& incumbent);
  std::optional<Config> step(const Config& incumbent, std::size_t knob, int direction,
                             double size) const;
  bool tried(const Config& target) const;
  void learn(const Config& setting, double score);
  double& size(std::size_t knob, int direction);

  Space space_;
  std::vector<Protective> protective_;
  Config boot_;
  std::uint64_t seed_;
  std::uint64_t regimes_ = 0;
  solver::Solver solver_;
  std::vector<std::array<double, 2>> sizes_;  // per knob: step down, step up, in unit coordinates
  std::vector<Config> tried_;
  int failures_in_a_row_ = 0;
  double incumbent_score_ = 0;  // log ratio to the first incumbent of the regime
  Config scored_;               // the incumbent that score belongs to
  Config last_target_;          // the last setting told, and its score
  double last_score_ = 0;
};

}  // namespace arqon::control
