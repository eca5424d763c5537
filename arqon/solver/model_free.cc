#include "arqon/solver/model_free.h"

#include <cmath>
#include <limits>

#include "arqon/solver/sampling.h"

namespace arqon::solver {
namespace {
constexpr int kDrawsMax = 64;
}  // namespace

std::optional<double> loss_of(const StudyConfig& config, const Trial& trial) {
  if (trial.outcome != Outcome::kOk) return std::nullopt;
  if (config.objective) {
    const auto metric = trial.metrics.find(config.objective->metric);
    if (metric == trial.metrics.end()) return std::nullopt;
    return config.objective->minimize ? metric->second.value : -metric->second.value;
  }
  if (!trial.value) return std::nullopt;
  return config.maximize_value ? -*trial.value : *trial.value;
}

double user_value(const StudyConfig& config, double loss) {
  const bool minimize = config.objective ? config.objective->minimize : !config.maximize_value;
  return minimize ? loss : -loss;
}

bool meets_constraints(const StudyConfig& config, const Trial& trial) {
  if (trial.outcome != Outcome::kOk) return false;
  for (const Constraint& c : config.constraints) {
    const auto metric = trial.metrics.find(c.metric);
    if (metric == trial.metrics.end()) return false;
    if (c.min && metric->second.value < *c.min) return false;
    if (c.max && metric->second.value > *c.max) return false;
  }
  return true;
}

Prediction sample_prediction(const View& view) {
  double n = 0;
  double mean = 0;
  double squares = 0;
  double feasible = 0;
  for (const Trial& trial : view.history) {
    feasible += meets_constraints(view.config, trial) ? 1 : 0;
    const auto loss = loss_of(view.config, trial);
    if (!loss) continue;
    n += 1;
    const double delta = *loss - mean;
    mean += delta / n;
    squares += delta * (*loss - mean);
  }
  const auto total = static_cast<double>(view.history.size());
  return {.objective = n > 0 ? user_value(view.config, mean) : 0,
          .objective_sd = n > 1 ? std::sqrt(squares / (n - 1)) : 0,
          .feasible_probability = (feasible + 1) / (total + 1)};
}

std::optional<Config> best_measured(const View& view) {
  const Trial* best = nullptr;
  double least = std::numeric_limits<double>::infinity();
  for (const Trial& trial : view.history) {
    const auto loss = loss_of(view.config, trial);
    if (loss && *loss < least && meets_constraints(view.config, trial)) {
      least = *loss;
      best = &trial;
    }
  }
  if (best == nullptr) return std::nullopt;
  return best->params;
}

Config free_point(const View& view, std::span<const Config> taken,
                  const std::function<Config()>& draw) {
  for (int i = 0; i < kDrawsMax; ++i) {
    Config point = draw();
    if (!is_among(point, view.pending) && !is_among(point, taken)) return point;
  }
  return first_free_point(view.config.space, view.pending, taken);
}

}  // namespace arqon::solver
