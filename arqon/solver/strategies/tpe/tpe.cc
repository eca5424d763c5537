#include "arqon/solver/strategies/tpe/tpe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/solver/model_free.h"
#include "arqon/solver/sampling.h"
#include "arqon/solver/strategies/tpe/border.h"
#include "arqon/solver/strategies/tpe/parzen.h"

namespace arqon::solver {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kSearchCandidates = 48;
constexpr std::size_t kGoodMax = 25;
constexpr double kGoodShare = 0.1;
constexpr std::size_t kFlatWeights = 25;   // the newest points count in full
constexpr std::size_t kBorderRounds = 3;
constexpr std::size_t kBorderCandidates = 64;
// Normal scores of P(allowed): what is exploited (97.9 %) and what is probed (69 %).
constexpr double kSafeScore = 2.05;
constexpr double kProbeScore = 0.5;

// Weights of TPE: the oldest fade so that early random points do not hold the density up.
std::vector<double> fading_weights(std::size_t n) {
  std::vector<double> weights(n, 1.0);
  if (n <= kFlatWeights) return weights;
  const std::size_t ramp = n - kFlatWeights;
  for (std::size_t i = 0; i < ramp; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(ramp);
    weights[i] = 1 / static_cast<double>(n) + t * (1 - 1 / static_cast<double>(n));
  }
  return weights;
}

std::vector<Labelled> label(std::span<const Observation> observations) {
  const double penalty = penalty_threshold(observations);
  std::vector<Labelled> out;
  out.reserve(observations.size());
  for (const Observation& o : observations) {
    Labelled l{.at = o.at, .loss = o.loss, .allowed = o.feasible};
    if (o.loss && *o.loss >= penalty) {
      l.loss.reset();
      l.allowed = 0;
    }
    out.push_back(std::move(l));
  }
  return out;
}

struct Split {
  Parzen good;
  Parzen bad;
};

// Good: the best tenth of what is allowed. Bad: the rest, what broke a limit, what is pending.
Split split(const Encoding& encoding, std::span<const Labelled> data,
            std::span<const Point> pending) {
  std::vector<std::size_t> ranked;
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (data[i].loss && data[i].allowed >= 0.5) ranked.push_back(i);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](std::size_t a, std::size_t b) { return *data[a].loss < *data[b].loss; });
  const auto share =
      static_cast<std::size_t>(std::ceil(kGoodShare * static_cast<double>(data.size())));
  const std::size_t good_count = std::min({share, kGoodMax, ranked.size()});
  std::vector<char> is_good(data.size(), 0);
  for (std::size_t i = 0; i < good_count; ++i) is_good[ranked[i]] = 1;
  std::vector<Point> good;
  std::vector<Point> bad;
  for (std::size_t i = 0; i < data.size(); ++i) {
    (is_good[i] != 0 ? good : bad).push_back(data[i].at);
  }
  bad.insert(bad.end(), pending.begin(), pending.end());
  std::vector<double> good_weights = fading_weights(good.size());
  std::vector<double> bad_weights = fading_weights(bad.size());
  return {Parzen(encoding, std::move(good), std::move(good_weights)),
          Parzen(encoding, std::move(bad), std::move(bad_weights))};
}

bool is_probe_turn(std::size_t n) {
  // Spacings 2, 2, 2, 3, 3, 3, ...: about sqrt(6 n) probes in n decisions.
  std::size_t at = 0;
  for (std::size_t k = 0; at < n; ++k) at += 2 + k / 3;
  return at == n;
}

}  // namespace

TpeStrategy::TpeStrategy(const StudyConfig& config)
    : encoding_(config.space),
      probes_(config.space.slots(), Rng(config.seed).stream("probe")) {}

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

namespace {

Config search(const View& view, const Encoding& encoding, std::span<const Labelled> data,
              std::span<const Point> pending, Rng& rng) {
  const Split densities = split(encoding, data, pending);
  Config best;
  double best_score = -kInfinity;
  for (std::size_t i = 0; i < kSearchCandidates; ++i) {
    // What is compared is what would be applied: on the grid, inside the domain.
    Config config = encoding.decode(view.config.space, densities.good.sample(rng));
    const Point at = encoding.encode(view.config.space, config);
    const bool told = std::any_of(data.begin(), data.end(),
                                  [&](const Labelled& d) { return d.at == at; });
    const double score = densities.good.log_density(at) - densities.bad.log_density(at) -
                         (told ? 20 : 0);
    if (score > best_score && !is_among(config, view.pending)) {
      best_score = score;
      best = std::move(config);
    }
  }
  return best.empty() ? random_point(view.config.space, rng) : best;
}

// The point with the least loss among those that reach `score_min`; else the surest point.
Point cheapest_allowed(const Encoding& encoding, const Space& space, const Border& border,
                       std::span<const Labelled> data, double score_min, Rng& rng) {
  Point best = border.center();
  double best_key = kInfinity;
  const auto consider = [&](Point raw) {
    const Point at = encoding.encode(space, encoding.decode(space, raw));
    const double score = border.score(at);
    const Estimate loss = border.loss(at);
    const double key = score >= score_min ? std::atan(loss.mean + 0.5 * std::sqrt(loss.variance))
                                          : 10 + (score_min - score);
    if (key < best_key) {
      best_key = key;
      best = at;
    }
  };
  for (const Labelled& d : data) {
    if (d.loss && encoding.distance(d.at, border.center()) <= border.reach()) consider(d.at);
  }
  double width = border.reach() / 2;
  for (std::size_t round = 0; round < kBorderRounds; ++round, width /= 4) {
    const Point from = best;
    for (std::size_t i = 0; i < kBorderCandidates; ++i) {
      Point raw = from;
      for (std::size_t j = 0; j < raw.size(); ++j) {
        const double u = rng.uniform();
        if (encoding[j].geometry == Geometry::kCategory) {
          if (u < 0.1) raw[j] = std::floor(u * 10 * static_cast<double>(encoding[j].choices));
          continue;
        }
        const double move = width * normal_quantile(std::clamp(u, 1e-9, 1 - 1e-9));
        if (rng.uniform() < 0.7) raw[j] += std::max(move / width, -3.0) * width;
      }
      for (std::size_t j = 0; j < raw.size(); ++j) {
        const double d = encoding.difference(j, border.center()[j], raw[j]);
        if (encoding[j].geometry != Geometry::kCategory) {
          raw[j] = border.center()[j] + std::clamp(d, -border.reach(), border.reach());
        }
      }
      consider(raw);
    }
  }
  return best;
}

}  // namespace

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
  std::vector<Point> pending;
  for (const Config& c : view.pending) pending.push_back(encoding_.encode(space, c));
  for (const Config& c : also_pending) pending.push_back(encoding_.encode(space, c));
  const bool limits = std::any_of(data.begin(), data.end(),
                                  [](const Labelled& d) { return d.allowed < 0.5; });
  const std::optional<Point> center = limits ? border_center(encoding_, data) : std::nullopt;
  const std::size_t turn = n + waiting - startup(view.config);
  const bool searching = turn < 40 ? turn % 2 == 0 : turn % 8 == 0 && turn < 120;
  if (!center || searching) return search(view, encoding_, data, pending, rng);
  const Border border(encoding_, data, *center);
  const double wanted = is_probe_turn(turn) || turn < 40 ? kProbeScore : kSafeScore;
  return encoding_.decode(space,
                          cheapest_allowed(encoding_, space, border, data, wanted, rng));
}

Prediction TpeStrategy::predict(const View& view, const Config& config) const {
  const std::vector<Labelled> data = label(observations_);
  const Point at = encoding_.encode(view.config.space, config);
  if (border_center(encoding_, data) == std::nullopt) return sample_prediction(view);
  const Border border(encoding_, data, at);
  const Estimate loss = border.loss(at);
  return {.objective = user_value(view.config, loss.mean),
          .objective_sd = std::sqrt(loss.variance),
          .feasible_probability = normal_cdf(border.score(at))};
}

std::optional<Config> TpeStrategy::best(const View& view) const {
  const std::vector<Labelled> data = label(observations_);
  const std::optional<Point> center = border_center(encoding_, data);
  if (!center) return std::nullopt;
  const Border border(encoding_, data, *center);
  Rng rng = Rng(view.config.seed).stream("best");
  return encoding_.decode(
      view.config.space,
      cheapest_allowed(encoding_, view.config.space, border, data, kSafeScore, rng));
}

}  // namespace arqon::solver
