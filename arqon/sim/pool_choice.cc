#include "arqon/sim/pool_choice.h"

#include <algorithm>
#include <array>
#include <limits>

#include "arqon/base/assert.h"

namespace arqon::sim {
namespace {

constexpr Ps kDay = 86400 * kPsPerSecond;
constexpr PoolSet bit(std::size_t pool) { return PoolSet{1} << pool; }

}  // namespace

PoolChoice::PoolChoice(const FleetSpec& fleet, std::vector<QualityRule> classes,
                       std::size_t class_count)
    : rules_(std::move(classes)),
      days_(class_count),
      weights_(fleet.router.pool_weights),
      credit_(weights_.size(), 0.0),
      spill_depth_(fleet.router.spill_depth) {
  rules_.resize(class_count);
  for (const PoolSpec& pool : fleet.pools) quality_.push_back(pool.quality);
}

void PoolChoice::set_weights(std::span<const double> weights) {
  ARQON_ASSERT(weights.size() == quality_.size());
  weights_.assign(weights.begin(), weights.end());
  credit_.resize(weights_.size(), 0.0);
}

PoolSet PoolChoice::choose(std::size_t request_class, Ps at, PoolSet up,
                           std::span<const double> depths) {
  const QualityRule& rule = rules_[request_class];
  Day& day = days_[request_class];
  if (at / kDay != day.number) day = {at / kDay, 0, 0};
  day.requests += 1;
  PoolSet good = 0;
  for (std::size_t p = 0; p < quality_.size(); ++p) {
    if (quality_[p] >= rule.min) good |= bit(p);
  }
  const PoolSet lesser = day.below + 1 <= rule.below_per_day * day.requests ? up & ~good : 0;
  good &= up;
  PoolSet chosen = good;
  if (!weights_.empty()) {
    chosen = weighted(good | lesser);
  } else if (lesser != 0 && spill_depth_ > 0 && least_depth(good, depths) >= spill_depth_) {
    chosen = lesser;
  }
  if (chosen == 0) chosen = lesser;  // nothing better is up
  if ((chosen & good) == 0 && chosen != 0) day.below += 1;
  return chosen;
}

// Smooth weighted round robin; pools of weight 0 get what nobody else may have.
PoolSet PoolChoice::weighted(PoolSet among) {
  double total = 0;
  std::size_t best = quality_.size();
  for (std::size_t p = 0; p < quality_.size(); ++p) {
    if ((among & bit(p)) == 0 || weights_[p] <= 0) continue;
    credit_[p] += weights_[p];
    total += weights_[p];
    if (best == quality_.size() || credit_[p] > credit_[best]) best = p;
  }
  if (best == quality_.size()) return among;
  credit_[best] -= total;
  return bit(best);
}

double PoolChoice::least_depth(PoolSet pools, std::span<const double> depths) const {
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t p = 0; p < quality_.size(); ++p) {
    if ((pools & bit(p)) != 0) least = std::min(least, depths[p]);
  }
  return least;
}

CascadeDraw draw_cascade(const CascadeSpec& cascade, const Rng& stream, std::uint64_t request) {
  std::array<double, 3> u{};
  for (std::size_t i = 0; i < u.size(); ++i) {
    u[i] = (static_cast<double>(stream.at(request * u.size() + i) >> 11) + 0.5) * 0x1.0p-53;
  }
  const bool hard = u[0] < cascade.hard_share;
  const double score = normal_quantile(u[1]) + (hard ? cascade.separation : 0);
  CascadeDraw out;
  out.large = score > cascade.threshold;
  if (out.large) return out;
  out.escalates = u[2] < (hard ? cascade.caught : cascade.false_alarms);
  out.unfit = hard && !out.escalates;
  return out;
}

}  // namespace arqon::sim
