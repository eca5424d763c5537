#include "arqon/solver/strategies/tpe/border.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace arqon::solver {
namespace {

constexpr double kLossScaleMin = 0.5;    // along a border that has to be known far and wide
constexpr double kLossScaleFree = 0.05;  // where nothing is forbidden: as local as the data allow
constexpr double kScoreScaleMin = 0.7;
constexpr double kScaleMax = 1.5;
constexpr double kQualityShare = 0.4;
constexpr double kQualityUnitMin = 0.3;  // in ln of the loss
constexpr std::size_t kBumps = 24;       // up to kBumpDims coordinates; a third of it beyond
constexpr std::size_t kBumpDims = 3;
constexpr double kBumpsApart = 0.08;
constexpr std::size_t kCentersTried = 32;
constexpr double kNeighbourhood = 0.03;
constexpr double kNoLimitMargin = 8;

bool useful(const Labelled& d) { return d.loss.has_value(); }

// Distance within which `count` points of the wanted kind lie; all of them when there are fewer.
template <typename Wanted>
double reach_of(const Encoding& encoding, std::span<const Labelled> data, const Point& center,
                std::size_t count, Wanted wanted) {
  std::vector<double> distances;
  for (const Labelled& d : data) {
    if (!wanted(d)) continue;
    double far = 0;
    for (std::size_t i = 0; i < encoding.dims(); ++i) {
      if (encoding[i].geometry == Geometry::kCategory) continue;
      far = std::max(far, std::abs(encoding.difference(i, center[i], d.at[i])));
    }
    distances.push_back(far);
  }
  if (distances.empty()) return kScaleMax;
  std::sort(distances.begin(), distances.end());
  return distances[std::min(count, distances.size()) - 1] * 1.2;
}

double loss_scale(const Encoding& encoding, std::span<const Labelled> data, const Point& center) {
  const std::size_t features = Basis(encoding, center, 1).size();
  return std::clamp(reach_of(encoding, data, center, 3 * features, useful),
                    has_limits(data) ? kLossScaleMin : kLossScaleFree, kScaleMax);
}

double score_scale(const Encoding& encoding, std::span<const Labelled> data, const Point& center) {
  const std::size_t features = Basis(encoding, center, 1).size();
  const auto yes = [](const Labelled& d) { return d.allowed >= 0.5; };
  const auto no = [](const Labelled& d) { return d.allowed < 0.5; };
  return std::clamp(std::max(reach_of(encoding, data, center, 2 * features, yes),
                             reach_of(encoding, data, center, 2 * features, no)),
                    kScoreScaleMin, kScaleMax);
}

bool all_positive(std::span<const Labelled> data) {
  return std::all_of(data.begin(), data.end(),
                     [](const Labelled& d) { return !useful(d) || *d.loss > 0; });
}

// Losses far above the best say little about the shape near it.
std::vector<double> quality_weights(const std::vector<double>& losses, bool log) {
  if (losses.empty()) return {};
  std::vector<double> sorted = losses;
  std::sort(sorted.begin(), sorted.end());
  const double best = sorted.front();
  const auto rank = static_cast<std::size_t>(kQualityShare * static_cast<double>(sorted.size()));
  // Hundreds of points at one good setting must not make its neighbours worthless.
  const double least = log ? kQualityUnitMin : 1e-9 * (1 + std::abs(best));
  const double unit = std::max(sorted[rank] - best, least);
  std::vector<double> weights;
  for (const double loss : losses) {
    const double r = (loss - best) / unit;
    weights.push_back(1 / (1 + r * r));
  }
  return weights;
}

double spread_of_better(std::span<const Labelled> data) {
  std::vector<double> losses;
  for (const Labelled& d : data) {
    if (useful(d)) losses.push_back(*d.loss);
  }
  std::sort(losses.begin(), losses.end());
  const double spread = losses.empty() ? 0 : losses[losses.size() / 2] - losses.front();
  return spread > 0 ? spread : 1;
}

LeastSquares fit_loss(const Basis& basis, std::span<const Labelled> data, bool log) {
  std::vector<Point> points;
  std::vector<double> values;
  std::vector<double> counts;
  for (const Labelled& d : data) {
    if (!useful(d)) continue;
    points.push_back(d.at);
    values.push_back(log ? std::log(*d.loss) : *d.loss);
    counts.push_back(d.count);
  }
  std::vector<double> weights = quality_weights(values, log);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] *= counts[i];
  return LeastSquares(basis, points, values, weights);
}

// Bumps where there is something to bend them: among the observations near the centre.
std::vector<Point> bumps(const Encoding& encoding, std::span<const Labelled> data,
                         const Point& center, double scale, bool only_useful) {
  std::vector<Point> near;
  for (const Labelled& d : data) {
    if (only_useful && !useful(d)) continue;
    if (encoding.distance(center, d.at) <= scale) near.push_back(d.at);
  }
  const std::size_t count = encoding.dims() <= kBumpDims ? kBumps : kBumps / 3;
  return spread_out(encoding, center, near, count, kBumpsApart);
}

Probit fit_score(const Basis& basis, std::span<const Labelled> data) {
  std::vector<Point> points;
  std::vector<double> labels;
  std::vector<double> counts;
  for (const Labelled& d : data) {
    points.push_back(d.at);
    labels.push_back(d.allowed);
    counts.push_back(d.count);
  }
  return Probit(basis, points, labels, counts);
}

}  // namespace

bool has_limits(std::span<const Labelled> data) {
  return std::any_of(data.begin(), data.end(), [](const Labelled& d) { return d.allowed < 0.5; });
}

std::vector<Labelled> merge_equal(std::span<const Labelled> data) {
  std::map<Point, std::size_t> places;
  std::vector<Labelled> out;
  for (const Labelled& d : data) {
    const auto [place, fresh] = places.emplace(d.at, out.size());
    if (fresh) {
      out.push_back(d);
      continue;
    }
    Labelled& m = out[place->second];
    const double all = m.count + d.count;
    // A forbidden window at a point that was also measured leaves the measured loss as it is.
    if (!m.loss) m.loss = d.loss;
    else if (d.loss) m.loss = (*m.loss * m.count + *d.loss * d.count) / all;
    m.allowed = (m.allowed * m.count + d.allowed * d.count) / all;
    m.count = all;
  }
  return out;
}

Border::Border(const Encoding& encoding, std::span<const Labelled> data, Point center)
    : center_(std::move(center)),
      reach_(loss_scale(encoding, data, center_)),
      score_scale_(score_scale(encoding, data, center_)),
      loss_unit_(1),
      log_(all_positive(data)),
      loss_basis_(encoding, center_, reach_, bumps(encoding, data, center_, reach_, true)),
      score_basis_(encoding, center_, score_scale_,
                   bumps(encoding, data, center_, score_scale_, false)),
      loss_(fit_loss(loss_basis_, data, log_)) {
  if (has_limits(data)) probit_ = fit_score(score_basis_, data);
  if (!log_) loss_unit_ = spread_of_better(data);
}

Estimate Border::loss(std::span<const double> at) const {
  return loss_.at(loss_basis_, loss_basis_(at));
}

double Border::loss_mean(std::span<const double> at) const {
  return loss_.mean_at(loss_basis_(at));
}

double Border::margin_mean(std::span<const double> at) const {
  return probit_ ? probit_->mean_at(score_basis_(at)) : kNoLimitMargin;
}

Prediction Border::predict(std::span<const double> at) const {
  const Estimate e = loss(at);
  const double mean = log_ ? std::exp(e.mean) : e.mean;
  return {.objective = mean,
          .objective_sd = std::sqrt(e.variance) * (log_ ? mean : 1),
          .feasible_probability = normal_cdf(score(at))};
}

double Border::score(std::span<const double> at) const {
  const Estimate e = margin(at);
  return e.mean / std::sqrt(1 + e.variance);
}

Estimate Border::margin(std::span<const double> at) const {
  if (!probit_) return {.mean = kNoLimitMargin, .variance = 0};
  return probit_->at(score_basis_, score_basis_(at));
}

double loss_residual_sd(const Encoding& encoding, std::span<const Labelled> data,
                        const Point& center) {
  const Basis basis(encoding, center, loss_scale(encoding, data, center));
  return fit_loss(basis, data, all_positive(data)).noise_sd();
}

std::optional<Point> border_center(const Encoding& encoding, std::span<const Labelled> data) {
  std::vector<const Labelled*> cheapest;
  for (const Labelled& d : data) {
    if (useful(d) && d.allowed >= 0.5) cheapest.push_back(&d);
  }
  if (cheapest.empty()) return std::nullopt;
  std::stable_sort(cheapest.begin(), cheapest.end(),
                   [](const Labelled* a, const Labelled* b) { return *a->loss < *b->loss; });
  cheapest.resize(std::min(cheapest.size(), kCentersTried));
  for (const Labelled* candidate : cheapest) {
    double vote = 0;
    for (const Labelled& d : data) {
      const double r = encoding.distance(candidate->at, d.at) / kNeighbourhood;
      vote += d.count * (d.allowed - 0.5) * std::exp(-0.5 * r * r);
    }
    if (vote >= 0) return candidate->at;
  }
  return cheapest[0]->at;
}

}  // namespace arqon::solver
