#include "arqon/workload/envelope.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace arqon::workload {
namespace {

constexpr double kPointsMax = 1e6;
constexpr double kStepsPerPeriod = 1440;

struct Crowd {
  double from_s, to_s, factor;
};

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidConfig, std::move(message));
}

Status check(const Diurnal& d, double duration_s) {
  if (!(d.period_s >= 60 && d.period_s <= 7 * 86400.0)) {
    return invalid(fmt::format("diurnal.period_s must lie in [60, 604800] (got {})", d.period_s));
  }
  if (!(d.swing >= 1 && d.swing <= 100)) {
    return invalid(fmt::format("diurnal.swing must lie in [1, 100] (got {})", d.swing));
  }
  if (!(d.lunch_dip >= 0 && d.lunch_dip <= 0.4)) {
    return invalid(fmt::format("diurnal.lunch_dip must lie in [0, 0.4] (got {})", d.lunch_dip));
  }
  if (!(d.weekend >= 0 && d.weekend <= 10) || !std::isfinite(d.peak_at_s)) {
    return invalid("diurnal.weekend must lie in [0, 10] and peak_at_s be a time in seconds");
  }
  if (duration_s / d.period_s * kStepsPerPeriod > kPointsMax) {
    return invalid("diurnal.period_s is too short for the length of the run");
  }
  return {};
}

Status check(const Spikes& s, double duration_s) {
  if (!(s.per_hour >= 0 && s.per_hour * duration_s / 3600 <= 10000)) {
    return invalid(fmt::format("spikes.per_hour must come to 0 to 10,000 spikes (got {})",
                               s.per_hour));
  }
  if (!(s.factor_min >= 0 && s.factor_min <= s.factor_max && s.factor_max <= 1000) ||
      !(s.seconds_min > 0 && s.seconds_min <= s.seconds_max && s.seconds_max <= 86400)) {
    return invalid("spikes: factor must be a range inside [0, 1000], seconds one inside (0, "
                   "86400]");
  }
  return {};
}

std::vector<Crowd> draw_crowds(const Spikes& spikes, double duration_s, Rng rng) {
  std::vector<Crowd> out;
  if (spikes.per_hour <= 0) return out;
  double t = 0;
  while (true) {
    t += rng.exponential() * 3600 / spikes.per_hour;
    const double factor = rng.uniform(spikes.factor_min, spikes.factor_max);
    const double length = rng.uniform(spikes.seconds_min, spikes.seconds_max);
    if (t >= duration_s) return out;
    out.push_back({t, t + length, factor});
  }
}

}  // namespace

double diurnal_factor(const Diurnal& d, double t_s) {
  const double phase = 2 * std::numbers::pi * (t_s - d.peak_at_s) / d.period_s;
  const double first = (d.swing - 1) / (d.swing + 1);
  const double day = std::fmod(std::floor(t_s / d.period_s), 7);
  const double wave = 1 + first * std::cos(phase) - d.lunch_dip * std::cos(2 * phase);
  return std::max(0.0, wave) * (day >= 5 ? d.weekend : 1);
}

Result<std::vector<RatePoint>> rate_envelope(const Spec& spec, double duration_s, const Rng& rng) {
  const std::vector<RatePoint> segments = rate_points(spec.segments);
  if (!spec.diurnal && !spec.spikes) return segments;
  std::vector<double> times;
  for (const RatePoint& p : segments) times.push_back(p.at_s);
  if (spec.diurnal) {
    if (Status s = check(*spec.diurnal, duration_s); !s) return tl::unexpected<Error>(s.error());
    const double step = spec.diurnal->period_s / kStepsPerPeriod;
    for (double i = 1; i * step < duration_s; ++i) times.push_back(i * step);
  }
  std::vector<Crowd> crowds;
  if (spec.spikes) {
    if (Status s = check(*spec.spikes, duration_s); !s) return tl::unexpected<Error>(s.error());
    crowds = draw_crowds(*spec.spikes, duration_s, rng);
    for (const Crowd& c : crowds) {
      times.push_back(c.from_s);
      times.push_back(c.to_s);
    }
  }
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  std::vector<RatePoint> out;
  std::size_t segment = 0;
  for (const double t : times) {
    while (segment + 1 < segments.size() && segments[segment + 1].at_s <= t) ++segment;
    double factor = segments[segment].factor;
    if (spec.diurnal) factor *= diurnal_factor(*spec.diurnal, t + spec.diurnal->period_s / 2880);
    for (const Crowd& c : crowds) factor *= t >= c.from_s && t < c.to_s ? c.factor : 1;
    out.push_back({t, factor});
  }
  return out;
}

}  // namespace arqon::workload
