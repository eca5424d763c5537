// Chooses a replica for each request.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "arqon/base/rng.h"

namespace arqon::sim {

enum class RoutingPolicy : std::uint8_t { kLeastRequest, kRoundRobin, kRandom, kWeighted };
std::optional<RoutingPolicy> parse_policy(std::string_view name);

// One thread. Replicas that are not available get nothing, unless none is.
class Router {
 public:
  Router(RoutingPolicy policy, std::size_t replicas, Rng rng);

  // Non-negative with a positive sum; least_request divides loads by them, random and weighted
  // share by them (weighted interleaves smoothly, without chance).
  void set_weights(std::span<const double> weights);
  const std::vector<double>& weights() const { return weights_; }
  void set_available(std::size_t replica, bool available) { available_[replica] = available; }

  // True when choose looks at the loads reported.
  bool needs_loads() const { return policy_ == RoutingPolicy::kLeastRequest; }
  // What replica reported last: requests queued and running there. Requests sent since are added
  // by the router itself, endings since are not known to it.
  void report(std::size_t replica, std::size_t requests) {
    loads_[replica] = static_cast<double>(requests);
  }
  std::size_t choose();
  // From now on this replica gets its fair share, 1/n of the requests, give or take a few, whatever
  // the policy; nothing ends it.
  void balance(std::optional<std::size_t> replica);

 private:
  bool usable(std::size_t replica) const;
  std::size_t choose_by_policy();
  std::size_t least();
  std::size_t interleaved();

  RoutingPolicy policy_;
  Rng rng_;
  std::vector<double> weights_;
  std::vector<double> loads_;
  std::vector<double> credit_;  // smooth weighted round robin
  std::vector<bool> available_;
  std::size_t next_ = 0;           // where ties and turns begin
  std::optional<std::size_t> balanced_;
  double owed_ = 0;                // requests the balanced replica is behind its share
};

}  // namespace arqon::sim
