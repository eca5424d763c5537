#include "arqon/solver/strategies/tpe/tpe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/solver/model_free.h"
#include "arqon/solver/sampling.h"
#include "arqon/solver/strategies/tpe/border.h"
#include "arqon/solver/strategies/tpe/border_search.h"
#include "arqon/solver/strategies/tpe/density.h"
#include "arqon/solver/strategies/tpe/grain.h"

namespace arqon::solver {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Grains are looked for every few results of the first hundreds, when settings are spread.
constexpr std::uint64_t kGrainEvery = 3;
constexpr std::uint64_t kGrainOrderMax = 300;
// What is exploited: a normal score of P(allowed), 1.95 means 97.4 %.
constexpr Wish kSafe{.score_min = 1.95, .patience = 0.001};
// Where the border is sharpened: this many units of noise inside it (84 % allowed).
constexpr double kProbeMargin = 1.0;
// A promised gain of 1 % in loss is worth a probe every kProbeThinning * turn^2 turns, half of it a
// quarter as many.
constexpr double kGainUnit = 0.01;
constexpr double kProbeThinning = 0.00012;
// Share of turns that probes may spend on breaking a limit: kProbeRiskEarly / turn^2, at least
// this.
constexpr double kProbeRiskMin = 0.01;
constexpr double kProbeRiskEarly = 600;
constexpr std::size_t kSettling = 48;

// The models of one decision.
struct Ground {
  const Encoding& encoding;
  const Space& space;
  std::vector<Grain> grains;
  std::vector<Labelled> data;  // at acting points, equal ones merged
  Border border;

  BorderSearch search() const { return {encoding, space, border, grains, data}; }
  Config config_at(const Point& at) const {
    return middle_of_grain(space, encoding, grains, encoding.decode(space, at));
  }
};

// Nothing when there is no result to build on.
std::optional<Ground> survey(const Encoding& encoding, const Space& space,
                             const std::vector<Grain>& grains, std::span<const Labelled> told) {
  const std::optional<Point> first = border_center(encoding, told);
  if (!first) return std::nullopt;
  std::vector<Labelled> acting(told.begin(), told.end());
  for (Labelled& d : acting) d.at = acting_point(encoding, space, grains, d.at);
  std::vector<Labelled> data = merge_equal(acting);
  Border border(encoding, data, acting_point(encoding, space, grains, *first));
  return Ground{encoding, space, grains, std::move(data), std::move(border)};
}

// Settling, turns alternate between where it may still be better and where the border is told.
// After that most exploit. How often a turn probes instead depends on what there is to win, on how
// likely the probe breaks a limit, and thins out with time, as the price of a probe does not fall.
Point near_border(const Ground& ground, std::size_t turn, Rng& rng) {
  const BorderSearch search = ground.search();
  if (turn < kSettling) {
    return turn % 4 == 2 ? search.most_promising(rng)
                         : search.cheapest({.margin_min = kProbeMargin}, rng);
  }
  const Point safe = search.cheapest(kSafe, rng);
  const Promise promise = search.promise(safe, kSafe.score_min, rng);
  const double turns = static_cast<double>(turn);
  const Estimate margin = ground.border.margin(promise.at);
  const double risk =
      1 - normal_cdf(std::min(margin.mean, kProbeMargin) / std::sqrt(1 + margin.variance));
  const double risk_allowed = std::max(kProbeRiskMin, kProbeRiskEarly / (turns * turns));
  const double gain = std::max(promise.gain / kGainUnit, 1e-3);
  const double spacing = std::max({1.0, risk / risk_allowed,
                                   kProbeThinning * turns * turns / (gain * gain)});
  if (rng.uniform() * spacing >= 1) return safe;
  return search.sharpen(promise.at, kProbeMargin, rng);
}

}  // namespace

TpeStrategy::TpeStrategy(const StudyConfig& config)
    : encoding_(config.space),
      probes_(config.space.slots(), Rng(config.seed).stream("probe")),
      grains_(encoding_, config.space) {}

std::size_t TpeStrategy::startup(const StudyConfig& config) const {
  const std::size_t d = encoding_.dims();
  const double budget = static_cast<double>(config.budget.value_or(100));
  const auto share = static_cast<std::size_t>(
      std::min(std::ceil(config.probe_ratio * budget), 1e6));
  return std::clamp(share, std::min<std::size_t>(d + 2, 10), std::max<std::size_t>(5 * d, 10));
}

void TpeStrategy::observe(const View& view, const Trial& trial) {
  observations_.push_back(
      observe_trial(view.config, encoding_, trial, view.history.size() - 1));
  if (observations_.size() > kWindow + 2 * kElite) forget();
  const std::uint64_t order = observations_.back().order;
  if (grains_.is_idle() || order < startup(view.config) || order > kGrainOrderMax ||
      order % kGrainEvery != 0) {
    return;
  }
  const std::vector<Labelled> data = label(observations_);
  const std::optional<Point> center = border_center(encoding_, data);
  if (center) grains_.update(encoding_, view.config.space, data, *center);
}

// Keeps the newest kWindow and, of the older, the kElite best.
void TpeStrategy::forget() {
  const auto newest = observations_.end() - static_cast<std::ptrdiff_t>(kWindow);
  std::stable_sort(observations_.begin(), newest, [](const Observation& a, const Observation& b) {
    const double x = a.loss && a.feasible >= 0.5 ? *a.loss : kInfinity;
    const double y = b.loss && b.feasible >= 0.5 ? *b.loss : kInfinity;
    return x < y;
  });
  const auto elite = observations_.begin() + static_cast<std::ptrdiff_t>(kElite);
  std::sort(observations_.begin(), elite, [](const Observation& a, const Observation& b) {
    return a.order < b.order;
  });
  observations_.erase(elite, newest);
}

std::vector<Config> TpeStrategy::propose(const View& view, Rng& rng, std::size_t count) {
  std::vector<Config> out;
  while (out.size() < count) {
    Config point = free_point(view, out, [&] { return decide(view, out, rng); });
    if (point.empty()) break;
    out.push_back(std::move(point));
  }
  return out;
}

Config TpeStrategy::decide(const View& view, std::span<const Config> also_pending,
                           Rng& rng) const {
  const Space& space = view.config.space;
  const std::size_t waiting = view.pending.size() + also_pending.size();
  const std::size_t n = observations_.empty() ? 0 : observations_.back().order + 1;
  if (n + waiting < startup(view.config)) {
    return point_from_unit(space, probes_.point(static_cast<std::uint32_t>(
        view.handed_out + also_pending.size())));
  }
  const std::vector<Labelled> data = label(observations_);
  const std::size_t turn = n + waiting - startup(view.config);
  const std::optional<Ground> ground = turn < kSettling && turn % 4 == 0
                                           ? std::nullopt
                                           : survey(encoding_, space, grains_.grains(), data);
  if (ground && has_limits(data)) return ground->config_at(near_border(*ground, turn, rng));
  if (ground && turn % 2 == 1) {
    Config config = ground->config_at(ground->search().cheapest({}, rng));
    if (!was_told(encoding_.encode(space, config), data)) return config;
  }
  std::vector<Point> pending;
  for (const Config& c : view.pending) pending.push_back(encoding_.encode(space, c));
  for (const Config& c : also_pending) pending.push_back(encoding_.encode(space, c));
  return likeliest_good(view, encoding_, data, pending, rng);
}

Prediction TpeStrategy::predict(const View& view, const Config& config) const {
  const Space& space = view.config.space;
  const std::optional<Ground> ground =
      survey(encoding_, space, grains_.grains(), label(observations_));
  if (!ground) return sample_prediction(view);
  const Point at = acting_point(encoding_, space, ground->grains, encoding_.encode(space, config));
  Prediction out = ground->border.predict(at);
  out.objective = user_value(view.config, out.objective);
  return out;
}

std::optional<Config> TpeStrategy::best(const View& view) const {
  const std::optional<Ground> ground =
      survey(encoding_, view.config.space, grains_.grains(), label(observations_));
  if (!ground) return std::nullopt;
  Rng rng = Rng(view.config.seed).stream("best");
  return ground->config_at(ground->search().cheapest(kSafe, rng));
}

}  // namespace arqon::solver
