#include "arqon/solver/strategies/tpe/border.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace arqon::solver {
namespace {

constexpr double kLossScaleMin = 0.10;
constexpr double kScoreScaleMin = 0.15;
constexpr double kScaleMax = 1.5;
constexpr std::size_t kCentersTried = 12;

bool useful(const Labelled& d) { return d.loss.has_value() && d.allowed >= 0.5; }

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
  return std::clamp(reach_of(encoding, data, center, 3 * features, useful), kLossScaleMin,
                    kScaleMax);
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

LeastSquares fit_loss(const Basis& basis, std::span<const Labelled> data, bool log) {
  std::vector<Point> points;
  std::vector<double> values;
  for (const Labelled& d : data) {
    if (!useful(d)) continue;
    points.push_back(d.at);
    values.push_back(log ? std::log(*d.loss) : *d.loss);
  }
  return LeastSquares(basis, points, values);
}

Probit fit_score(const Basis& basis, std::span<const Labelled> data) {
  std::vector<Point> points;
  std::vector<double> labels;
  for (const Labelled& d : data) {
    points.push_back(d.at);
    labels.push_back(d.allowed);
  }
  return Probit(basis, points, labels);
}

}  // namespace

Border::Border(const Encoding& encoding, std::span<const Labelled> data, Point center)
    : center_(std::move(center)),
      reach_(loss_scale(encoding, data, center_)),
      log_(all_positive(data)),
      loss_basis_(encoding, center_, reach_),
      score_basis_(encoding, center_, score_scale(encoding, data, center_)),
      loss_(fit_loss(loss_basis_, data, log_)),
      probit_(fit_score(score_basis_, data)) {}

Estimate Border::loss(std::span<const double> at) const {
  Estimate e = loss_.at(loss_basis_(at));
  if (log_) {
    e.mean = std::exp(e.mean);
    e.variance *= e.mean * e.mean;
  }
  return e;
}

double Border::score(std::span<const double> at) const { return probit_.score(score_basis_(at)); }

double Border::score_sd(std::span<const double> at) const {
  return std::sqrt(probit_.at(score_basis_(at)).variance);
}

std::optional<Point> border_center(const Encoding& encoding, std::span<const Labelled> data) {
  std::vector<const Labelled*> cheapest;
  for (const Labelled& d : data) {
    if (useful(d)) cheapest.push_back(&d);
  }
  if (cheapest.empty()) return std::nullopt;
  std::stable_sort(cheapest.begin(), cheapest.end(),
                   [](const Labelled* a, const Labelled* b) { return *a->loss < *b->loss; });
  cheapest.resize(std::min(cheapest.size(), kCentersTried));
  const Border first(encoding, data, cheapest[0]->at);
  for (const Labelled* d : cheapest) {
    if (first.score(d->at) >= 0) return d->at;
  }
  return cheapest[0]->at;
}

}  // namespace arqon::solver
