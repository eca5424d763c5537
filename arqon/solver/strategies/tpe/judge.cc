#include "arqon/solver/strategies/tpe/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/solver/model_free.h"

namespace arqon::solver {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// A group of equal worst values is a penalty when it has at least this many different settings.
constexpr std::size_t kAtomMin = 3;
// A worst group that repeats only twice must stand off by this many spreads of the rest.
constexpr double kTightGap = 3;
// A single worst value must stand off by this many spreads of the rest.
constexpr double kLoneGap = 30;
constexpr double kTiesMax = 0.1;  // a study with more ties than this has plateaus, not penalties
constexpr double kSdPerInterval = 3.92;  // width of a 95 % normal interval in standard deviations

double normal_cdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752440); }

double share_below(const Metric& m, double limit) {
  if (limit <= 0) return 0;
  if (limit >= 1) return 1;
  const auto n = static_cast<double>(*m.n);
  const auto over = static_cast<double>(*m.over);
  return incomplete_beta(over + 0.5, n - over + 0.5, limit);
}

// P(value <= limit) for a measurement with an interval or without any.
double below(const Metric& m, double limit) {
  if (m.lo && m.hi && *m.hi > *m.lo) {
    return normal_cdf((limit - m.value) * kSdPerInterval / (*m.hi - *m.lo));
  }
  return m.value <= limit ? 1 : 0;
}

double above(const Metric& m, double limit) {
  if (m.lo && m.hi && *m.hi > *m.lo) return 1 - below(m, limit);
  return m.value >= limit ? 1 : 0;
}

struct Ranked {
  double loss;
  const Observation* observation;
};

std::vector<Ranked> by_loss(std::span<const Observation> observations) {
  std::vector<Ranked> ranked;
  for (const Observation& o : observations) {
    if (o.loss) ranked.push_back({*o.loss, &o});
  }
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    return a.loss != b.loss ? a.loss < b.loss : a.observation->order < b.observation->order;
  });
  return ranked;
}

// Different settings among ranked[from..), counted up to kAtomMin.
std::size_t distinct_settings(std::span<const Ranked> ranked) {
  std::vector<const Point*> seen;
  for (const Ranked& r : ranked) {
    const bool known = std::any_of(seen.begin(), seen.end(), [&](const Point* p) {
      return *p == r.observation->at;
    });
    if (!known) seen.push_back(&r.observation->at);
    if (seen.size() >= kAtomMin) break;
  }
  return seen.size();
}

// The run of equal losses with the most members: [first, last).
std::pair<std::size_t, std::size_t> longest_run(std::span<const Ranked> ranked) {
  std::pair<std::size_t, std::size_t> longest{0, 0};
  for (std::size_t i = 0; i < ranked.size();) {
    std::size_t j = i;
    while (j < ranked.size() && ranked[j].loss == ranked[i].loss) ++j;
    if (j - i >= longest.second - longest.first) longest = {i, j};
    i = j;
  }
  return longest;
}

// Share of values outside `run` that equal their neighbour at another setting: plateaus and ties.
double tie_share(std::span<const Ranked> ranked, std::pair<std::size_t, std::size_t> run) {
  double ties = 0;
  for (std::size_t i = 1; i < ranked.size(); ++i) {
    if (i >= run.first && i <= run.second) continue;
    const bool tie = ranked[i].loss == ranked[i - 1].loss &&
                     ranked[i].observation->at != ranked[i - 1].observation->at;
    ties += tie ? 1 : 0;
  }
  const std::size_t others = ranked.size() - (run.second - run.first);
  return ties / static_cast<double>(std::max<std::size_t>(others, 1));
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
  ARQON_ASSERT(a > 0 && b > 0);
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  constexpr double kTiny = 1e-300;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x)) / a;
  double c = 1;
  double d = 1 / std::max(1 - (a + b) * x / (a + 1), kTiny);
  double h = d;
  const auto step = [&](double numerator) {
    d = 1 + numerator * d;
    d = 1 / (std::abs(d) < kTiny ? kTiny : d);
    c = 1 + numerator / c;
    c = std::abs(c) < kTiny ? kTiny : c;
    h *= c * d;
    return std::abs(c * d - 1);
  };
  for (double m = 1; m < 1000; m += 1) {
    step(m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)));
    if (step(-(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))) < 1e-12) break;
  }
  return std::clamp(front * h, 0.0, 1.0);
}

double constraint_probability(const Constraint& constraint, const Metric& metric) {
  double p = 1;
  if (metric.n && metric.over && *metric.n > 0) {
    // `over` counts what was not good: attainment has a minimum, a bad share a maximum.
    if (constraint.min) p *= share_below(metric, 1 - *constraint.min);
    if (constraint.max) p *= share_below(metric, *constraint.max);
    return p;
  }
  if (constraint.min) p *= above(metric, *constraint.min);
  if (constraint.max) p *= below(metric, *constraint.max);
  return p;
}

Observation observe_trial(const StudyConfig& config, const Encoding& encoding, const Trial& trial,
                          std::uint64_t order) {
  Observation out{.at = encoding.encode(config.space, trial.applied.value_or(trial.params)),
                  .loss = loss_of(config, trial),
                  .order = order};
  if (trial.outcome != Outcome::kOk) {
    out.feasible = 0;
    return out;
  }
  for (const Constraint& c : config.constraints) {
    const auto metric = trial.metrics.find(c.metric);
    if (metric != trial.metrics.end()) out.feasible *= constraint_probability(c, metric->second);
  }
  return out;
}

Penalty find_penalty(std::span<const Observation> observations) {
  Penalty out{.value = std::nullopt, .threshold = kInfinity};
  const std::vector<Ranked> ranked = by_loss(observations);
  if (ranked.size() < 2 || ranked.front().loss == ranked.back().loss) return out;
  const auto run = longest_run(ranked);
  const auto members = std::span(ranked).subspan(run.first, run.second - run.first);
  if (run.first > 0 && distinct_settings(members) >= kAtomMin &&
      tie_share(ranked, run) < kTiesMax) {
    out.value = ranked[run.first].loss;
  }
  for (std::size_t i = ranked.size() - 1; i >= 3; --i) {
    const double gap = ranked[i].loss - ranked[i - 1].loss;
    const double spread = ranked[i - 1].loss - ranked[0].loss;
    const double above_gap = ranked.back().loss - ranked[i].loss;
    const bool tight = ranked.size() - i >= 2 && above_gap <= 0.1 * gap && gap > kTightGap * spread;
    // Next to results that have converged everything is far: penalties are also near one another.
    const bool lone = above_gap <= gap && gap > kLoneGap * spread;
    if (spread > 0 && (tight || lone)) {
      out.threshold = ranked[i].loss;
      break;
    }
  }
  return out;
}

}  // namespace arqon::solver
