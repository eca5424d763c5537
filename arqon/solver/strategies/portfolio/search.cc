#include "arqon/solver/strategies/portfolio/search.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/solver/gp/improvement.h"
#include "arqon/solver/gp/minimize.h"

namespace arqon::solver {
namespace {

// Candidates are fewer when each costs more.
constexpr std::size_t kWork = 12000;   // candidates times results
constexpr std::size_t kCandidatesMin = 64;
constexpr std::size_t kCandidatesMax = 320;
constexpr double kLocalShare = 0.5;
constexpr double kMoveShare = 0.7;
constexpr double kSwitchShare = 0.15;
constexpr std::size_t kLocalCentres = 3;
constexpr std::size_t kPolished = 3;
constexpr int kPolishCalls = 16;
constexpr std::size_t kToldLooked = 16;
constexpr double kShortfall = 50;   // value lost one standard deviation short of the margin; square
constexpr double kWidths[] = {0.2, 0.06, 0.015, 0.004};

bool continuous(const Coordinate& c) {
  return c.geometry != Geometry::kCategory && c.step == 0;
}

}  // namespace

std::vector<Point> Search::best_told(std::size_t count) const {
  std::vector<const Record*> order;
  for (const Record& r : records_) {
    if (r.seen.loss && r.answered && r.seen.feasible >= 0.5) order.push_back(&r);
  }
  std::stable_sort(order.begin(), order.end(), [](const Record* a, const Record* b) {
    return *a->seen.loss < *b->seen.loss;
  });
  order.resize(std::min(order.size(), kToldLooked));
  std::vector<std::pair<double, const Point*>> ranked;
  for (const Record* r : order) {
    const Belief b = models_.at(r->seen.at);
    // Lucky measurements of forbidden settings come after all others.
    ranked.emplace_back(b.loss.mean + (b.score_min < 0 ? 1e6 : 0), &r->seen.at);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Point> out;
  for (const auto& [value, at] : ranked) {
    if (out.size() < count && std::find(out.begin(), out.end(), *at) == out.end()) {
      out.push_back(*at);
    }
  }
  return out;
}

Point Search::snapped(const Point& raw) const {
  return encoding_.encode(space_, encoding_.decode(space_, raw));
}

bool Search::is_taken(const Point& at) const {
  const auto same = [&](const Record& r) { return r.seen.at == at; };
  return std::any_of(records_.begin(), records_.end(), same) ||
         std::find(waiting_.begin(), waiting_.end(), at) != waiting_.end();
}

double Search::value(const Goal& goal, const Point& at) const {
  const Belief b = models_.at(at);
  const double missing = std::max(goal.score_min - b.score_min, 0.0);
  const double shortfall = models_.has_limits() ? kShortfall * missing * missing : 0;
  switch (goal.kind) {
    case Goal::Kind::kImprove:
      return log_improvement(b.loss.mean, b.loss.variance, goal.best).value + b.log_feasible -
             shortfall;
    case Goal::Kind::kExploit: return -b.loss.mean - shortfall;
    case Goal::Kind::kAllow: return b.log_feasible;
  }
  return 0;
}

double Search::value(const Goal& goal, const Point& at, std::span<double> gradient) const {
  BeliefSlopes s;
  const Belief b = models_.at(at, s);
  double by_mean = 0;
  double by_variance = 0;
  double by_feasible = 1;
  double out = b.log_feasible;
  if (goal.kind == Goal::Kind::kImprove) {
    const LogImprovement ei = log_improvement(b.loss.mean, b.loss.variance, goal.best);
    out += ei.value;
    by_mean = ei.by_mean;
    by_variance = ei.by_variance;
  } else if (goal.kind == Goal::Kind::kExploit) {
    out = -b.loss.mean;
    by_mean = -1;
    by_feasible = 0;
  }
  // A smooth wall, along which a search can slide: the best settings lie at it.
  double by_score = 0;
  if (models_.has_limits() && goal.kind != Goal::Kind::kAllow && b.score_min < goal.score_min) {
    const double missing = goal.score_min - b.score_min;
    out -= kShortfall * missing * missing;
    by_score = 2 * kShortfall * missing;
  }
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] = by_mean * s.loss_mean[i] + by_variance * s.loss_variance[i] +
                  by_feasible * s.log_feasible[i] + by_score * s.score_min[i];
  }
  return out;
}

Point Search::polish(const Goal& goal, const Point& start, int calls_max) const {
  Box box;
  for (std::size_t i = 0; i < start.size(); ++i) {
    const bool moves = continuous(encoding_[i]);
    const bool line = encoding_[i].geometry == Geometry::kLine;
    box.low.push_back(!moves ? start[i] : line ? 0 : start[i] - 0.5);
    box.high.push_back(!moves ? start[i] : line ? 1 : start[i] + 0.5);
  }
  const Smooth down = [&](std::span<const double> x, std::span<double> gradient) {
    const double v = value(goal, Point(x.begin(), x.end()), gradient);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      gradient[i] = continuous(encoding_[i]) ? -gradient[i] : 0;
    }
    return -v;
  };
  return snapped(minimize(down, start, box, calls_max, 1e-7).at);
}

void Search::add_neighbours(const Point& about, std::vector<Point>& out) const {
  const Config here = encoding_.decode(space_, about);
  for (std::size_t i = 0; i < space_.size(); ++i) {
    const Parameter& p = space_[i];
    const std::size_t slot = space_.offset(i);
    if (p.type == ParamType::kCategorical || p.type == ParamType::kBool) {
      for (double choice = 0; choice <= p.max; choice += 1) {
        if (choice == here[slot]) continue;
        Config next = here;
        next[slot] = choice;
        out.push_back(encoding_.encode(space_, next));
      }
    } else if (p.grid_step() > 0) {
      for (const double side : {-1.0, 1.0}) {
        Config next = here;
        next[slot] += side * p.grid_step();
        out.push_back(encoding_.encode(space_, space_.snap(next)));
      }
    }
  }
}

std::vector<Point> Search::candidates(const Goal& goal, const SobolSequence& everywhere,
                                      std::uint32_t first_index, Rng& rng) const {
  const std::size_t count = std::clamp(kWork / std::max<std::size_t>(records_.size(), 1),
                                       kCandidatesMin, kCandidatesMax);
  std::vector<Point> out;
  const std::vector<Point> centres = best_told(kLocalCentres);
  const auto local = centres.empty() ? 0
                                     : static_cast<std::size_t>(kLocalShare *
                                                                static_cast<double>(count));
  const std::size_t global = goal.kind == Goal::Kind::kExploit ? 0 : count - local;
  for (std::size_t n = 0; n < global; ++n) {
    const Config c =
        point_from_unit(space_, everywhere.point(first_index + static_cast<std::uint32_t>(n)));
    out.push_back(encoding_.encode(space_, c));
  }
  for (const Point& c : centres) add_neighbours(c, out);
  for (std::size_t n = 0; n < local; ++n) {
    Point raw = centres[n % centres.size()];
    const double width = kWidths[(n / centres.size()) % std::size(kWidths)];
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const double which = rng.uniform();
      const double step = rng.normal();
      const Coordinate& c = encoding_[i];
      if (c.geometry == Geometry::kCategory) {
        const double choice = std::floor(which / kSwitchShare * static_cast<double>(c.choices));
        if (which < kSwitchShare) raw[i] = choice;
      } else if (which < kMoveShare) {
        raw[i] += std::max(width, c.step) * step;
      }
    }
    out.push_back(snapped(raw));
  }
  return out;
}

std::optional<Config> Search::find(const Goal& goal, const SobolSequence& everywhere,
                                   std::uint32_t first_index, Rng& rng) const {
  std::vector<std::pair<double, Point>> ranked;
  for (Point& at : candidates(goal, everywhere, first_index, rng)) {
    const double v = value(goal, at);
    ranked.emplace_back(v, std::move(at));
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Point> starts;
  for (const auto& [v, at] : ranked) {
    const bool near = std::any_of(starts.begin(), starts.end(), [&](const Point& s) {
      return encoding_.distance(s, at) < 0.01;
    });
    if (!near) starts.push_back(at);
    if (starts.size() == kPolished) break;
  }
  if (goal.kind == Goal::Kind::kExploit) {
    for (Point& p : best_told(1)) starts.insert(starts.begin(), std::move(p));
  }
  std::optional<Point> best;
  double best_value = -1e300;
  const auto consider = [&](Point at, double v) {
    if (v > best_value && !is_taken(at)) {
      best_value = v;
      best = std::move(at);
    }
  };
  for (const Point& start : starts) {
    Point at = polish(goal, start, kPolishCalls);
    const double v = value(goal, at);
    consider(std::move(at), v);
  }
  for (auto& [v, at] : ranked) {
    if (v <= best_value) break;
    consider(std::move(at), v);
  }
  if (!best) return std::nullopt;
  return encoding_.decode(space_, *best);
}

}  // namespace arqon::solver
