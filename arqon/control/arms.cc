#include "arqon/control/arms.h"

#include <algorithm>

namespace arqon::control {
namespace {

constexpr int kBlockTicks = 5;
// Weight of the belief that requests are independent, in expected squared deviations.
constexpr double kPrior = 5;

}  // namespace

void Arms::add(const stats::Counts& canary, const stats::Counts& rest) {
  canary_ += canary;
  rest_ += rest;
  block_canary_ += canary;
  block_rest_ += rest;
  if (++block_ticks_ == kBlockTicks) close_block();
}

void Arms::close_block() {
  const auto nc = static_cast<double>(block_canary_.n), nr = static_cast<double>(block_rest_.n);
  const auto bad = static_cast<double>(block_canary_.bad + block_rest_.bad);
  if (nc > 0 && nr > 0 && bad > 0) {
    // Given the bad requests of a block, the canary's part of them is binomial. Half a request
    // keeps an arm without any from looking certain.
    const double weight_c =
        nc * (static_cast<double>(canary_.bad) + 0.5) / static_cast<double>(canary_.n + 1);
    const double weight_r =
        nr * (static_cast<double>(rest_.bad) + 0.5) / static_cast<double>(rest_.n + 1);
    const double share = weight_c / (weight_c + weight_r);
    const double deviation = static_cast<double>(block_canary_.bad) - bad * share;
    squared_ += deviation * deviation;
    expected_ += bad * share * (1 - share);
  }
  block_canary_ = {};
  block_rest_ = {};
  block_ticks_ = 0;
}

double Arms::dispersion() const {
  return std::max(1.0, (squared_ + kPrior) / (expected_ + kPrior));
}

}  // namespace arqon::control
