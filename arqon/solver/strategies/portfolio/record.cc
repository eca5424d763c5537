#include "arqon/solver/strategies/portfolio/record.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/rng.h"

namespace arqon::solver {
namespace {

constexpr double kSdPerInterval = 3.92;   // width of a 95 % normal interval
constexpr double kRatioMin = 1e-3;

// Large on both sides as its logarithm, near 0 as it is (SCBO's bilog).
double flattened(double x) { return x >= 0 ? std::log1p(x) : -std::log1p(-x); }

double clamp_share(double p) { return std::clamp(p, 1e-6, 1 - 1e-6); }

// `side` 1: value must stay below `bound`; -1: above.
Reading read_counts(const Metric& m, double bad_max) {
  const auto n = static_cast<double>(*m.n);
  const double share = clamp_share((static_cast<double>(*m.over) + 0.5) / (n + 1));
  const double z = normal_quantile(share);
  const double density = 0.39894228040143267794 * std::exp(-0.5 * z * z);
  return {.excess = z - normal_quantile(clamp_share(bad_max)),
          .variance = share * (1 - share) / ((n + 1) * density * density)};
}

Reading read_value(const Metric& m, double bound, double side) {
  const bool interval = m.lo && m.hi && *m.hi > *m.lo;
  if (bound > 0) {
    const auto log_ratio = [&](double v) { return std::log(std::max(v / bound, kRatioMin)); };
    Reading out{.excess = flattened(side * log_ratio(m.value))};
    if (interval) {
      const double sd = (log_ratio(*m.hi) - log_ratio(*m.lo)) / kSdPerInterval;
      out.variance = sd * sd;
    }
    return out;
  }
  const double sd = interval ? (*m.hi - *m.lo) / kSdPerInterval : 0;
  return {.excess = side * (m.value - bound), .variance = sd * sd};
}

}  // namespace

std::size_t reading_count(const StudyConfig& config) {
  std::size_t count = 0;
  for (const Constraint& c : config.constraints) count += (c.min ? 1U : 0U) + (c.max ? 1U : 0U);
  return count;
}

Record record_trial(const StudyConfig& config, const Encoding& encoding, const Trial& trial,
                    std::uint64_t order) {
  Record out{.seen = observe_trial(config, encoding, trial, order)};
  out.answered = trial.outcome == Outcome::kOk;
  if (!out.answered) return out;
  for (const Constraint& c : config.constraints) {
    const Metric& m = trial.metrics.at(c.metric);
    const bool counted = m.n && m.over && *m.n > 0;
    if (c.min) {
      out.readings.push_back(counted ? read_counts(m, 1 - *c.min) : read_value(m, *c.min, -1));
    }
    if (c.max) {
      out.readings.push_back(counted ? read_counts(m, *c.max) : read_value(m, *c.max, 1));
    }
  }
  return out;
}

}  // namespace arqon::solver
