#include "arqon/solver/strategies/tpe/grain.h"

#include <algorithm>
#include <cmath>

namespace arqon::solver {
namespace {

// Whole-number steps narrower than this share of the box are left to the smooth model.
constexpr double kStepMin = 0.008;
// One update changes the evidence by at most kVoteMax; kConvinced of it makes a grain.
constexpr double kVoteMax = 1;
constexpr double kConvinced = 2;

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

GrainEvidence::GrainEvidence(const Encoding& encoding, const Space& space)
    : grains_(encoding.dims(), Grain::kNone) {
  for (std::size_t i = 0; i < encoding.dims(); ++i) {
    if (may_be_rounded(encoding, space, i)) open_.push_back({.coordinate = i});
  }
}

void GrainEvidence::update(const Encoding& encoding, const Space& space,
                           std::span<const Labelled> data, const Point& center) {
  for (Open& open : open_) {
    std::vector<Grain> trial = grains_;
    const auto residual = [&](Grain grain) {
      trial[open.coordinate] = grain;
      return std::max(residual_sd(encoding, space, data, center, trial), 1e-12);
    };
    const double none = residual(Grain::kNone);
    const auto vote = [&](Grain grain) {
      return std::clamp(std::log(none / residual(grain)), -kVoteMax, kVoteMax);
    };
    open.floor += vote(Grain::kFloor);
    open.round += vote(Grain::kRound);
    const double most = std::max(open.floor, open.round);
    grains_[open.coordinate] = most < kConvinced         ? Grain::kNone
                               : open.floor >= open.round ? Grain::kFloor
                                                          : Grain::kRound;
  }
}

}  // namespace arqon::solver
