// Two arms that serve at the same time: a canary with a setting of its own, and the rest. What hits
// both (a burst, a shift of the traffic) cancels out of their comparison.
#pragma once

#include <cstdint>

#include "arqon/stats/sequential.h"

namespace arqon::control {

// Counts of both arms since the start, and how clustered their difference is. One thread.
class Arms {
 public:
  // What each arm did in one tick.
  void add(const stats::Counts& canary, const stats::Counts& rest);

  const stats::Counts& canary() const { return canary_; }
  const stats::Counts& rest() const { return rest_; }
  // Variance of the arms' difference over what independent requests would show, in blocks of a few
  // ticks; >= 1. Load that rises and falls for both does not count as clustering.
  double dispersion() const;

 private:
  void close_block();

  stats::Counts canary_, rest_;
  stats::Counts block_canary_, block_rest_;
  int block_ticks_ = 0;
  double squared_ = 0, expected_ = 0;
};

}  // namespace arqon::control
