#include "arqon/solver/strategies/tpe/density.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "arqon/solver/sampling.h"
#include "arqon/solver/strategies/tpe/parzen.h"

namespace arqon::solver {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kSearchCandidates = 48;
constexpr std::size_t kGoodMax = 25;
constexpr double kGoodShare = 0.1;
constexpr std::size_t kFlatWeights = 25;   // the newest points count in full
constexpr double kRepeatPenalty = 20;      // in log density: a repeat only when all else is told

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

}  // namespace

bool was_told(const Point& at, std::span<const Labelled> data) {
  return std::any_of(data.begin(), data.end(), [&](const Labelled& d) { return d.at == at; });
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

Config likeliest_good(const View& view, const Encoding& encoding, std::span<const Labelled> data,
              std::span<const Point> pending, Rng& rng) {
  const Split densities = split(encoding, data, pending);
  Config best;
  double best_score = -kInfinity;
  for (std::size_t i = 0; i < kSearchCandidates; ++i) {
    // What is compared is what would be applied: on the grid, inside the domain.
    Config config = encoding.decode(view.config.space, densities.good.sample(rng));
    const Point at = encoding.encode(view.config.space, config);
    const double score = densities.good.log_density(at) - densities.bad.log_density(at) -
                         (was_told(at, data) ? kRepeatPenalty : 0);
    if (score > best_score && !is_among(config, view.pending)) {
      best_score = score;
      best = std::move(config);
    }
  }
  return best.empty() ? random_point(view.config.space, rng) : best;
}

}  // namespace arqon::solver
