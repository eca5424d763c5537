#include "arqon/workload/arrivals.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <span>

#include "arqon/workload/multi_client.h"
#include "arqon/workload/variates.h"

namespace arqon::workload {
namespace {

constexpr double kRequestsMax = 50e6;
constexpr double kForever = std::numeric_limits<double>::infinity();
constexpr std::size_t kStatesMax = 4;

// States change on whole seconds; within a state arrivals are Poisson. Fitted on the Azure 2023
// traces (counts per second).
struct Modulation {
  std::string_view name;
  std::size_t states;
  std::array<double, kStatesMax> rates;                               // per second
  std::array<std::array<double, kStatesMax>, kStatesMax> transition;  // rows, per second
};

constexpr std::array<Modulation, 2> kModulations = {{
    {"azure-conv",
     3,
     {4.15, 5.50, 7.28, 0},
     {{{0.9964, 0.0036, 0, 0}, {0.0026, 0.9964, 0.0010, 0}, {0, 0.0016, 0.9984, 0}, {}}}},
    {"azure-code",
     4,
     {0, 0.28, 7.11, 22.8},
     {{{0.9739, 0.0052, 0.0203, 0.0006},
       {0.1159, 0.4239, 0.4353, 0.0248},
       {0.0556, 0.0987, 0.7736, 0.0721},
       {0.0283, 0.0427, 0.2851, 0.6440}}}},
}};

// Stationary distribution by power iteration: chains this small mix within the iterations.
std::array<double, kStatesMax> stationary(const Modulation& m) {
  std::array<double, kStatesMax> p{};
  for (std::size_t i = 0; i < m.states; ++i) p[i] = 1.0 / static_cast<double>(m.states);
  for (int round = 0; round < 20000; ++round) {
    std::array<double, kStatesMax> next{};
    double sum = 0;
    for (std::size_t i = 0; i < m.states; ++i) {
      for (std::size_t j = 0; j < m.states; ++j) next[j] += p[i] * m.transition[i][j];
    }
    for (const double v : next) sum += v;
    for (double& v : next) v /= sum;
    p = next;
  }
  return p;
}

// Rate of the source over time, mean 1 in the long run.
class Level {
 public:
  Level(const Modulation* modulation, Rng rng) : modulation_(modulation), rng_(rng) {
    if (modulation_ == nullptr) return;
    const auto share = stationary(*modulation_);
    for (std::size_t i = 0; i < modulation_->states; ++i) mean_ += share[i] * modulation_->rates[i];
    state_ = rng_.weighted(std::span(share).first(modulation_->states));
    until_ = 1;
  }
  double value() const { return modulation_ == nullptr ? 1 : modulation_->rates[state_] / mean_; }
  double until() const { return until_; }
  void next() {
    const auto& row = modulation_->transition[state_];
    state_ = rng_.weighted(std::span(row).first(modulation_->states));
    until_ += 1;
  }

 private:
  const Modulation* modulation_;
  Rng rng_;
  double mean_ = 0;
  std::size_t state_ = 0;
  double until_ = kForever;
};

Status check(const GeneratorSource& source, const std::vector<RatePoint>& rates,
             double duration_s) {
  double factor_max = 0;
  for (const RatePoint& point : rates) factor_max = std::max(factor_max, point.factor);
  if (!(source.rate_per_s > 0) || !(source.rate_per_s * factor_max * duration_s < kRequestsMax)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("rate_per_s must be positive and come to fewer than {} requests "
                            "(got {} for {} s)",
                            kRequestsMax, source.rate_per_s, duration_s));
  }
  if (source.name == "gamma" && !(source.cv >= 0.05 && source.cv <= 20)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("cv must lie in [0.05, 20] (got {})", source.cv));
  }
  return {};
}

}  // namespace

std::vector<RatePoint> rate_points(const std::vector<Segment>& segments) {
  std::vector<RatePoint> out = {{0, 1}};
  for (const Segment& segment : segments) {
    if (!segment.rate) continue;
    if (segment.at_s <= 0) {
      out.front().factor = *segment.rate;
    } else {
      out.push_back({segment.at_s, *segment.rate});
    }
  }
  return out;
}

Result<std::vector<Duration>> generate_arrivals(const GeneratorSource& source,
                                                const std::vector<RatePoint>& rates,
                                                double duration_s, const Rng& rng) {
  if (Status s = check(source, rates, duration_s); !s) return tl::unexpected<Error>(s.error());
  if (source.name == "multi-client") return multi_client_arrivals(source, rates, duration_s, rng);
  const Modulation* modulation = nullptr;
  for (const Modulation& m : kModulations) {
    if (m.name == source.name) modulation = &m;
  }
  const bool renewal = source.name == "gamma";
  if (modulation == nullptr && !renewal && source.name != "poisson") {
    return fail(
        ErrorCode::kInvalidConfig,
        fmt::format("unknown generator \"{}\"; known: azure-conv, azure-code, poisson, gamma, "
                    "multi-client",
                    source.name));
  }
  Level level(modulation, rng.stream("states"));
  Rng gaps = rng.stream("gaps");
  const auto draw = [&] {
    return renewal ? gamma_gap(source.cv, gaps) : gaps.exponential();
  };
  std::vector<Duration> out;
  double t = 0, left = draw();  // `left` in operational time: arrivals at unit rate
  std::size_t point = 0;
  while (t < duration_s) {
    while (point + 1 < rates.size() && rates[point + 1].at_s <= t) ++point;
    const double rate = source.rate_per_s * rates[point].factor * level.value();
    double until = std::min(level.until(), duration_s);
    if (point + 1 < rates.size()) until = std::min(until, rates[point + 1].at_s);
    const double room = rate * (until - t);
    if (left < room) {
      t += left / rate;
      if (t < duration_s) out.push_back(from_seconds(t));
      left = draw();
      continue;
    }
    left -= room;
    t = until;
    if (t >= level.until()) level.next();
  }
  return out;
}

}  // namespace arqon::workload
