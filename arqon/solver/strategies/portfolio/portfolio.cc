#include "arqon/solver/strategies/portfolio/portfolio.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/solver/model_free.h"
#include "arqon/solver/sampling.h"
#include "arqon/solver/strategies/portfolio/search.h"
#include "arqon/solver/strategies/tpe/density.h"

namespace arqon::solver {
namespace {

constexpr std::uint64_t kFitFrom = 4;        // results
constexpr std::uint64_t kFitSpacing = 12;    // a fit every 1/12 of the results told
constexpr double kRation = 0.08;             // share of results that may lie beyond a limit
// Margin to a limit in standard deviations: where it begins, what each result beyond the ration
// adds, where it ends.
constexpr double kMarginStart = 0.7;
constexpr double kMarginStep = 0.7;
constexpr double kMarginMin = 0.3;
constexpr double kMarginMax = 5.0;
constexpr double kMarginBest = 2.0;          // of what best() recommends, at least
constexpr double kMarginBestShare = 1.2;     // of the margin that kept the ration
constexpr double kSkillWanted = 0.4;         // rank correlation below which TPE takes more turns
constexpr std::size_t kTpeSeldom = 12;       // a turn of TPE in so many
constexpr std::size_t kTpeOften = 2;
constexpr std::size_t kExploitEvery = 4;
constexpr double kLateShare = 0.85;          // of the budget; then smaller and smaller steps too
constexpr double kNoisySd = 0.02;            // of a standardised loss: more is a noisy study
constexpr std::size_t kProbeChoices = 24;
constexpr int kBestCalls = 40;

bool broke(const Record& r, const Penalty& penalty) {
  return !r.answered || r.seen.feasible < 0.5 || (r.seen.loss && penalty.covers(*r.seen.loss));
}

}  // namespace

PortfolioStrategy::PortfolioStrategy(const StudyConfig& config)
    : encoding_(config.space),
      map_(encoding_),
      probes_(config.space.slots(), Rng(config.seed).stream("probe")),
      everywhere_(config.space.slots(), Rng(config.seed).stream("everywhere")) {
  learned_.excess.resize(reading_count(config));
}

std::size_t PortfolioStrategy::startup(const StudyConfig& config) const {
  const std::size_t d = encoding_.dims();
  const auto budget = static_cast<double>(config.budget.value_or(100));
  const auto share =
      static_cast<std::size_t>(std::min(std::ceil(config.probe_ratio * budget), 1e6));
  return std::clamp(share, std::min<std::size_t>(d + 2, 8), std::max<std::size_t>(d + 4, 6));
}

void PortfolioStrategy::observe(const View& view, const Trial& trial) {
  records_.push_back(record_trial(view.config, encoding_, trial, told_++));
  if (records_.size() > 2 * kWindow) records_ = active_records(encoding_, records_, kWindow);
  const std::uint64_t spacing = std::max<std::uint64_t>(1, told_ / kFitSpacing);
  if (told_ < kFitFrom || told_ < fitted_at_ + spacing) return;
  fitted_at_ = told_;
  const std::vector<Record> active = active_records(encoding_, records_, kActive);
  refit(map_, active, learned_);
}

std::vector<Config> PortfolioStrategy::propose(const View& view, Rng& rng, std::size_t count) {
  std::vector<Config> out;
  while (out.size() < count) {
    Config point = free_point(view, out, [&] { return decide(view, out, rng); });
    if (point.empty()) break;
    out.push_back(std::move(point));
  }
  return out;
}

// An integral controller: models that are too sure of themselves break the ration, and are believed
// the less (after the adaptive bounds of online conformal prediction).
double PortfolioStrategy::margin_wanted(const StudyConfig& config) const {
  const Penalty penalty = penalty_of(records_);
  const std::size_t first = startup(config);
  double margin = kMarginStart;
  for (const Record& r : records_) {
    if (r.seen.order < first) continue;
    margin += kMarginStep * ((broke(r, penalty) ? 1 : 0) - kRation);
    margin = std::clamp(margin, kMarginMin, kMarginMax);
  }
  return margin;
}

Config PortfolioStrategy::decide(const View& view, std::span<const Config> also_pending,
                                 Rng& rng) const {
  std::vector<Point> waiting;
  for (const Config& c : view.pending) waiting.push_back(encoding_.encode(view.config.space, c));
  for (const Config& c : also_pending) waiting.push_back(encoding_.encode(view.config.space, c));
  const std::size_t n = told_ + waiting.size();
  const std::size_t first = startup(view.config);
  if (n < first) return probe(view, view.handed_out + also_pending.size(), waiting);
  return refine(view, n - first, waiting, rng);
}

Config PortfolioStrategy::probe(const View& view, std::size_t index,
                                std::span<const Point> waiting) const {
  const Space& space = view.config.space;
  const auto& parameters = space.parameters();
  const bool has_default = std::any_of(parameters.begin(), parameters.end(), [](const auto& p) {
    return p.default_value.has_value();
  });
  if (index == 0 && has_default && told_ == 0) return space.default_config();
  const auto plain = [&](std::size_t i) {
    return point_from_unit(space, probes_.point(static_cast<std::uint32_t>(i)));
  };
  const Penalty penalty = penalty_of(records_);
  const bool any_broken = std::any_of(records_.begin(), records_.end(), [&](const Record& r) {
    return broke(r, penalty);
  });
  if (!any_broken || told_ < 3) return plain(index);
  // Something is forbidden: of the next points of the sequence the one that is likely allowed and
  // far from what is known.
  const Models models(map_, records_, learned_);
  Config best = plain(index);
  double best_value = -1e300;
  for (std::size_t i = 0; i < kProbeChoices; ++i) {
    const Config config = plain(index + i);
    const Point at = encoding_.encode(space, config);
    double near = 1;
    for (const Record& r : records_) near = std::min(near, encoding_.distance(r.seen.at, at));
    for (const Point& w : waiting) near = std::min(near, encoding_.distance(w, at));
    const double value = std::log(near + 0.01) + 2 * models.at(at).log_feasible;
    if (value > best_value) {
      best_value = value;
      best = config;
    }
  }
  return best;
}

// From the best told, as far as the second best lies: what no smooth model sees, a cusp, is
// approached by steps that shrink with success.
Config PortfolioStrategy::small_step(const Space& space, std::span<const Point> best,
                                     Rng& rng) const {
  Point at = best[0];
  const double width = best.size() > 1 ? 0.5 * encoding_.distance(best[0], best[1]) : 0.05;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double step = rng.normal();
    if (encoding_[i].geometry != Geometry::kCategory) at[i] += width * step;
  }
  return encoding_.decode(space, at);
}

Config PortfolioStrategy::refine(const View& view, std::size_t turn,
                                 std::span<const Point> waiting, Rng& rng) const {
  const Space& space = view.config.space;
  const std::vector<Record> active = active_records(encoding_, records_, kActive);
  Models models(map_, active, learned_);
  for (const Point& w : waiting) models.believe(w);
  const Search search(space, encoding_, models, active, waiting);
  const auto index = static_cast<std::uint32_t>(turn) * 512U;
  const std::vector<Point> incumbents = search.best_told(1);
  if (!models.has_loss() || incumbents.empty()) {
    const auto found = search.find({.kind = Goal::Kind::kAllow}, everywhere_, index, rng);
    return found ? *found : random_point(space, rng);
  }
  const bool limits = models.has_limits();
  const std::size_t tpe_every = learned_.skill < kSkillWanted ? kTpeOften : kTpeSeldom;
  if (!limits && turn % tpe_every == tpe_every - 1) {
    std::vector<Observation> seen;
    for (const Record& r : active) seen.push_back(r.seen);
    Config likely = likeliest_good(view, encoding_, label(seen), waiting, rng);
    if (!search.is_taken(encoding_.encode(space, likely))) return likely;
  }
  const bool exact = models.noise_sd() < kNoisySd;
  const double late = kLateShare * static_cast<double>(view.config.budget.value_or(100));
  if (!limits && exact && turn % 2 == 0 && static_cast<double>(view.handed_out) >= late) {
    Config near = small_step(space, search.best_told(2), rng);
    if (!search.is_taken(encoding_.encode(space, near))) return near;
  }
  Goal goal{.kind = Goal::Kind::kImprove, .best = models.loss_mean(incumbents[0])};
  if (limits) goal.score_min = margin_wanted(view.config);
  if (turn % kExploitEvery == kExploitEvery - 1 && exact) {
    goal.kind = Goal::Kind::kExploit;
  }
  if (auto found = search.find(goal, everywhere_, index, rng)) return *found;
  return random_point(space, rng);
}

Prediction PortfolioStrategy::predict(const View& view, const Config& config) const {
  const std::vector<Record> active = active_records(encoding_, records_, kActive);
  const Models models(map_, active, learned_);
  if (!models.has_loss()) return sample_prediction(view);
  const Belief b = models.at(encoding_.encode(view.config.space, config));
  const double sd = std::sqrt(b.loss.variance);
  const double middle = models.warp().inverse(b.loss.mean);
  const double high = models.warp().inverse(b.loss.mean + sd);
  const double low = models.warp().inverse(b.loss.mean - sd);
  return {.objective = user_value(view.config, middle),
          .objective_sd = std::min(0.5 * std::abs(high - low), 1e300),
          .feasible_probability = std::exp(b.log_feasible)};
}

std::optional<Config> PortfolioStrategy::best(const View& view) const {
  const Space& space = view.config.space;
  const std::vector<Record> active = active_records(encoding_, records_, kActive);
  const Models models(map_, active, learned_);
  if (!models.has_loss()) return std::nullopt;
  const Search search(space, encoding_, models, active, {});
  const double margin = std::max(kMarginBest, kMarginBestShare * margin_wanted(view.config));
  const Goal goal{.kind = Goal::Kind::kExploit, .score_min = margin};
  std::vector<Point> told = search.best_told(16);
  if (told.empty()) return std::nullopt;
  Point best = told[0];
  double best_value = -1e300;
  const auto consider = [&](const Point& at) {
    const double v = search.value(goal, at);
    if (v > best_value) {
      best_value = v;
      best = at;
    }
  };
  for (const Point& at : told) consider(at);
  // Where measurements are noisy or limits blurred, the model knows better than any one result.
  if (models.has_limits() || models.noise_sd() > kNoisySd) {
    consider(search.polish(goal, best, kBestCalls));
  }
  return encoding_.decode(space, best);
}

}  // namespace arqon::solver
