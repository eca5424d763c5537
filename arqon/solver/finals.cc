#include "arqon/solver/finals.h"

#include <algorithm>
#include <numeric>

#include "arqon/solver/model_free.h"
#include "arqon/solver/strategies/tpe/judge.h"

namespace arqon::solver {
namespace {

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double chance_of(const StudyConfig& config, const Trial& trial) {
  if (trial.outcome != Outcome::kOk) return 0;
  double chance = 1;
  for (const Constraint& c : config.constraints) {
    chance *= constraint_probability(c, trial.metrics.at(c.metric));
  }
  return chance;
}

}  // namespace

Finals::Finals(const Solver& solver, std::size_t count) : config_(solver.config()) {
  const auto history = solver.history();
  std::vector<std::size_t> ranked;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (loss_of(config_, history[i]) && chance_of(config_, history[i]) >= 0.5) ranked.push_back(i);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](std::size_t a, std::size_t b) {
    return *loss_of(config_, history[a]) < *loss_of(config_, history[b]);
  });
  const auto enter = [&](const Config& params) {
    const auto known = [&](const Finalist& f) { return f.params == params; };
    if (finalists_.size() < count && std::ranges::none_of(finalists_, known)) {
      finalists_.push_back({.params = params, .losses = {}});
    }
  };
  if (const auto best = solver.best()) enter(best->params);
  for (const std::size_t i : ranked) enter(history[i].params);
  for (const Trial& trial : history) {
    for (Finalist& f : finalists_) {
      if (f.params == trial.params) add(trial, f);
    }
  }
}

void Finals::add(const Trial& trial, Finalist& to) const {
  if (const auto loss = loss_of(config_, trial)) to.losses.push_back(*loss);
  to.allowed += chance_of(config_, trial);
  ++to.told;
}

void Finals::tell(const Trial& trial) {
  for (Finalist& f : finalists_) {
    if (f.params != trial.params) continue;
    add(trial, f);
    ++f.again;
  }
}

std::vector<double> Finals::posterior() const {
  // Noise: pooled over the finalists. Spread of their true means: what noise does not explain.
  std::vector<double> means;
  double squares = 0, freedom = 0, inverse = 0;
  for (const Finalist& f : finalists_) {
    if (f.losses.empty()) continue;
    const double mean = mean_of(f.losses);
    means.push_back(mean);
    inverse += 1 / static_cast<double>(f.losses.size());
    for (const double loss : f.losses) squares += (loss - mean) * (loss - mean);
    freedom += static_cast<double>(f.losses.size()) - 1;
  }
  if (means.empty()) return std::vector<double>(finalists_.size(), 0.0);
  const auto n = static_cast<double>(means.size());
  const double center = mean_of(means);
  const double noise = freedom > 0 ? squares / freedom : 0;
  double spread = 0;
  for (const double mean : means) spread += (mean - center) * (mean - center);
  spread = n > 1 ? std::max(0.0, spread / (n - 1) - noise * inverse / n) : 0;
  std::vector<double> out;
  for (const Finalist& f : finalists_) {
    if (f.losses.empty()) {
      out.push_back(center);
      continue;
    }
    const double own = noise / static_cast<double>(f.losses.size());
    const double weight = spread + own > 0 ? spread / (spread + own) : 1;
    // Where noise explains all, the means still rank them.
    out.push_back(center + std::max(weight, 1e-6) * (mean_of(f.losses) - center));
  }
  return out;
}

std::vector<std::size_t> Finals::ranking() const {
  const std::vector<double> expected = posterior();
  std::vector<std::size_t> ranked;
  for (std::size_t i = 0; i < finalists_.size(); ++i) {
    if (finalists_[i].chance() >= 0.5) ranked.push_back(i);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](std::size_t a, std::size_t b) { return expected[a] < expected[b]; });
  return ranked;
}

std::optional<Config> Finals::next() const {
  for (const Finalist& f : finalists_) {
    if (f.again == 0) return f.params;
  }
  const std::vector<std::size_t> ranked = ranking();
  if (ranked.empty()) return std::nullopt;
  const Finalist& first = finalists_[ranked.front()];
  if (ranked.size() == 1) return first.params;
  const Finalist& second = finalists_[ranked[1]];
  return second.told < first.told ? second.params : first.params;
}

std::optional<Config> Finals::best() const {
  const std::vector<std::size_t> ranked = ranking();
  if (ranked.empty()) return std::nullopt;
  return finalists_[ranked.front()].params;
}

}  // namespace arqon::solver
