#include "arqon/solver/strategies/portfolio/models.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "arqon/solver/gp/classes.h"
#include "arqon/solver/gp/improvement.h"

namespace arqon::solver {
namespace {

constexpr int kCallsFirst = 40;
constexpr int kCallsAgain = 14;
constexpr std::size_t kRestartEvery = 4;   // fits; then the prior is a second start
constexpr std::size_t kWarpEvery = 3;
constexpr std::size_t kWarpMin = 8;        // results
constexpr double kLabelMatern = 2.0;       // ln variance of the probit's function before data
constexpr double kWinsor = 30;             // spreads above the median: what is worse is as bad
constexpr std::size_t kSkillMin = 6;
constexpr std::size_t kEarly = 12;         // results; as long, a worst value that repeats is enough

// One output as a model wants it.
struct Column {
  std::vector<const Record*> rows;
  std::vector<double> values;
  std::vector<double> variances;   // raw units

  std::size_t size() const { return rows.size(); }
  Design design(const FeatureMap& map) const {
    Design out(map);
    for (const Record* r : rows) out.append(map(r->seen.at));
    return out;
  }
};

// What lies absurdly far above the rest says "bad" and no more.
void winsorise(std::vector<double>& values) {
  if (values.size() < 4) return;
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  const double spread = median - sorted[0];
  if (!(spread > 0) || !std::isfinite(kWinsor * spread)) return;
  for (double& v : values) v = std::min(v, median + kWinsor * spread);
}

Column losses(std::span<const Record> records, const Penalty& penalty) {
  Column out;
  for (const Record& r : records) {
    if (!r.seen.loss || penalty.covers(*r.seen.loss)) continue;
    out.rows.push_back(&r);
    out.values.push_back(std::clamp(*r.seen.loss, -1e150, 1e150));
    out.variances.push_back(0);
  }
  winsorise(out.values);
  return out;
}

// 1 where the setting worked; empty when all did.
Column labels(std::span<const Record> records, const Penalty& penalty) {
  Column out;
  bool any_bad = false;
  for (const Record& r : records) {
    const bool good = r.answered && !(r.seen.loss && penalty.covers(*r.seen.loss));
    any_bad = any_bad || !good;
    out.rows.push_back(&r);
    out.values.push_back(good ? 1 : 0);
    out.variances.push_back(0);
  }
  return any_bad ? out : Column{};
}

Column excesses(std::span<const Record> records, std::size_t k) {
  Column out;
  for (const Record& r : records) {
    if (r.readings.size() <= k) continue;
    out.rows.push_back(&r);
    out.values.push_back(r.readings[k].excess);
    out.variances.push_back(r.readings[k].variance);
  }
  return out;
}

Outputs outputs_of(const Column& column, const Warp& warp) {
  Outputs out;
  for (std::size_t i = 0; i < column.size(); ++i) {
    const double slope = warp.slope(column.values[i]);
    out.values.push_back(warp(column.values[i]));
    // A slope may overflow where values are minute; what has no known noise keeps none.
    out.extra.push_back(column.variances[i] > 0 ? column.variances[i] * slope * slope : 0);
  }
  return out;
}

Theta label_start(const FeatureMap& map) {
  Theta theta = prior_theta(map);
  theta[map.groups() + kMatern] = kLabelMatern;
  theta[map.groups() + kSlopes] = kLabelMatern;
  return theta;
}

Theta theta_or(const Learned& learned, const FeatureMap& map, bool label = false) {
  if (!learned.theta.empty()) return learned.theta;
  return label ? label_start(map) : prior_theta(map);
}

void refit_column(const FeatureMap& map, const Column& column, Learned& learned, bool warped) {
  if (column.size() < 3) return;
  const Design design = column.design(map);
  const Outputs outputs = outputs_of(column, Warp(column.values, learned.bend));
  const bool first = learned.theta.empty();
  Fit fit = fit_theta(map, design, outputs, theta_or(learned, map),
                      first ? kCallsFirst : kCallsAgain);
  if (!first && learned.fits % kRestartEvery == 1) {
    Fit other = fit_theta(map, design, outputs, prior_theta(map), kCallsFirst);
    if (other.energy < fit.energy) fit = std::move(other);
  }
  if (warped && column.size() >= kWarpMin && learned.fits % kWarpEvery == 0) {
    double least = fit.energy - Warp(column.values, learned.bend).log_jacobian(column.values);
    const Theta start = fit.theta;
    const double power = gaussian_power(column.values);
    for (const Bend bend : {Bend{}, Bend{.log = true}, Bend{.power = power}}) {
      if (bend == learned.bend || (bend.log && !all_positive(column.values))) continue;
      const Warp warp(column.values, bend);
      Fit other = fit_theta(map, design, outputs_of(column, warp), start, kCallsAgain);
      const double energy = other.energy - warp.log_jacobian(column.values);
      if (!std::isfinite(energy) || energy >= least) continue;
      least = energy;
      fit = std::move(other);
      learned.bend = bend;
    }
  }
  learned.theta = std::move(fit.theta);
  ++learned.fits;
}

// Length scales from a regression on the labels; then the strengths of the probit by evidence.
void refit_labels(const FeatureMap& map, const Column& column, Learned& learned) {
  if (column.size() < 4) return;
  const bool both = std::find(column.values.begin(), column.values.end(), 1) != column.values.end();
  if (!both) return;
  const Design design = column.design(map);
  const Outputs outputs = outputs_of(column, Warp(column.values, {}));
  const Fit fit = fit_theta(map, design, outputs, prior_theta(map), kCallsAgain);
  Theta best;
  double best_energy = std::numeric_limits<double>::infinity();
  for (const double lift : {1.0, 2.5, 4.0}) {
    Theta theta = fit.theta;
    for (const std::size_t k : {kMatern, kSlopes, kBends, kCross}) theta[map.groups() + k] += lift;
    theta[map.groups() + kNoise] = -12;
    const double energy = fit_classes(map, design, theta, column.values).energy;
    if (energy < best_energy) {
      best_energy = energy;
      best = std::move(theta);
    }
  }
  if (!best.empty()) learned.theta = std::move(best);
  ++learned.fits;
}

}  // namespace

Penalty penalty_of(std::span<const Record> records) {
  std::vector<Observation> seen;
  for (const Record& r : records) seen.push_back(r.seen);
  Penalty out = find_penalty(seen);
  if (out.value || std::isfinite(out.threshold) || records.size() > kEarly) return out;
  std::vector<double> losses;
  for (const Record& r : records) {
    if (r.seen.loss) losses.push_back(*r.seen.loss);
  }
  std::sort(losses.begin(), losses.end());
  const auto others = std::lower_bound(losses.begin(), losses.end(),
                                       losses.empty() ? 0 : losses.back());
  const bool repeats = losses.end() - others >= 2;
  const bool tied = std::adjacent_find(losses.begin(), others) != others;
  if (repeats && !tied && others != losses.begin()) out.value = losses.back();
  return out;
}

Models::Models(const FeatureMap& map, std::span<const Record> records, const LearnedAll& learned)
    : map_(&map) {
  const Penalty penalty = penalty_of(records);
  const Column loss = losses(records, penalty);
  if (loss.size() > 0) {
    warp_ = Warp(loss.values, learned.loss.bend);
    const Outputs outputs = outputs_of(loss, warp_);
    losses_ = outputs.values;
    loss_ = std::make_unique<Output>(map, loss.design(map), theta_or(learned.loss, map), outputs);
  }
  const Column label = labels(records, penalty);
  if (label.size() > 0) {
    const Theta theta = theta_or(learned.labels, map, true);
    Design design = label.design(map);
    const ClassFit fit = fit_classes(map, design, theta, label.values);
    labels_ = std::make_unique<Output>(map, std::move(design), theta, fit.outputs);
    labels_->sign = -1;
    labels_->blurred = true;
  }
  for (std::size_t k = 0; k < learned.excess.size(); ++k) {
    const Column column = excesses(records, k);
    if (column.size() == 0) continue;
    const Warp warp(column.values, {});
    excess_.push_back(std::make_unique<Output>(map, column.design(map),
                                               theta_or(learned.excess[k], map),
                                               outputs_of(column, warp)));
    excess_.back()->threshold = warp(0);
  }
}

void Models::add_limit(const Output& output, const Moments& m, Belief& belief) const {
  const double margin = output.sign * (output.threshold - m.mean);
  belief.score_min = std::min(belief.score_min, margin / std::sqrt(m.variance));
  belief.log_feasible +=
      normal_log_cdf(margin / std::sqrt(m.variance + (output.blurred ? 1 : 0)));
}

Belief Models::at(const Point& point) const {
  const FeatureRow row = (*map_)(point);
  Belief out;
  if (loss_) out.loss = loss_->process.at(row);
  if (labels_) add_limit(*labels_, labels_->process.at(row), out);
  for (const auto& e : excess_) add_limit(*e, e->process.at(row), out);
  return out;
}

Belief Models::at(const Point& point, BeliefSlopes& slopes) const {
  const FeatureRow row = (*map_)(point);
  const std::size_t dims = point.size();
  Belief out;
  slopes.loss_mean.assign(dims, 0.0);
  slopes.loss_variance.assign(dims, 0.0);
  slopes.log_feasible.assign(dims, 0.0);
  slopes.score_min.assign(dims, 0.0);
  Slopes by_feature;
  std::vector<double> chain;
  for (std::size_t f = 0; f < map_->size(); ++f) chain.push_back(map_->slope(f, point));
  if (loss_) {
    out.loss = loss_->process.at(row, by_feature);
    for (std::size_t f = 0; f < map_->size(); ++f) {
      slopes.loss_mean[(*map_)[f].coordinate] += chain[f] * by_feature.mean[f];
      slopes.loss_variance[(*map_)[f].coordinate] += chain[f] * by_feature.variance[f];
    }
  }
  const auto limit = [&](const Output& output) {
    const Moments m = output.process.at(row, by_feature);
    const double lowest_before = out.score_min;
    add_limit(output, m, out);
    // d (margin / sd) with the function's own variance, and with the blur on top.
    const auto score_slope = [&](double variance, std::size_t f) {
      const double score = output.sign * (output.threshold - m.mean) / std::sqrt(variance);
      return -output.sign * by_feature.mean[f] / std::sqrt(variance) -
             0.5 * score * by_feature.variance[f] / variance;
    };
    const double blurred = m.variance + (output.blurred ? 1 : 0);
    const double hazard =
        normal_hazard(output.sign * (output.threshold - m.mean) / std::sqrt(blurred));
    const bool binds = out.score_min < lowest_before;
    if (binds) slopes.score_min.assign(dims, 0.0);
    for (std::size_t f = 0; f < map_->size(); ++f) {
      const std::size_t i = (*map_)[f].coordinate;
      slopes.log_feasible[i] += chain[f] * hazard * score_slope(blurred, f);
      if (binds) slopes.score_min[i] += chain[f] * score_slope(m.variance, f);
    }
  };
  if (labels_) limit(*labels_);
  for (const auto& e : excess_) limit(*e);
  return out;
}

double Models::loss_mean(const Point& point) const {
  return loss_ ? loss_->process.mean((*map_)(point)) : 0;
}

void Models::believe(const Point& point) {
  const FeatureRow row = (*map_)(point);
  const auto add = [&](Output& output) {
    const double mean = output.process.mean(row);
    output.design.append(row);
    output.process.append(mean);
  };
  if (loss_) add(*loss_);
  if (labels_) add(*labels_);
  for (const auto& e : excess_) add(*e);
}

double Models::noise_sd() const { return loss_ ? std::sqrt(loss_->process.noise()) : 0; }

double Models::left_out_skill() const {
  if (!loss_ || losses_.size() < kSkillMin) return 0;
  const std::vector<double> predicted = loss_->process.left_out_means();
  const auto ranks = [](const std::vector<double>& v) {
    std::vector<std::size_t> order(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return v[a] < v[b]; });
    std::vector<double> rank(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) rank[order[i]] = static_cast<double>(i);
    return rank;
  };
  const std::vector<double> a = ranks(losses_);
  const std::vector<double> b = ranks(predicted);
  double squares = 0;
  const auto n = static_cast<double>(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return 1 - 6 * squares / (n * (n * n - 1));
}

void refit(const FeatureMap& map, std::span<const Record> records, LearnedAll& learned) {
  const Penalty penalty = penalty_of(records);
  refit_column(map, losses(records, penalty), learned.loss, true);
  const Column label = labels(records, penalty);
  if (label.size() > 0) refit_labels(map, label, learned.labels);
  for (std::size_t k = 0; k < learned.excess.size(); ++k) {
    refit_column(map, excesses(records, k), learned.excess[k], false);
  }
  learned.skill = Models(map, records, learned).left_out_skill();
}

std::vector<Record> active_records(const Encoding& encoding, std::span<const Record> records,
                                   std::size_t limit) {
  if (records.size() <= limit) return {records.begin(), records.end()};
  std::vector<char> kept(records.size(), 0);
  std::size_t count = 0;
  const auto keep = [&](std::size_t i) {
    if (kept[i] == 0 && count < limit) {
      kept[i] = 1;
      ++count;
    }
  };
  for (std::size_t i = records.size() - limit / 3; i < records.size(); ++i) keep(i);
  std::vector<std::size_t> order(records.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto badness = [&](std::size_t i) {
    const Observation& o = records[i].seen;
    return o.loss && o.feasible >= 0.5 ? *o.loss : std::numeric_limits<double>::infinity();
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return badness(a) < badness(b); });
  for (std::size_t i = 0; i < limit / 3; ++i) keep(order[i]);
  const Point& best = records[order[0]].seen.at;
  std::vector<double> far(records.size());
  for (std::size_t i = 0; i < far.size(); ++i) far[i] = encoding.distance(best, records[i].seen.at);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return far[a] < far[b]; });
  for (const std::size_t i : order) keep(i);
  std::vector<Record> out;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (kept[i] != 0) out.push_back(records[i]);
  }
  return out;
}

}  // namespace arqon::solver
