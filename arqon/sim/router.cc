#include "arqon/sim/router.h"

#include <algorithm>

#include "arqon/base/assert.h"

namespace arqon::sim {

namespace {

// Requests by which a balanced replica's share may run ahead or behind: enough for the policy to
// even out bursts, little enough for its traffic to be the others'.
constexpr double kShareSlack = 8;

}  // namespace

std::optional<RoutingPolicy> parse_policy(std::string_view name) {
  if (name == "least_request") return RoutingPolicy::kLeastRequest;
  if (name == "round_robin") return RoutingPolicy::kRoundRobin;
  if (name == "random") return RoutingPolicy::kRandom;
  if (name == "weighted") return RoutingPolicy::kWeighted;
  return std::nullopt;
}

Router::Router(RoutingPolicy policy, std::size_t replicas, Rng rng)
    : policy_(policy),
      rng_(rng),
      weights_(replicas, 1.0 / static_cast<double>(replicas)),
      loads_(replicas, 0.0),
      credit_(replicas, 0.0),
      available_(replicas, true) {
  ARQON_ASSERT(replicas > 0);
}

void Router::set_weights(std::span<const double> weights) {
  ARQON_ASSERT(weights.size() == weights_.size());
  weights_.assign(weights.begin(), weights.end());
}

bool Router::usable(std::size_t replica) const {
  return available_[replica] && weights_[replica] > 0 &&
         (balanced_ != replica || owed_ > -kShareSlack);
}

void Router::balance(std::optional<std::size_t> replica) {
  balanced_ = replica;
  owed_ = 0;
}

std::size_t Router::choose() {
  if (!balanced_) return choose_by_policy();
  owed_ += 1.0 / static_cast<double>(available_.size());
  const bool starved = owed_ >= kShareSlack && available_[*balanced_];
  const std::size_t chosen = starved ? *balanced_ : choose_by_policy();
  if (starved) loads_[chosen] += 1;
  if (chosen == *balanced_) owed_ -= 1;
  return chosen;
}

std::size_t Router::choose_by_policy() {
  bool any = false;
  for (std::size_t i = 0; i < available_.size(); ++i) any = any || usable(i);
  if (!any) {
    next_ = (next_ + 1) % available_.size();
    return next_;
  }
  if (policy_ == RoutingPolicy::kLeastRequest) return least();
  if (policy_ == RoutingPolicy::kRandom) {
    std::size_t pick = rng_.weighted(weights_);
    while (!usable(pick)) pick = (pick + 1) % available_.size();
    return pick;
  }
  return interleaved();
}

std::size_t Router::least() {
  std::size_t best = available_.size();
  double best_load = 0;
  for (std::size_t j = 0; j < loads_.size(); ++j) {
    const std::size_t i = (next_ + j) % loads_.size();
    if (!usable(i)) continue;
    const double load = (loads_[i] + 1) / weights_[i];
    if (best == available_.size() || load < best_load) {
      best = i;
      best_load = load;
    }
  }
  next_ = (best + 1) % loads_.size();
  loads_[best] += 1;
  return best;
}

std::size_t Router::interleaved() {
  double total = 0;
  std::size_t best = available_.size();
  for (std::size_t i = 0; i < credit_.size(); ++i) {
    if (!usable(i)) continue;
    credit_[i] += weights_[i];
    total += weights_[i];
    if (best == available_.size() || credit_[i] > credit_[best]) best = i;
  }
  credit_[best] -= total;
  return best;
}

}  // namespace arqon::sim
