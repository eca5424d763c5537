#include "arqon/control/proposer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace arqon::control {
namespace {

constexpr double kFirstStep = 0.25;  // of the encoded range; 1.25 octaves of a 256..8192 budget
constexpr double kSmallestStep = 0.05;
constexpr double kTrustHalfWidth = 0.3;
constexpr double kSevereShare = 0.2;  // of requests; then a protective step is twice as long
constexpr std::size_t kTriedMax = 64;
constexpr const char* kMetric = "log_bad_ratio";

Result<solver::Solver> make_solver(const Space& space, std::uint64_t seed) {
  solver::StudyConfig config;
  config.space = space;
  config.seed = seed;
  config.objective = solver::Objective{kMetric, true};
  return solver::Solver::create(std::move(config));
}

bool scalar(const Parameter& p) {
  return p.type == ParamType::kFloat || p.type == ParamType::kInt || p.type == ParamType::kBool;
}

}  // namespace

Result<Proposer> Proposer::create(Space space, std::vector<Protective> protective, Config boot,
                                  std::uint64_t seed) {
  auto solver = make_solver(space, seed);
  if (!solver) return tl::unexpected(solver.error());
  protective.resize(space.size());
  return Proposer(std::move(space), std::move(protective), std::move(boot), seed,
                  std::move(*solver));
}

Proposer::Proposer(Space space, std::vector<Protective> protective, Config boot, std::uint64_t seed,
                   solver::Solver solver)
    : space_(std::move(space)),
      protective_(std::move(protective)),
      boot_(std::move(boot)),
      seed_(seed),
      solver_(std::move(solver)),
      sizes_(space_.size(), {kFirstStep, kFirstStep}) {}

Status Proposer::new_regime() {
  auto solver = make_solver(space_, seed_ + ++regimes_);
  if (!solver) return tl::unexpected(solver.error());
  solver_ = std::move(*solver);
  sizes_.assign(space_.size(), {kFirstStep, kFirstStep});
  tried_.clear();
  failures_in_a_row_ = 0;
  incumbent_score_ = last_score_ = 0;
  scored_.clear();
  last_target_.clear();
  return {};
}

double& Proposer::size(std::size_t knob, int direction) {
  return sizes_[knob][direction > 0 ? 1 : 0];
}

bool Proposer::tried(const Config& target) const {
  return std::find(tried_.begin(), tried_.end(), target) != tried_.end();
}

std::optional<Config> Proposer::step(const Config& incumbent, std::size_t knob, int direction,
                                     double size) const {
  const std::size_t slot = space_.offset(knob);
  std::vector<double> unit = space_.encode(incumbent);
  unit[slot] = std::clamp(unit[slot] + direction * size, 0.0, 1.0);
  Config target = incumbent;
  target[slot] = space_.decode(unit)[slot];
  if (target[slot] == incumbent[slot]) {
    // Shorter than the grid: the neighbour is the smallest step there is.
    target[slot] += direction * space_[knob].grid_step();
  }
  if (!space_.contains(target) || target == incumbent || tried(target)) return std::nullopt;
  return target;
}

std::optional<Move> Proposer::protective_move(const Config& incumbent, const Breach& breach) {
  const double share =
      static_cast<double>(breach.tally.bad) / std::max(1.0, static_cast<double>(breach.tally.n));
  std::optional<Move> best;
  double best_size = 0;
  for (std::size_t k = 0; k < space_.size(); ++k) {
    const int direction = protective_[k][static_cast<std::size_t>(breach.limit)];
    if (direction == 0 || !scalar(space_[k])) continue;
    const double length = size(k, direction);
    if (length < kSmallestStep || length <= best_size) continue;
    double reach = share > kSevereShare ? 2 * length : length;
    auto target = step(incumbent, k, direction, reach);
    // Where most requests fail, what was tried in calmer traffic is no answer: reach further.
    while (!target && share > kSevereShare && reach < 1) {
      reach = std::min(1.0, 2 * reach);
      target = step(incumbent, k, direction, reach);
    }
    if (!target) continue;
    best = Move{*target,
                fmt::format("{} {} protects the {} limit", direction > 0 ? "raising" : "lowering",
                            space_[k].name, serving::to_string(breach.limit)),
                k, direction};
    best_size = length;
  }
  return best;
}

std::optional<Move> Proposer::axis_move(const Config& incumbent) {
  std::optional<Move> best;
  double best_size = kSmallestStep;
  for (std::size_t k = 0; k < space_.size(); ++k) {
    if (!scalar(space_[k])) continue;
    for (const int direction : {1, -1}) {
      const double length = size(k, direction);
      if (length <= best_size) continue;
      const auto target = step(incumbent, k, direction, length);
      if (!target) continue;
      best = Move{*target, fmt::format("a step of {} alone", space_[k].name), k, direction};
      best_size = length;
    }
  }
  return best;
}

std::optional<Move> Proposer::solver_move(const Config& incumbent) {
  const auto asked = solver_.ask_one();
  if (!asked) return std::nullopt;
  const std::vector<double> here = space_.encode(incumbent);
  std::vector<double> there = space_.encode(*asked);
  for (std::size_t i = 0; i < here.size(); ++i) {
    there[i] = std::clamp(there[i], here[i] - kTrustHalfWidth, here[i] + kTrustHalfWidth);
    there[i] = std::clamp(there[i], 0.0, 1.0);
  }
  const Config target = space_.decode(there);
  if (target == incumbent || tried(target)) return std::nullopt;
  return Move{target, "the solver's model expects fewer bad requests there", std::nullopt, 0};
}

std::optional<Move> Proposer::next(const Config& incumbent, const std::optional<Breach>& breach) {
  // What protects the binding limit comes first; after failures the model and single steps take
  // turns, so that no source can starve the others.
  if (breach && failures_in_a_row_ % 3 != 2) {
    if (auto move = protective_move(incumbent, *breach)) return move;
  }
  if (failures_in_a_row_ % 2 == 0) {
    if (auto move = solver_move(incumbent)) return move;
  }
  if (auto move = axis_move(incumbent)) return move;
  if (auto move = solver_move(incumbent)) return move;
  if (boot_ != incumbent && !tried(boot_)) {
    return Move{boot_, "the setting that was found may be the best after all", std::nullopt, 0};
  }
  return std::nullopt;
}

void Proposer::passed(const Move& move) {
  failures_in_a_row_ = 0;
  // The next turn goes to another knob that protects the same limit, if there is one.
  if (move.knob) size(*move.knob, move.direction) *= 0.8;
  if (last_target_ != move.target) return;
  scored_ = move.target;
  incumbent_score_ = last_score_;
}

void Proposer::failed(const Move& move, bool too_short) {
  ++failures_in_a_row_;
  if (move.knob) {
    double& length = size(*move.knob, move.direction);
    length = too_short ? std::min(1.0, 2 * length) : 0.5 * length;
  }
  tried_.push_back(move.target);
  if (tried_.size() > kTriedMax) tried_.erase(tried_.begin());
}

void Proposer::tell(const Config& incumbent, const Config& target, double bad_ratio) {
  if (scored_.empty()) {
    scored_ = incumbent;
    learn(incumbent, incumbent_score_);
  }
  const double score = incumbent_score_ + std::log(std::clamp(bad_ratio, 1e-3, 1e3));
  learn(target, score);
  last_target_ = target;
  last_score_ = score;
}

void Proposer::learn(const Config& setting, double score) {
  solver::Trial trial;
  trial.params = space_.snap(setting);
  trial.applied = setting;
  trial.metrics.emplace(kMetric, solver::Metric{.value = score});
  // A trial that the solver refuses is lost to its model, never to the loop.
  (void)solver_.seed({std::move(trial)});
}

}  // namespace arqon::control
