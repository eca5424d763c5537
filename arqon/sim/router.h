// Chooses a replica for each request, among those that may have it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "arqon/base/rng.h"

namespace arqon::sim {

enum class RoutingPolicy : std::uint8_t {
  kLeastRequest,
  kRoundRobin,
  kRandom,
  kWeighted,
  kPrefixAffine
};
std::optional<RoutingPolicy> parse_policy(std::string_view name);

// Replicas that may have a request, by fleet-wide index; a fleet has at most 1024 a pool.
using Candidates = std::vector<std::uint8_t>;  // 1 = may

// What a replica reported last: requests it had. What was sent since, the router adds itself;
// endings since are not known to it.
struct ReplicaLoad {
  double requests = 0;  // queued and running
  double waiting = 0;   // queued
};

// One thread.
class Router {
 public:
  Router(RoutingPolicy policy, std::size_t replicas, Rng rng);

  // Non-negative with a positive sum; least_request divides loads by them, random and weighted
  // share by them (weighted interleaves smoothly, without chance).
  void set_weights(std::span<const double> weights);
  const std::vector<double>& weights() const { return weights_; }
  // Off: it gets nothing, whoever is a candidate.
  void set_available(std::size_t replica, bool available) { available_[replica] = available; }
  bool available(std::size_t replica) const { return available_[replica]; }

  // True when choose looks at the loads reported.
  bool needs_loads() const {
    return policy_ == RoutingPolicy::kLeastRequest || policy_ == RoutingPolicy::kPrefixAffine;
  }
  void report(std::size_t replica, ReplicaLoad load) { loads_[replica] = load; }
  const ReplicaLoad& load(std::size_t replica) const { return loads_[replica]; }

  // Nothing when no candidate is available. `prefix` names what the prompt begins with, from the
  // shortest prefix to the longest: prefix_affine sends it where the longest one that it remembers
  // went, while the load there stays within a bound of the mean (Mirrokni, Thorup, Zadimoghaddam
  // 2018); it knows what it has sent, not what the replicas still hold.
  std::optional<std::size_t> choose(const Candidates& candidates,
                                    std::span<const std::uint64_t> prefix = {});
  // From now on this replica gets its fair share, 1/n of the requests, give or take a few, whatever
  // the policy; nothing ends it.
  void balance(std::optional<std::size_t> replica);

 private:
  bool may(const Candidates& candidates, std::size_t replica) const {
    return candidates[replica] != 0 && available_[replica];
  }
  bool usable(const Candidates& candidates, std::size_t replica) const;
  std::optional<std::size_t> by_policy(const Candidates& candidates,
                                       std::span<const std::uint64_t> prefix);
  std::size_t least(const Candidates& candidates);
  std::size_t interleaved(const Candidates& candidates);
  std::size_t affine(const Candidates& candidates, std::span<const std::uint64_t> prefix);

  RoutingPolicy policy_;
  Rng rng_;
  std::vector<double> weights_;
  std::vector<ReplicaLoad> loads_;
  std::vector<double> credit_;  // smooth weighted round robin
  std::vector<bool> available_;
  // Where a prefix went last: a table of fixed size in which a newer prefix may push out an older.
  struct Sent {
    std::uint64_t prefix = 0;
    std::uint32_t replica = 0;
  };
  std::vector<Sent> sent_;  // prefix_affine only
  std::size_t next_ = 0;    // where ties and turns begin
  std::optional<std::size_t> balanced_;
  double owed_ = 0;                // requests the balanced replica is behind its share
};

}  // namespace arqon::sim
