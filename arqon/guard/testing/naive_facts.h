// What a guard must know about one parameter, worked out the long way round and sharing no code
// with it. For tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::guard::testing {

constexpr double kInf = std::numeric_limits<double>::infinity();

enum class Answer { kNo, kYes, kEither };  // kEither: within rounding of the limit

inline Answer both(Answer a, Answer b) {
  return a == Answer::kYes ? b : b == Answer::kYes ? a : std::min(a, b);
}

// The facts about one parameter, worked out the long way round.
struct Knob {
  Parameter p;
  Limits limits;
  std::size_t slot = 0;

  Answer grid(double value) const {
    const long double step = p.grid_step();
    if (p.type == ParamType::kSimplex || step <= 0 || value == p.max) return Answer::kYes;
    const long double from = p.type == ParamType::kInt && p.step <= 0 ? 0 : p.min;
    const long double steps = (value - from) / step;
    const long double off = std::abs(steps - std::nearbyint(steps));
    const long double room = 1e-9L * std::max(1.0L, std::abs(steps));
    return off < 0.5L * room ? Answer::kYes : off > 2 * room ? Answer::kNo : Answer::kEither;
  }

  Answer sum(const double* v) const {
    if (p.type != ParamType::kSimplex) return Answer::kYes;
    long double total = 0;
    for (std::size_t i = 0; i < p.choices.size(); ++i) total += v[i];
    const long double off = std::abs(total - 1);
    return off < 0.99e-6L ? Answer::kYes : off > 1.01e-6L ? Answer::kNo : Answer::kEither;
  }

  // Largest step of a number from here.
  long double reach(double from, bool up) const {
    long double out = up && limits.max_rise > 0 ? limits.max_rise : limits.max_delta;
    if (limits.max_ratio > 0) {
      const long double ratio = limits.max_ratio;
      out = std::min(out, up ? from * (ratio - 1) : from * (1 - 1 / ratio));
    }
    return std::max(out, static_cast<long double>(p.grid_step()));
  }

  // One change as travel counts it, and its direction.
  double length(const double* from, const double* to) const {
    if (p.type == ParamType::kCategorical) return *from == *to ? 0 : 1;
    double sum = 0;
    for (std::size_t i = 0; i < p.slots(); ++i) sum += std::abs(to[i] - from[i]);
    if (p.type == ParamType::kSimplex) return sum / 2;
    return p.scale == Scale::kPeriodic ? std::min(sum, p.max - p.min - sum) : sum;
  }
  double direction(double from, double to) const {
    const double way = to - from;
    const bool round = p.type != ParamType::kSimplex && p.type != ParamType::kCategorical &&
                       p.scale == Scale::kPeriodic && p.max - p.min - std::abs(way) < std::abs(way);
    return round ? -way : way;
  }

  Answer near_enough(const double* from, const double* to) const {
    long double way = 0;
    if (p.type == ParamType::kSimplex) {
      for (std::size_t i = 0; i < p.choices.size(); ++i) {
        way += std::max(0.0L, static_cast<long double>(to[i]) - from[i]);
      }
      long double back = 0;
      for (std::size_t i = 0; i < p.choices.size(); ++i) {
        back += std::max(0.0L, static_cast<long double>(from[i]) - to[i]);
      }
      way = (way + back) / 2;
    } else if (p.type == ParamType::kCategorical) {
      way = *from != *to ? 1 : 0;
    } else {
      way = kInf;
      const long double turn = static_cast<long double>(p.max) - p.min;
      for (const int k : p.scale == Scale::kPeriodic ? std::vector{-1, 0, 1} : std::vector{0}) {
        way = std::min(way, std::abs(static_cast<long double>(*to) - *from + k * turn));
      }
    }
    const long double size = std::max(std::abs(p.min), std::abs(p.max));
    const long double rounding = 2e-9L * limits.max_delta + 1e-14L * size;
    const bool line = p.type != ParamType::kSimplex && p.type != ParamType::kCategorical &&
                      p.scale != Scale::kPeriodic;
    const long double allowed = line ? reach(*from, *to > *from) : limits.max_delta;
    if (way <= allowed - rounding) return Answer::kYes;
    if (way <= allowed && limits.max_ratio == 0) return Answer::kYes;
    return way > allowed + rounding ? Answer::kNo : Answer::kEither;
  }
};

inline bool ordinary(double v) {
  return std::fpclassify(v) == FP_NORMAL || (std::fpclassify(v) == FP_ZERO && !std::signbit(v));
}

}  // namespace arqon::guard::testing
