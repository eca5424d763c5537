#include "arqon/sim/router.h"

#include <algorithm>

#include "arqon/base/assert.h"

namespace arqon::sim {

namespace {

// Requests by which a balanced replica's share may run ahead or behind: enough for the policy to
// even out bursts, little enough for its traffic to be the others'.
constexpr double kShareSlack = 8;
// A replica takes what is kept for it until its load is this many times the mean, and this many
// requests more: with few requests a factor alone would send everything elsewhere.
constexpr double kAffinityBound = 1.25;
constexpr double kAffinitySlack = 4;
// Prefixes remembered: blocks of 512 tokens for some ten million tokens.
constexpr std::size_t kPrefixes = 1 << 15;

}  // namespace

std::optional<RoutingPolicy> parse_policy(std::string_view name) {
  if (name == "least_request") return RoutingPolicy::kLeastRequest;
  if (name == "round_robin") return RoutingPolicy::kRoundRobin;
  if (name == "random") return RoutingPolicy::kRandom;
  if (name == "weighted") return RoutingPolicy::kWeighted;
  if (name == "prefix_affine") return RoutingPolicy::kPrefixAffine;
  return std::nullopt;
}

Router::Router(RoutingPolicy policy, std::size_t replicas, Rng rng)
    : policy_(policy),
      rng_(rng),
      weights_(replicas, 1.0 / static_cast<double>(replicas)),
      loads_(replicas),
      credit_(replicas, 0.0),
      available_(replicas, true),
      sent_(policy == RoutingPolicy::kPrefixAffine ? kPrefixes : 0) {
  ARQON_ASSERT(replicas > 0);
}

void Router::set_weights(std::span<const double> weights) {
  ARQON_ASSERT(weights.size() == weights_.size());
  weights_.assign(weights.begin(), weights.end());
}

bool Router::usable(const Candidates& candidates, std::size_t replica) const {
  return may(candidates, replica) && weights_[replica] > 0 &&
         (balanced_ != replica || owed_ > -kShareSlack);
}

void Router::balance(std::optional<std::size_t> replica) {
  balanced_ = replica;
  owed_ = 0;
}

std::optional<std::size_t> Router::choose(const Candidates& candidates,
                                          std::span<const std::uint64_t> prefix) {
  ARQON_ASSERT(candidates.size() == available_.size());
  if (!balanced_ || !may(candidates, *balanced_)) return by_policy(candidates, prefix);
  double peers = 0;
  for (const std::uint8_t candidate : candidates) peers += candidate;
  owed_ += 1.0 / peers;
  if (owed_ >= kShareSlack) {
    loads_[*balanced_].requests += 1;
    owed_ -= 1;
    return balanced_;
  }
  const auto chosen = by_policy(candidates, prefix);
  if (chosen == balanced_) owed_ -= 1;
  return chosen;
}

std::optional<std::size_t> Router::by_policy(const Candidates& candidates,
                                             std::span<const std::uint64_t> prefix) {
  bool any = false;
  for (std::size_t i = 0; i < available_.size(); ++i) any = any || usable(candidates, i);
  if (!any) {  // all weights are 0, or the one that is balanced has had its share: somebody must
    for (std::size_t j = 0; j < available_.size(); ++j) {
      next_ = (next_ + 1) % available_.size();
      if (may(candidates, next_)) return next_;
    }
    return std::nullopt;
  }
  if (policy_ == RoutingPolicy::kLeastRequest) return least(candidates);
  if (policy_ == RoutingPolicy::kPrefixAffine) return affine(candidates, prefix);
  if (policy_ == RoutingPolicy::kRandom) {
    std::size_t pick = rng_.weighted(weights_);
    while (!usable(candidates, pick)) pick = (pick + 1) % available_.size();
    return pick;
  }
  return interleaved(candidates);
}

std::size_t Router::least(const Candidates& candidates) {
  std::size_t best = available_.size();
  double best_load = 0;
  for (std::size_t j = 0; j < loads_.size(); ++j) {
    const std::size_t i = (next_ + j) % loads_.size();
    if (!usable(candidates, i)) continue;
    const double load = (loads_[i].requests + 1) / weights_[i];
    if (best == available_.size() || load < best_load) {
      best = i;
      best_load = load;
    }
  }
  next_ = (best + 1) % loads_.size();
  loads_[best].requests += 1;
  return best;
}

std::size_t Router::affine(const Candidates& candidates, std::span<const std::uint64_t> prefix) {
  const auto place = [&](std::uint64_t p) -> Sent& { return sent_[p % sent_.size()]; };
  double sum = 0, n = 0;
  for (std::size_t i = 0; i < loads_.size(); ++i) {
    if (!usable(candidates, i)) continue;
    sum += loads_[i].requests;
    n += 1;
  }
  const double most = kAffinityBound * sum / n + kAffinitySlack;
  std::size_t chosen = loads_.size();
  for (const std::uint64_t p : prefix) {
    if (place(p).prefix != p) break;
    const std::size_t replica = place(p).replica;
    if (usable(candidates, replica) && loads_[replica].requests < most) chosen = replica;
  }
  if (chosen == loads_.size()) {
    chosen = least(candidates);
  } else {
    loads_[chosen].requests += 1;
  }
  for (const std::uint64_t p : prefix) place(p) = {p, static_cast<std::uint32_t>(chosen)};
  return chosen;
}

std::size_t Router::interleaved(const Candidates& candidates) {
  double total = 0;
  std::size_t best = available_.size();
  for (std::size_t i = 0; i < credit_.size(); ++i) {
    if (!usable(candidates, i)) continue;
    credit_[i] += weights_[i];
    total += weights_[i];
    if (best == available_.size() || credit_[i] > credit_[best]) best = i;
  }
  credit_[best] -= total;
  return best;
}

}  // namespace arqon::sim
