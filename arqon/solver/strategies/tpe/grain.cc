#include "arqon/solver/strategies/tpe/grain.h"

#include <algorithm>
#include <cmath>

namespace arqon::solver {
namespace {

// Whole-number steps narrower than this share of the box are left to the smooth model.
constexpr double kStepMin = 0.008;
// A grain must bring the residual's standard deviation below this share of the smooth model's.
constexpr double kGain = 0.7;

bool may_be_rounded(const Encoding& encoding, const Space& space, std::size_t i) {
  const Coordinate& c = encoding[i];
  const Parameter& p = space[c.parameter];
  if (c.geometry != Geometry::kLine || c.step > 0 || p.max - p.min < 2) return false;
  Parameter whole = p;
  whole.type = ParamType::kInt;
  return Encoding(Space({whole}))[0].step >= kStepMin;
}

double native(const Parameter& p, double u) {
  const double t = std::clamp(u, 0.0, 1.0);
  if (p.scale == Scale::kLog) return p.min * std::exp(t * std::log(p.max / p.min));
  return p.min + t * (p.max - p.min);
}

double to_unit(const Parameter& p, double value) {
  if (p.scale == Scale::kLog) return std::log(value / p.min) / std::log(p.max / p.min);
  return (value - p.min) / (p.max - p.min);
}

double grained(const Parameter& p, Grain grain, double u) {
  if (grain == Grain::kNone) return u;
  const double value = native(p, u);
  // The last bit of a value that came through text must not drop it into the bin below.
  const double whole = grain == Grain::kFloor ? std::floor(value + 1e-9 * std::abs(value))
                                              : std::round(value);
  return to_unit(p, std::clamp(whole, p.min, p.max));
}

double residual_sd(const Encoding& encoding, const Space& space, std::span<const Labelled> data,
                   const Point& center, const std::vector<Grain>& grains) {
  std::vector<Labelled> acting;
  for (const Labelled& d : data) {
    if (!d.loss || d.allowed < 0.5) continue;
    acting.push_back({.at = acting_point(encoding, space, grains, d.at),
                      .loss = d.loss,
                      .allowed = d.allowed});
  }
  return loss_residual_sd(encoding, acting, acting_point(encoding, space, grains, center));
}

}  // namespace

Point acting_point(const Encoding& encoding, const Space& space, std::span<const Grain> grains,
                   std::span<const double> at) {
  Point out(at.begin(), at.end());
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = grained(space[encoding[i].parameter], grains[i], out[i]);
  }
  return out;
}

Config middle_of_grain(const Space& space, const Encoding& encoding, std::span<const Grain> grains,
                       Config config) {
  for (std::size_t i = 0; i < grains.size(); ++i) {
    if (grains[i] == Grain::kNone) continue;
    const Parameter& p = space[encoding[i].parameter];
    double& value = config[space.offset(encoding[i].parameter)];
    value = grains[i] == Grain::kFloor ? std::floor(value + 1e-9 * std::abs(value)) + 0.5
                                       : std::round(value);
    value = std::clamp(value, p.min, p.max);
  }
  return space.snap(config);
}

std::vector<Grain> find_grains(const Encoding& encoding, const Space& space,
                               std::span<const Labelled> data, const Point& center) {
  std::vector<Grain> grains(encoding.dims(), Grain::kNone);
  double smooth = -1;
  for (std::size_t i = 0; i < grains.size(); ++i) {
    if (!may_be_rounded(encoding, space, i)) continue;
    if (smooth < 0) smooth = residual_sd(encoding, space, data, center, grains);
    double least = kGain * smooth;
    Grain found = Grain::kNone;
    for (const Grain grain : {Grain::kFloor, Grain::kRound}) {
      grains[i] = grain;
      const double sd = residual_sd(encoding, space, data, center, grains);
      if (sd < least) {
        least = sd;
        found = grain;
      }
    }
    grains[i] = found;
    if (found != Grain::kNone) smooth = least;
  }
  return grains;
}

}  // namespace arqon::solver
