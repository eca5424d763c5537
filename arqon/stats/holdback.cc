#include "arqon/stats/holdback.h"

#include <cmath>
#include <limits>
#include <vector>

#include "arqon/base/assert.h"
#include "arqon/stats/paired.h"

namespace arqon::stats {

HoldbackPlan::HoldbackPlan(Rng rng, std::uint64_t one_in, Duration length)
    : rng_(rng), one_in_(one_in), length_(length) {
  ARQON_ASSERT(one_in >= 2 && length > Duration(0));
}

std::uint64_t HoldbackPlan::block_of(Duration since_start) const noexcept {
  return since_start < Duration(0)
             ? 0
             : static_cast<std::uint64_t>(since_start.count() / length_.count());
}

bool HoldbackPlan::held_back(std::uint64_t block) const {
  Rng group = rng_.stream(block / one_in_);
  return group.below(one_in_) == block % one_in_;
}

Lift lift(std::span<const LiftGroup> groups) {
  const auto usable = [](double x) { return x > 0 && std::isfinite(x); };
  Lift out;
  std::vector<double> logs;
  for (const LiftGroup& g : groups) {
    if (!usable(g.held_back) || !usable(g.changed) || g.requests_held_back == 0 ||
        g.requests_changed == 0) {
      ++out.groups_left_out;
      continue;
    }
    logs.push_back(std::log(g.changed / g.held_back));
    out.requests_held_back += g.requests_held_back;
    out.requests_changed += g.requests_changed;
  }
  out.groups = logs.size();
  const PairedMean mean = paired_mean(logs);
  out.ratio = std::exp(mean.mean);
  out.low = std::exp(mean.low);
  out.high = std::exp(mean.high);
  return out;
}

}  // namespace arqon::stats
