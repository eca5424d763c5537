// What makes equal steps take unequal time on a real machine. A function of seed, replica and time
// only, never of the settings: strategies compared on one seed meet the same noise.
#pragma once

#include <cstdint>

#include "arqon/base/rng.h"
#include "arqon/sim/step_time.h"

namespace arqon::sim {

// AR(1) lognormal factor on a 250 ms grid (rho 0.9, sigma 0.04, mean 1) and rare stalls of 5-50 ms
// (Poisson, 0.05 per second). Time moves forward only. One thread.
class Noise {
 public:
  Noise(Rng rng, bool enabled);

  // Moves to the cell that holds `t`, which may not be earlier than before.
  void seek(Ps t) {
    if (t >= cell_end_) advance(t);
  }
  // A machine that is throttled to `speed` in [0.05, 1] of its pace; 1 = healthy.
  void set_speed(double speed);
  // value * factor of the present cell.
  std::int64_t scale(std::int64_t value) const {
    return (value * factor_ + kHalf) >> kFractionBits;
  }
  // End of the present cell; the factor holds for every step that starts before it.
  Ps cell_end() const { return cell_end_; }
  // When the next stall hits.
  Ps stall_at() const { return stall_at_; }
  // Length of that stall; the next one is drawn.
  Ps take_stall();
  // Forgets stalls before `t`: they hit an idle machine.
  void skip_stalls(Ps t);

 private:
  static constexpr int kFractionBits = 16;
  static constexpr std::int64_t kHalf = std::int64_t{1} << (kFractionBits - 1);
  static constexpr Ps kCell = 250 * kPsPerMs;
  void advance(Ps t);
  void draw_stall();
  void set_factor();

  Rng cells_, stalls_;
  bool enabled_;
  double level_ = 0;  // ln of the factor of a healthy machine
  double speed_ = 1;
  std::int64_t factor_ = std::int64_t{1} << kFractionBits;
  Ps cell_end_ = 0;
  Ps stall_at_ = 0;
  Ps stall_length_ = 0;
};

}  // namespace arqon::sim
