#include "arqon/solver/strategies/tpe/border_search.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace arqon::solver {
namespace {

constexpr std::size_t kRounds = 3;
constexpr std::size_t kCandidates = 64;
constexpr double kNarrowing = 4;        // each round looks this many times closer
constexpr double kMoveShare = 0.7;      // of the coordinates, in one candidate
constexpr double kSwitchShare = 0.1;    // of the categories
constexpr double kPessimism = 0.5;      // standard deviations of the loss
constexpr double kSharpenReach = 0.08;
constexpr double kHopedMargin = 0.3;
constexpr double kChanceMin = 0.15;

double score_of(const Estimate& margin) { return margin.mean / std::sqrt(1 + margin.variance); }

}  // namespace

void BorderSearch::consider(const Judge& judge, const Point& raw, Best& best) const {
  const Point at = acting_point(encoding_, space_, grains_,
                                encoding_.encode(space_, encoding_.decode(space_, raw)));
  const Merit merit = judge(at, best.merit);
  const bool better = merit.meets != best.merit.meets ? merit.meets
                                                      : merit.value > best.merit.value;
  if (best.at.empty() || better) best = {at, merit};
}

// Gaussian moves about the best so far, some coordinates at a time, never beyond reach.
void BorderSearch::refine(const Judge& judge, const Point& middle, double reach, double width,
                          Rng& rng, Best& best) const {
  const Point from = best.at;
  for (std::size_t n = 0; n < kCandidates; ++n) {
    Point raw = from;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const double which = rng.uniform();
      const double step = width * rng.normal();
      const Coordinate& c = encoding_[i];
      if (c.geometry == Geometry::kCategory) {
        const double choice = std::floor(which / kSwitchShare * static_cast<double>(c.choices));
        if (which < kSwitchShare) raw[i] = choice;
      } else if (which < kMoveShare) {
        const double move = encoding_.difference(i, middle[i], raw[i] + step);
        raw[i] = middle[i] + std::clamp(move, -reach, reach);
      }
    }
    consider(judge, raw, best);
  }
}

BorderSearch::Best BorderSearch::best_told(const Judge& judge, const Point& from,
                                           double reach) const {
  Best best;
  consider(judge, from, best);
  for (const Labelled& d : data_) {
    if (d.loss && encoding_.distance(d.at, from) <= reach) consider(judge, d.at, best);
  }
  return best;
}

BorderSearch::Best BorderSearch::search(const Judge& judge, const Point& from, double reach,
                                        Best best, Rng& rng) const {
  double width = reach / 2;
  for (std::size_t round = 0; round < kRounds; ++round, width /= kNarrowing) {
    refine(judge, from, reach, width, rng, best);
  }
  return best;
}

Point BorderSearch::cheapest(const Wish& wish, Rng& rng) const {
  const Judge judge = [&](const Point& at, const Merit& to_beat) -> Merit {
    if (to_beat.meets && -border_.loss_mean(at) <= to_beat.value) return kNoBetter;
    const double mean = border_.margin_mean(at);
    // The border's uncertainty brings a positive score nearer to 0, never further out.
    if (to_beat.meets && mean < std::max(wish.margin_min, wish.score_min)) return kNoBetter;
    const double score = score_of(border_.margin(at));
    if (score < wish.score_min || mean < wish.margin_min) return {false, score};
    const Estimate loss = border_.loss(at);
    return {true, -loss.mean - kPessimism * std::sqrt(loss.variance)};
  };
  const Best told = best_told(judge, border_.center(), border_.reach());
  const Best found = search(judge, border_.center(), border_.reach(), told, rng);
  const bool as_good = told.merit.meets == found.merit.meets &&
                       found.merit.value - told.merit.value <= wish.patience * border_.loss_unit();
  return as_good ? told.at : found.at;
}

Point BorderSearch::most_promising(Rng& rng) const {
  const Judge judge = [&](const Point& at, const Merit&) -> Merit {
    const Estimate margin = border_.margin(at);
    const double hoped = margin.mean + std::sqrt(margin.variance);
    if (hoped < kHopedMargin) return {false, hoped};
    const Estimate loss = border_.loss(at);
    return {true, -loss.mean + std::sqrt(loss.variance)};
  };
  const double reach = border_.border_reach();
  return search(judge, border_.center(), reach, best_told(judge, border_.center(), reach), rng).at;
}

Promise BorderSearch::promise(const Point& safe, double score, Rng& rng) const {
  const double now = border_.loss(safe).mean;
  const Judge judge = [&](const Point& at, const Merit& to_beat) -> Merit {
    const double saving = now - border_.loss_mean(at);
    if (saving <= 0) return {false, -2};
    if (to_beat.meets && saving <= to_beat.value) return kNoBetter;
    const Estimate margin = border_.margin(at);
    const double chance = normal_cdf((margin.mean - score) / std::sqrt(margin.variance + 1e-12));
    // A long shot breaks a limit and tells nothing that was not believed before.
    if (chance < kChanceMin) return {false, -1 + chance};
    return {true, saving * chance};
  };
  const double reach = border_.border_reach();
  const Best best = search(judge, border_.center(), reach,
                           best_told(judge, border_.center(), reach), rng);
  return {.at = best.at, .gain = std::max(best.merit.value, 0.0) / border_.loss_unit()};
}

Point BorderSearch::sharpen(const Point& about, double margin_wanted, Rng& rng) const {
  if (border_.margin_mean(about) <= margin_wanted) return about;
  const Judge judge = [&](const Point& at, const Merit& to_beat) -> Merit {
    const double loss = border_.loss_mean(at);
    if (to_beat.meets && -loss <= to_beat.value) return kNoBetter;
    const double margin = border_.margin_mean(at);
    if (margin < margin_wanted) return {false, margin};
    return {true, -loss};
  };
  return search(judge, about, kSharpenReach, best_told(judge, about, kSharpenReach), rng).at;
}

}  // namespace arqon::solver
