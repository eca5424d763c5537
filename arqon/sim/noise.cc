#include "arqon/sim/noise.h"

#include <cmath>
#include <limits>

namespace arqon::sim {
namespace {
constexpr double kSigma = 0.04;
constexpr double kRho = 0.9;
constexpr double kStallsPerSecond = 0.05;
constexpr double kStallMsMin = 5, kStallMsMax = 50;
}  // namespace

Noise::Noise(Rng rng, bool enabled)
    : cells_(rng.stream("cells")), stalls_(rng.stream("stalls")), enabled_(enabled) {
  if (!enabled_) {
    cell_end_ = stall_at_ = std::numeric_limits<Ps>::max();
    return;
  }
  level_ = kSigma * cells_.normal();
  draw_stall();
}

void Noise::advance(Ps t) {
  const double fresh = kSigma * std::sqrt(1 - kRho * kRho);
  while (t >= cell_end_) {
    level_ = kRho * level_ + fresh * cells_.normal();
    cell_end_ += kCell;
  }
  set_factor();
}

void Noise::set_speed(double speed) {
  speed_ = speed;
  set_factor();
}

void Noise::set_factor() {
  const double healthy = enabled_ ? std::exp(level_ - kSigma * kSigma / 2) : 1;
  // Rounding to 2^-16 hides last-bit differences of exp between C libraries.
  factor_ =
      std::llround(healthy / speed_ * static_cast<double>(std::int64_t{1} << kFractionBits));
}

void Noise::draw_stall() {
  stall_at_ +=
      std::llround(stalls_.exponential() / kStallsPerSecond * static_cast<double>(kPsPerSecond));
  stall_length_ =
      std::llround(stalls_.uniform(kStallMsMin, kStallMsMax) * static_cast<double>(kPsPerMs));
}

Ps Noise::take_stall() {
  const Ps length = stall_length_;
  draw_stall();
  return length;
}

void Noise::skip_stalls(Ps t) {
  while (stall_at_ < t) draw_stall();
}

}  // namespace arqon::sim
