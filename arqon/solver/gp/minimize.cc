#include "arqon/solver/gp/minimize.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/solver/gp/factor.h"

namespace arqon::solver {
namespace {

constexpr std::size_t kPairs = 8;
constexpr double kSufficient = 1e-4;   // Armijo
constexpr double kFirstStep = 0.1;     // length of the first move, in the box's longest side
constexpr int kHalvings = 12;

using Vector = std::vector<double>;

double product(const Vector& a, const Vector& b) { return dot(a.data(), b.data(), a.size()); }

struct Pair {
  Vector step, change;
  double curvature;
};

// Two-loop recursion: an approximate Newton direction.
Vector direction(const Vector& gradient, const std::deque<Pair>& pairs) {
  Vector q = gradient;
  Vector shares(pairs.size());
  for (std::size_t k = pairs.size(); k-- > 0;) {
    shares[k] = product(pairs[k].step, q) / pairs[k].curvature;
    for (std::size_t i = 0; i < q.size(); ++i) q[i] -= shares[k] * pairs[k].change[i];
  }
  if (!pairs.empty()) {
    const Pair& last = pairs.back();
    const double scale = last.curvature / product(last.change, last.change);
    for (double& v : q) v *= scale;
  }
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    const double back = product(pairs[k].change, q) / pairs[k].curvature;
    for (std::size_t i = 0; i < q.size(); ++i) q[i] += (shares[k] - back) * pairs[k].step[i];
  }
  for (double& v : q) v = -v;
  return q;
}

void project(Vector& x, const Box& box) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::clamp(x[i], box.low[i], box.high[i]);
}

// The gradient without what pushes against a bound.
Vector free_gradient(const Vector& x, const Vector& gradient, const Box& box) {
  Vector out = gradient;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool held = (x[i] <= box.low[i] && out[i] > 0) || (x[i] >= box.high[i] && out[i] < 0);
    if (held) out[i] = 0;
  }
  return out;
}

}  // namespace

Minimum minimize(const Smooth& f, Vector start, const Box& box, int calls_max, double tolerance) {
  ARQON_ASSERT(box.low.size() == start.size() && box.high.size() == start.size());
  project(start, box);
  Minimum best{.at = std::move(start)};
  Vector gradient(best.at.size(), 0.0);
  best.value = f(best.at, gradient);
  best.calls = 1;
  double side = 0;
  for (std::size_t i = 0; i < best.at.size(); ++i) side = std::max(side, box.high[i] - box.low[i]);
  std::deque<Pair> pairs;
  while (best.calls < calls_max) {
    const Vector free = free_gradient(best.at, gradient, box);
    const double steep = std::sqrt(product(free, free));
    if (!(steep > 0)) break;
    Vector move = direction(free, pairs);
    for (std::size_t i = 0; i < move.size(); ++i) move[i] = free[i] == 0 ? 0 : move[i];
    if (!(product(move, free) < 0)) {
      pairs.clear();
      move = free;
      for (double& v : move) v = -v;
    }
    double length = pairs.empty() ? std::min(1.0, kFirstStep * side / steep) : 1.0;
    bool moved = false;
    double gain = 0;
    for (int h = 0; h < kHalvings && best.calls < calls_max && !moved; ++h, length *= 0.35) {
      Vector x = best.at;
      for (std::size_t i = 0; i < x.size(); ++i) x[i] += length * move[i];
      project(x, box);
      Vector next(x.size(), 0.0);
      const double value = f(x, next);
      ++best.calls;
      Pair pair{.step = Vector(x.size()), .change = Vector(x.size()), .curvature = 0};
      for (std::size_t i = 0; i < x.size(); ++i) {
        pair.step[i] = x[i] - best.at[i];
        pair.change[i] = next[i] - gradient[i];
      }
      if (!(value <= best.value + kSufficient * product(pair.step, gradient))) continue;
      moved = true;
      gain = best.value - value;
      pair.curvature = product(pair.step, pair.change);
      if (pair.curvature > 1e-12 * product(pair.change, pair.change)) {
        pairs.push_back(std::move(pair));
        if (pairs.size() > kPairs) pairs.pop_front();
      }
      best.at = std::move(x);
      best.value = value;
      gradient = std::move(next);
    }
    if (!moved) {
      if (pairs.empty()) break;
      pairs.clear();
      continue;
    }
    if (gain < tolerance) break;
  }
  return best;
}

}  // namespace arqon::solver
