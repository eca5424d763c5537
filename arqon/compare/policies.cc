#include "arqon/compare/policies.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "arqon/base/rng.h"

namespace arqon::compare {
namespace {

constexpr double kDecrease = 0.15;  // of the encoded range, per window with a broken limit
constexpr double kIncrease = 0.01;  // back towards the default, per healthy window
constexpr double kExpertPrefillBudget = 2048;
// Share of the requests that a rule moves to a lesser pool per window with a broken limit, and back
// per healthy one.
constexpr double kSpillStep = 0.1, kSpillBack = 0.02;

// The limit that most requests of the window broke, when any class misses its target.
serving::Limit broken_limit(const documents::Scenario& scenario,
                            const control::WindowRecord& window) {
  serving::Limit worst = serving::Limit::kNone;
  std::uint64_t most = 0;
  for (std::size_t c = 0; c < window.classes.size(); ++c) {
    const control::ClassWindow& w = window.classes[c];
    const double share = static_cast<double>(w.bad) /
                         static_cast<double>(std::max<std::uint64_t>(1, w.good + w.bad));
    if (share <= 1 - scenario.classes[c].attainment) continue;
    for (std::size_t i = 1; i < serving::kLimits; ++i) {
      if (w.bad_by[i] <= most) continue;
      most = w.bad_by[i];
      worst = static_cast<serving::Limit>(i);
    }
  }
  return worst;
}

int direction_of(const documents::Protective& map, serving::Limit limit) {
  const auto found = map.find(std::string(serving::to_string(limit)));
  return found == map.end() ? 0 : found->second;
}

// What a script does that watches the queue: some requests from the best pool to the least one
// while a limit is broken, and back while all is well.
void spill(const documents::Scenario& scenario, std::span<double> shares, bool broken) {
  const auto& pools = scenario.fleet.pools;
  if (shares.size() != pools.size()) return;
  std::size_t best = 0, least = 0;
  for (std::size_t p = 1; p < pools.size(); ++p) {
    if (pools[p].quality > pools[best].quality) best = p;
    if (pools[p].quality < pools[least].quality) least = p;
  }
  const std::size_t from = broken ? best : least, to = broken ? least : best;
  const double step = std::min(shares[from], broken ? kSpillStep : kSpillBack);
  shares[from] -= step;
  shares[to] += step;
}

}  // namespace

Policy keep() {
  return [](TimePoint, const Config&, const control::WindowRecord*) -> std::optional<Config> {
    return std::nullopt;
  };
}

Policy random_targets(const documents::Scenario& scenario, std::uint64_t seed) {
  return [&scenario, rng = Rng(seed).stream("random-strategy")](
             TimePoint, const Config&,
             const control::WindowRecord* window) mutable -> std::optional<Config> {
    if (window == nullptr) return std::nullopt;
    std::vector<double> unit(scenario.knobs.slots());
    for (double& u : unit) u = rng.uniform();
    return scenario.knobs.decode(unit);
  };
}

Policy aimd_rules(const documents::Scenario& scenario) {
  return [&scenario](TimePoint, const Config& in_force,
                     const control::WindowRecord* window) -> std::optional<Config> {
    if (window == nullptr) return std::nullopt;
    const Space& space = scenario.knobs;
    const serving::Limit limit = broken_limit(scenario, *window);
    std::vector<double> unit = space.encode(in_force);
    const std::vector<double> home = space.encode(space.default_config());
    for (std::size_t k = 0; k < space.size(); ++k) {
      if (space[k].name == "router.pool_weights") {
        spill(scenario, std::span(unit).subspan(space.offset(k), space[k].slots()),
              limit != serving::Limit::kNone);
      }
      if (space[k].type != ParamType::kInt && space[k].type != ParamType::kFloat) continue;
      double& u = unit[space.offset(k)];
      if (limit == serving::Limit::kNone) {
        u += std::clamp(home[space.offset(k)] - u, -kIncrease, kIncrease);
      } else {
        u = std::clamp(u + kDecrease * direction_of(scenario.protective[k], limit), 0.0, 1.0);
      }
    }
    return space.decode(unit);
  };
}

Policy scheduled(std::vector<double> bounds, std::vector<Config> settings) {
  return [bounds = std::move(bounds), settings = std::move(settings)](
             TimePoint now, const Config&, const control::WindowRecord*) -> std::optional<Config> {
    std::size_t part = 0;
    while (part + 1 < settings.size() && to_seconds(now) >= bounds[part + 1]) ++part;
    return settings[part];
  };
}

Config expert_setting(const documents::Scenario& scenario, const Config& boot) {
  Config setting = boot;
  for (std::size_t k = 0; k < scenario.knobs.size(); ++k) {
    const Parameter& p = scenario.knobs[k];
    if (!p.name.ends_with(".prefill_token_budget")) continue;
    setting[scenario.knobs.offset(k)] = std::clamp(kExpertPrefillBudget, p.min, p.max);
  }
  return scenario.knobs.snap(setting);
}

}  // namespace arqon::compare
