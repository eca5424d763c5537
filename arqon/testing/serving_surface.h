// Stand-in serving engines for the ask_one / seed loop: p99 and cost per token over batch_size
// (1..64, used as an integer) and max_wait_ms (10..500), with an SLA that forbids 30-70 % of the
// box and the cheapest settings right next to the cliff (cost falls about 1 % where p99 rises 1 %).
// Random ones vary in exponents, interactions, bends, where the border runs and where along it the
// optimum lies.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "arqon/base/rng.h"

namespace arqon::testing {

inline constexpr double kBatchMax = 64;
inline constexpr double kWaitMin_ms = 10;
inline constexpr double kWaitMax_ms = 500;
inline constexpr double kP99Noise = 0.04;         // sigma of ln p99 from window to window
inline constexpr double kGainMax = 2.5;
inline constexpr double kViolationAllowed = 0.05;

class ServingSurface {
 public:
  // The surface of examples/inference_serving.py.
  static ServingSurface fixed() {
    ServingSurface s;
    s.calibrate(0.5, 1.0);
    return s;
  }
  static ServingSurface random(std::uint64_t seed) {
    Rng rng = Rng(seed).stream("serving_surface");
    for (;;) {
      // A cost that spans decades over the box is no serving engine: draw again.
      const ServingSurface s = draw(rng);
      if (s.gain_ <= kGainMax) return s;
    }
  }
  static ServingSurface draw(Rng& rng) {
    ServingSurface s;
    s.physical_ = rng.uniform() < 0.5;
    s.base_ms_ = rng.uniform(10, 60);
    s.per_batch_ms_ = rng.uniform(2, 12);
    s.batch_power_ = rng.uniform(0.6, 1.2);
    s.wait_share_ = rng.uniform(0.3, 1.2);
    s.together_ = rng.uniform(0, 0.02);
    s.fill_per_ms_ = std::exp(rng.uniform(std::log(0.03), std::log(0.6)));
    s.fill_power_ = rng.uniform(0.8, 3);
    s.overhead_ = rng.uniform(2, 20);
    s.slope_x_ = rng.uniform(0.5, 2.5);
    s.slope_y_ = rng.uniform(0.5, 2.5);
    s.bend_x_ = rng.uniform(-0.3, 0.8);
    s.bend_y_ = rng.uniform(-0.3, 0.8);
    s.bend_xy_ = rng.uniform(-0.4, 1.0);
    s.tilt_ = rng.uniform(0.5, 3.0);
    const double at_x = rng.uniform(0.1, 0.95);
    s.valley_ = at_x;
    const double infeasible = rng.uniform(0.3, 0.7);
    const double elasticity = rng.uniform(0.85, 1.2);
    s.calibrate(infeasible, elasticity);
    return s;
  }

  double p99_ms(double batch, double wait_ms) const { return std::exp(log_p99(batch, wait_ms)); }
  double cost(double batch, double wait_ms) const {
    return 0.4 * std::exp(log_cost(batch, wait_ms) - log_cheapest_);
  }
  double sla_ms() const { return std::exp(log_sla_); }
  // P(measured p99 > SLA) in one window.
  double violation(double batch, double wait_ms) const {
    return 0.5 * std::erfc((log_sla_ - log_p99(batch, wait_ms)) / kP99Noise * std::sqrt(0.5));
  }
  // Cost of the cheapest setting whose violation probability is at most kViolationAllowed.
  double cheapest() const { return 0.4; }
  double cheapest_batch() const { return best_batch_; }
  double cheapest_wait_ms() const { return best_wait_ms_; }
  double infeasible_share() const { return infeasible_share_; }

 private:
  ServingSurface() = default;

  double log_p99(double batch, double wait_ms) const {
    const double b = std::clamp(std::floor(batch), 1.0, kBatchMax);
    if (physical_) {
      return std::log(base_ms_ + per_batch_ms_ * std::pow(b, batch_power_) +
                      wait_share_ * wait_ms + together_ * b * wait_ms);
    }
    const double x = std::log(b) / std::log(kBatchMax);
    const double y = (wait_ms - kWaitMin_ms) / (kWaitMax_ms - kWaitMin_ms);
    return 4 + slope_x_ * x + slope_y_ * y + bend_x_ * x * x + bend_y_ * y * y + bend_xy_ * x * y;
  }
  double log_cost(double batch, double wait_ms) const {
    const double b = std::clamp(std::floor(batch), 1.0, kBatchMax);
    if (physical_) {
      const double fill = 1 + fill_per_ms_ * wait_ms;
      const double batch_used = std::pow(std::pow(b, -fill_power_) + std::pow(fill, -fill_power_),
                                         -1 / fill_power_);
      return gain_ * std::log1p(overhead_ / batch_used);
    }
    const double x = std::log(b) / std::log(kBatchMax);
    const double off = x - valley_;
    return -gain_ * log_p99(batch, wait_ms) + tilt_ * off * off;
  }

  // Sets the SLA so that `infeasible` of the box breaks it, the gain so that cost per p99 has the
  // wanted elasticity at the cheapest allowed setting, and finds that setting.
  void calibrate(double infeasible, double elasticity) {
    constexpr int kGrid = 100;
    std::vector<double> p99;
    for (int i = 0; i < kGrid; ++i) {
      for (int j = 0; j < kGrid; ++j) {
        p99.push_back(log_p99(std::pow(kBatchMax, (i + 0.5) / kGrid),
                              kWaitMin_ms + (kWaitMax_ms - kWaitMin_ms) * (j + 0.5) / kGrid));
      }
    }
    std::sort(p99.begin(), p99.end());
    const auto rank = static_cast<std::size_t>((1 - infeasible) * static_cast<double>(p99.size()));
    log_sla_ = p99[std::min(rank, p99.size() - 1)];
    infeasible_share_ = infeasible;
    gain_ = elasticity;
    find_cheapest();
    if (physical_) {
      // At the optimum on a border, grad ln cost = -elasticity grad ln p99 (seen along the wait).
      const double h = 1;
      const double dc = log_cost(best_batch_, best_wait_ms_ + h) -
                        log_cost(best_batch_, best_wait_ms_ - h);
      const double dp = log_p99(best_batch_, best_wait_ms_ + h) -
                        log_p99(best_batch_, best_wait_ms_ - h);
      const double here = -dc / dp / gain_;
      if (here > 0.02) gain_ = elasticity / here;
      find_cheapest();
    }
  }
  void find_cheapest() {
    constexpr int kWaits = 4900;
    log_cheapest_ = 1e300;
    for (int b = 1; b <= static_cast<int>(kBatchMax); ++b) {
      for (int j = 0; j <= kWaits; ++j) {
        const double wait = kWaitMin_ms + (kWaitMax_ms - kWaitMin_ms) * j / kWaits;
        const double c = log_cost(b, wait);
        if (c < log_cheapest_ && violation(b, wait) <= kViolationAllowed) {
          log_cheapest_ = c;
          best_batch_ = b;
          best_wait_ms_ = wait;
        }
      }
    }
  }

  bool physical_ = true;
  double base_ms_ = 20, per_batch_ms_ = 5, batch_power_ = 0.9, wait_share_ = 0.8, together_ = 0.005;
  double fill_per_ms_ = 0.12, fill_power_ = 1.5, overhead_ = 8;
  double slope_x_ = 1, slope_y_ = 1, bend_x_ = 0, bend_y_ = 0, bend_xy_ = 0, tilt_ = 1,
         valley_ = 0.5;
  double gain_ = 1;
  double log_sla_ = 0, infeasible_share_ = 0;
  double log_cheapest_ = 0, best_batch_ = 1, best_wait_ms_ = kWaitMin_ms;
};

}  // namespace arqon::testing
