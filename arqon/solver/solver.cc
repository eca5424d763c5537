#include "arqon/solver/solver.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "arqon/base/assert.h"
#include "arqon/solver/sampling.h"
#include "arqon/solver/strategies/registry.h"

namespace arqon::solver {
namespace {

constexpr std::uint64_t kAskBudgetDefault = 100;

Status check_constraint(const Constraint& c) {
  const auto bad = [](const std::optional<double>& bound) {
    return bound && !std::isfinite(*bound);
  };
  if (c.metric.empty()) return fail(ErrorCode::kInvalidConfig, "a constraint names no metric");
  if ((!c.min && !c.max) || bad(c.min) || bad(c.max) || (c.min && c.max && *c.min > *c.max)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("constraint on {}: needs a finite min or max, min <= max", c.metric));
  }
  return {};
}

Status check_config(const StudyConfig& config) {
  if (config.space.size() == 0) return fail(ErrorCode::kInvalidConfig, "the space is empty");
  if (!(config.probe_ratio >= 0 && config.probe_ratio <= 1)) {
    return fail(ErrorCode::kInvalidConfig, "probe_ratio must lie in [0, 1]");
  }
  if (config.objective && config.objective->metric.empty()) {
    return fail(ErrorCode::kInvalidConfig, "the objective names no metric");
  }
  for (const Constraint& c : config.constraints) {
    if (Status ok = check_constraint(c); !ok) return ok;
  }
  return {};
}

Status check_metric(const std::string& name, const Metric& m) {
  const auto finite = [](const std::optional<double>& x) { return !x || std::isfinite(*x); };
  if (!std::isfinite(m.value) || !finite(m.lo) || !finite(m.hi)) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("metric {} is not finite", name));
  }
  if (m.lo && m.hi && *m.lo > *m.hi) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("metric {}: lo > hi", name));
  }
  if (m.over && (!m.n || *m.over > *m.n)) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("metric {}: over needs n >= over", name));
  }
  return {};
}

// What an answered measurement must carry; a failed one needs nothing.
Status check_channels(const StudyConfig& config, const Trial& trial) {
  if (config.objective && trial.value) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("value given, but the study optimises {}", config.objective->metric));
  }
  if (trial.value && !std::isfinite(*trial.value)) {
    return fail(ErrorCode::kInvalidConfig, "value is not finite");
  }
  if (trial.outcome != Outcome::kOk) return {};
  if (!config.objective && !trial.value) {
    return fail(ErrorCode::kInvalidConfig, "value is missing");
  }
  const auto need = [&](const std::string& metric) -> Status {
    if (trial.metrics.contains(metric)) return {};
    return fail(ErrorCode::kInvalidConfig, fmt::format("metric {} is missing", metric));
  };
  if (config.objective) {
    if (Status ok = need(config.objective->metric); !ok) return ok;
  }
  for (const Constraint& c : config.constraints) {
    if (Status ok = need(c.metric); !ok) return ok;
  }
  return {};
}

Status check_trial(const StudyConfig& config, const Trial& trial) {
  if (trial.params.size() != config.space.slots()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("params: {} values where the space has {}", trial.params.size(),
                            config.space.slots()));
  }
  if (const auto bad = config.space.first_violation(trial.params)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("params.{} = {} lies outside its domain", config.space[*bad].name,
                            trial.params[config.space.offset(*bad)]));
  }
  if (trial.applied) {
    const Config& a = *trial.applied;
    const bool finite = std::all_of(a.begin(), a.end(), [](double x) { return std::isfinite(x); });
    if (a.size() != config.space.slots() || !finite) {
      return fail(ErrorCode::kInvalidConfig, "applied: wrong length or not finite");
    }
  }
  if (!std::isfinite(trial.cost) || trial.cost < 0) {
    return fail(ErrorCode::kInvalidConfig, "cost must be finite and >= 0");
  }
  for (const auto& [name, metric] : trial.metrics) {
    if (Status ok = check_metric(name, metric); !ok) return ok;
  }
  return check_channels(config, trial);
}

}  // namespace

Result<Solver> Solver::create(StudyConfig config) {
  if (Status ok = check_config(config); !ok) return tl::unexpected(ok.error());
  Result<Strategy> strategy = make_strategy(config);
  if (!strategy) return tl::unexpected(strategy.error());
  Solver solver(std::move(config), std::move(*strategy));
  solver.next_ = solver.decide();
  return solver;
}

Result<Solver> Solver::restore(StudyConfig config, SolverState state) {
  Result<Solver> made = create(std::move(config));
  if (!made) return made;
  Solver& solver = *made;
  for (const Config& point : state.pending) {
    if (!solver.config_.space.contains(point)) {
      return fail(ErrorCode::kInvalidConfig, "state: a pending point lies outside the space");
    }
  }
  if (state.handed_out < state.pending.size()) {
    return fail(ErrorCode::kInvalidConfig, "state: more points wait than were handed out");
  }
  solver.batch_ = state.batch;
  if (Status ok = solver.learn(std::move(state.history)); !ok) {
    return tl::unexpected(ok.error().with_context("state"));
  }
  solver.pending_ = std::move(state.pending);
  solver.handed_out_ = state.handed_out;
  solver.next_ = solver.decide();
  return made;
}

Solver::Solver(StudyConfig config, Strategy strategy)
    : config_(std::move(config)), strategy_(std::move(strategy)), rng_(config_.seed) {}

View Solver::view() const {
  return {.config = config_,
          .history = history_,
          .pending = pending_,
          .handed_out = handed_out_,
          .batch = batch_};
}

std::optional<Config> Solver::decide() {
  if (config_.budget && handed_out_ >= *config_.budget) return std::nullopt;
  // A stream per decision: taking a decision again, after more results, shifts no later draw.
  Rng rng = rng_.stream(handed_out_);
  std::vector<Config> points = strategy_.propose(view(), rng, 1);
  if (points.empty()) return std::nullopt;
  ARQON_ASSERT(config_.space.contains(points[0]));
  ARQON_ASSERT(!is_among(points[0], pending_));
  return std::move(points[0]);
}

Config Solver::hand_out(Config point) {
  pending_.push_back(point);
  ++handed_out_;
  return point;
}

void Solver::ask_in(bool batch) {
  if (batch != batch_) next_.reset();
  batch_ = batch;
}

std::vector<Config> Solver::ask(std::size_t count) {
  ask_in(true);
  const std::uint64_t budget = config_.budget.value_or(kAskBudgetDefault);
  const std::uint64_t left = budget > handed_out_ ? budget - handed_out_ : 0;
  std::vector<Config> out;
  out.reserve(std::min<std::uint64_t>(count, left));
  while (out.size() < std::min<std::uint64_t>(count, left)) {
    std::optional<Config> point = next_point();
    if (!point) break;
    out.push_back(std::move(*point));
  }
  return out;
}

std::optional<Config> Solver::ask_one() {
  ask_in(false);
  return next_point();
}

std::optional<Config> Solver::next_point() {
  std::optional<Config> point = std::exchange(next_, std::nullopt);
  if (!point) point = decide();
  if (!point) return std::nullopt;
  return hand_out(std::move(*point));
}

Status Solver::tell(std::vector<Trial> trials) {
  const bool any = !trials.empty();
  if (Status ok = learn(std::move(trials)); !ok) return ok;
  if (any) next_ = decide();
  return {};
}

Status Solver::learn(std::vector<Trial> trials) {
  std::set<std::uint64_t> new_ids;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    Status ok = check_trial(config_, trials[i]);
    const auto& id = trials[i].eval_id;
    if (ok && id && (eval_ids_.contains(*id) || !new_ids.insert(*id).second)) {
      ok = fail(ErrorCode::kInvalidConfig, fmt::format("eval_id {} was told before", *id));
    }
    if (!ok) return tl::unexpected(ok.error().with_context(fmt::format("results[{}]", i)));
  }
  eval_ids_.merge(new_ids);
  for (Trial& trial : trials) {
    const auto asked = std::find(pending_.begin(), pending_.end(), trial.params);
    if (asked != pending_.end()) pending_.erase(asked);
    history_.push_back(std::move(trial));
    strategy_.observe(view(), history_.back());
  }
  return {};
}

Prediction Solver::predict(const Config& params) const {
  return strategy_.predict(view(), config_.space.snap(params));
}

std::optional<Recommendation> Solver::best() const {
  std::optional<Config> params = strategy_.best(view());
  if (!params) return std::nullopt;
  Prediction prediction = strategy_.predict(view(), *params);
  return Recommendation{std::move(*params), prediction};
}

}  // namespace arqon::solver
