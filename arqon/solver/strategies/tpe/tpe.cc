#include "arqon/solver/strategies/tpe/tpe.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/solver/model_free.h"
#include "arqon/solver/sampling.h"
#include "arqon/solver/strategies/tpe/border.h"
#include "arqon/solver/strategies/tpe/grain.h"
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
constexpr double kSafeScore = 2.2;
constexpr double kProbeScore = 0.8;
constexpr std::size_t kSettling = 48;

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
  const Penalty penalty = find_penalty(observations);
  std::vector<Labelled> out;
  out.reserve(observations.size());
  for (const Observation& o : observations) {
    Labelled l{.at = o.at, .loss = o.loss, .allowed = o.feasible};
    if (o.loss && penalty.covers(*o.loss)) {
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

// Probes after the settling phase: each waits an eighth longer, so they thin out as 8 ln(turn).
bool is_probe_turn(std::size_t turn) {
  std::size_t at = kSettling;
  while (at < turn) at += at / 8;
  return at == turn;
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

// What a decision at the border looks for.
struct Wish {
  double score_min;       // least normal score of P(allowed)
  bool sure;              // with the border's own uncertainty; else as if `border_optimism` ...
  double border_optimism; // ... standard deviations further out were known
  double loss_optimism;   // standard deviations by which the loss may be less (negative: more)
  double reach;           // how far from the centre
};

// The point with the least loss among those that reach the score; else the surest point.
class BorderSearch {
 public:
  BorderSearch(const Encoding& encoding, const Space& space, const Border& border,
               std::span<const Grain> grains, Wish wish)
      : encoding_(encoding), space_(space), border_(border), grains_(grains), wish_(wish) {}

  void consider(const Point& raw) {
    const Point at = acting_point(encoding_, space_, grains_,
                                  encoding_.encode(space_, encoding_.decode(space_, raw)));
    const double score = wish_.sure ? border_.score(at) : optimistic(border_.margin(at));
    const Estimate loss = border_.loss(at);
    const bool allowed = score >= wish_.score_min;
    const double key = allowed ? loss.mean - wish_.loss_optimism * std::sqrt(loss.variance)
                               : -score;
    if (best_.empty() || (allowed && !best_allowed_) || (allowed == best_allowed_ && key < key_)) {
      best_ = at;
      best_allowed_ = allowed;
      key_ = key;
    }
  }

  // Gaussian moves about the best so far, a few coordinates at a time, never beyond reach.
  void refine(double width, std::size_t count, Rng& rng) {
    const Point from = best_;
    for (std::size_t i = 0; i < count; ++i) {
      Point raw = from;
      for (std::size_t j = 0; j < raw.size(); ++j) move(raw[j], j, width, rng);
      consider(raw);
    }
  }

  const Point& best() const { return best_; }

 private:
  double optimistic(const Estimate& margin) const {
    return margin.mean + wish_.border_optimism * std::sqrt(margin.variance);
  }
  void move(double& u, std::size_t j, double width, Rng& rng) const {
    const double which = rng.uniform();
    const double step = width * rng.normal();
    const Coordinate& c = encoding_[j];
    if (c.geometry == Geometry::kCategory) {
      if (which < 0.1) u = std::floor(which * 10 * static_cast<double>(c.choices));
      return;
    }
    if (which > 0.7) return;
    const double center = border_.center()[j];
    u = center + std::clamp(encoding_.difference(j, center, u + step), -wish_.reach, wish_.reach);
  }

  const Encoding& encoding_;
  const Space& space_;
  const Border& border_;
  std::span<const Grain> grains_;
  Wish wish_;
  Point best_;
  bool best_allowed_ = false;
  double key_ = 0;
};

Point best_at_border(const Encoding& encoding, const Space& space, const Border& border,
                     std::span<const Grain> grains, std::span<const Labelled> data,
                     const Wish& wish, Rng& rng) {
  BorderSearch search(encoding, space, border, grains, wish);
  search.consider(border.center());
  for (const Labelled& d : data) {
    if (d.loss && encoding.distance(d.at, border.center()) <= wish.reach) search.consider(d.at);
  }
  double width = wish.reach / 2;
  for (std::size_t round = 0; round < kBorderRounds; ++round, width /= 4) {
    search.refine(width, kBorderCandidates, rng);
  }
  return search.best();
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
  std::vector<Labelled> data = label(observations_);
  std::vector<Point> pending;
  for (const Config& c : view.pending) pending.push_back(encoding_.encode(space, c));
  for (const Config& c : also_pending) pending.push_back(encoding_.encode(space, c));
  const bool limits = std::any_of(data.begin(), data.end(),
                                  [](const Labelled& d) { return d.allowed < 0.5; });
  const std::optional<Point> center = limits ? border_center(encoding_, data) : std::nullopt;
  const std::size_t turn = n + waiting - startup(view.config);
  if (!center || (turn < kSettling && turn % 4 == 0)) {
    return search(view, encoding_, data, pending, rng);
  }
  const std::vector<Grain> grains = find_grains(encoding_, space, data, *center);
  for (Labelled& d : data) d.at = acting_point(encoding_, space, grains, d.at);
  const Border border(encoding_, data, acting_point(encoding_, space, grains, *center));
  const auto best_for = [&](const Wish& wish, std::uint64_t stream) {
    Rng own = rng.stream(stream);
    return best_at_border(encoding_, space, border, grains, data, wish, own);
  };
  const Wish safe{.score_min = kSafeScore, .sure = true, .border_optimism = 0,
                  .loss_optimism = -0.5, .reach = border.reach()};
  const Wish known{.score_min = kSafeScore, .sure = false, .border_optimism = 0,
                   .loss_optimism = -0.5, .reach = border.reach()};
  const Wish sharpen{.score_min = kProbeScore, .sure = false, .border_optimism = 0,
                     .loss_optimism = 0, .reach = border.reach()};
  const Wish explore{.score_min = 0.3, .sure = false, .border_optimism = 1, .loss_optimism = 1,
                     .reach = 1};
  Point chosen;
  if (turn < kSettling) {
    chosen = best_for(turn % 4 == 2 ? explore : sharpen, 0);
  } else if (is_probe_turn(turn)) {
    chosen = best_for(turn % 2 == 0 ? explore : sharpen, 0);
  } else {
    chosen = best_for(safe, 0);
    if (turn % 2 == 0) {
      const Point plain = best_for(known, 1);
      const double price = border.loss(chosen).mean - border.loss(plain).mean;
      if (price > 0.0004 * static_cast<double>(turn)) chosen = best_for(sharpen, 2);
    }
  }
  return middle_of_grain(space, encoding_, grains, encoding_.decode(space, chosen));
}

Prediction TpeStrategy::predict(const View& view, const Config& config) const {
  const std::vector<Labelled> data = label(observations_);
  const Point at = encoding_.encode(view.config.space, config);
  if (border_center(encoding_, data) == std::nullopt) return sample_prediction(view);
  Prediction out = Border(encoding_, data, at).predict(at);
  out.objective = user_value(view.config, out.objective);
  return out;
}

std::optional<Config> TpeStrategy::best(const View& view) const {
  const Space& space = view.config.space;
  std::vector<Labelled> data = label(observations_);
  const std::optional<Point> center = border_center(encoding_, data);
  if (!center) return std::nullopt;
  const std::vector<Grain> grains = find_grains(encoding_, space, data, *center);
  for (Labelled& d : data) d.at = acting_point(encoding_, space, grains, d.at);
  const Border border(encoding_, data, acting_point(encoding_, space, grains, *center));
  Rng rng = Rng(view.config.seed).stream("best");
  const Wish wish{.score_min = kSafeScore, .sure = true, .border_optimism = 0,
                  .loss_optimism = -0.5, .reach = border.reach()};
  const Point chosen = best_at_border(encoding_, space, border, grains, data, wish, rng);
  return middle_of_grain(space, encoding_, grains, encoding_.decode(space, chosen));
}

}  // namespace arqon::solver
