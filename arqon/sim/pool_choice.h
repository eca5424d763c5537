// Which pools a request may go to: good enough for its class, or a lesser one while the class's
// daily budget for that lasts, by weights, by spill or by a cascade. Among the replicas of those
// pools the router chooses.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/sim/fleet.h"
#include "arqon/sim/step_time.h"

namespace arqon::sim {

// Pools by index, one bit each; a fleet has at most 64.
using PoolSet = std::uint64_t;

// One thread.
class PoolChoice {
 public:
  // `classes` rules; fewer than there are classes means no rule for the others.
  PoolChoice(const FleetSpec& fleet, std::vector<QualityRule> classes, std::size_t class_count);

  bool needs_depth() const { return spill_depth_ > 0; }
  const std::vector<double>& weights() const { return weights_; }
  void set_weights(std::span<const double> weights);
  double spill_depth() const { return spill_depth_; }
  void set_spill_depth(double depth) { spill_depth_ = depth; }

  // Pools that may answer a request of `request_class` at `at`, of those that are `up`; empty when
  // none may. depths[p]: least number of requests that wait at a replica of pool p, as last
  // reported. Counts the request.
  PoolSet choose(std::size_t request_class, Ps at, PoolSet up, std::span<const double> depths);

 private:
  struct Day {
    std::int64_t number = 0;
    double requests = 0, below = 0;
  };
  PoolSet weighted(PoolSet among);
  double least_depth(PoolSet pools, std::span<const double> depths) const;

  std::vector<double> quality_;  // by pool
  std::vector<QualityRule> rules_;
  std::vector<Day> days_;  // by class
  std::vector<double> weights_, credit_;  // by pool; empty = none given
  double spill_depth_;
};

// What becomes of one request in a cascade; a function of its number alone.
struct CascadeDraw {
  bool large = false;      // goes to the large pool at once
  bool escalates = false;  // the small pool's answer is not trusted
  bool unfit = false;      // the small pool's answer is kept and is not good
};
CascadeDraw draw_cascade(const CascadeSpec& cascade, const Rng& stream, std::uint64_t request);

}  // namespace arqon::sim
