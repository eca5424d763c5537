// What optimisers are measured on: a space, a noisy measurement, and the truth behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/solver/study.h"

namespace arqon::testing {

struct Truth {
  double loss = 0;        // smaller is better
  double excess = -1;     // above 0: a limit is broken
  bool crashed = false;
  bool allowed() const { return !crashed && excess <= 0; }
};

struct TuningProblem {
  std::string name;
  solver::StudyConfig study;   // space, channels, budget; the caller sets seed and strategy
  std::function<Truth(const Config&)> truth;
  // One measurement; the noise comes from `rng` alone.
  std::function<solver::Trial(const Config&, Rng& rng)> measure;
  double best = 0;             // least allowed loss
  double ordinary = 1;         // median loss of random settings (functions only)
};

}  // namespace arqon::testing
