// Bounded quasi-Newton minimisation, small and deterministic.
#pragma once

#include <functional>
#include <span>
#include <vector>

namespace arqon::solver {

struct Box {
  std::vector<double> low;
  std::vector<double> high;
};

struct Minimum {
  std::vector<double> at;
  double value = 0;
  int calls = 0;
};

// Fills `gradient` (as long as x, zeroed before) and answers the value; not finite = not allowed.
using Smooth = std::function<double(std::span<const double> x, std::span<double> gradient)>;

// L-BFGS (Nocedal 1980, eight pairs) on the coordinates that no bound holds, with backtracking and
// projection. Never answers a point worse than `start` (which is projected to the box first).
Minimum minimize(const Smooth& f, std::vector<double> start, const Box& box, int calls_max,
                 double tolerance = 1e-9);

}  // namespace arqon::solver
