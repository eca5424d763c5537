#include "arqon/calibrate/trust.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace arqon::calibrate {
namespace {

constexpr std::array<const char*, 4> kNames = {"tpot", "throughput", "queue", "kv_use"};
constexpr double kKvUseMin = 0.02;
// No series of windows is smoother than this: a spread of 0 over four windows proves nothing.
constexpr double kSpreadMin = 0.005;

double ratio(double model, double seen) {
  return model > 0 && seen > 0 ? std::log(model / seen) : std::nan("");
}

}  // namespace

void Trust::Signal::add(double error, double keep) {
  weight *= keep;
  weight_squares *= keep * keep;
  sum *= keep;
  squares *= keep;
  sizes *= keep;
  if (!std::isfinite(error)) return;
  weight += 1;
  weight_squares += 1;
  sum += error;
  squares += error * error;
  sizes += std::abs(error);
  ++n;
}

void Trust::add(double t_s, const serving::Forecast& model, const serving::Forecast& seen) {
  const double age = windows_ == 0 ? 0 : std::max(0.0, t_s - last_s_);
  const double keep = options_.half_life_s > 0 ? std::exp2(-age / options_.half_life_s) : 1;
  last_s_ = t_s;
  ++windows_;
  signals_[0].add(ratio(model.tpot_ms_p50, seen.tpot_ms_p50), keep);
  signals_[1].add(ratio(model.output_tokens_per_s, seen.output_tokens_per_s), keep);
  signals_[2].add((model.waiting - seen.waiting) / (1 + seen.running + seen.waiting), keep);
  signals_[3].add(seen.kv_use >= kKvUseMin ? ratio(model.kv_use, seen.kv_use) : std::nan(""), keep);
}

Verdict Trust::verdict() const {
  Verdict out;
  if (windows_ < options_.windows_min) {
    out.reason = fmt::format("{} of {} windows seen", windows_, options_.windows_min);
    return out;
  }
  out.believe = true;
  for (std::size_t i = 0; i < kSignals; ++i) {
    const Signal& s = signals_[i];
    if (s.n < options_.windows_min || !(s.weight > 0)) continue;
    const double size = s.sizes / s.weight, mean = s.sum / s.weight;
    if (size >= out.error) {
      out.error = size;
      out.signal = kNames[i];
    }
    const double spread =
        std::max(kSpreadMin, std::sqrt(std::max(0.0, s.squares / s.weight - mean * mean)));
    const double windows = s.weight * s.weight / s.weight_squares;
    const double doubt = std::abs(mean) / (spread / std::sqrt(windows));
    if (size >= options_.error_max) {
      out.believe = false;
      out.reason = fmt::format("the twin's {} is off by {:.0f} % (limit {:.0f} %)", kNames[i],
                               100 * size, 100 * options_.error_max);
    } else if (out.believe && std::abs(mean) >= options_.bias_min && doubt > options_.doubt) {
      out.believe = false;
      out.reason = fmt::format("the twin's {} is {:.0f} % too {} in every window", kNames[i],
                               100 * std::abs(mean), mean > 0 ? "high" : "low");
    }
  }
  if (out.believe) {
    out.reason =
        fmt::format("its worst signal, {}, is off by {:.1f} %", out.signal, 100 * out.error);
  }
  return out;
}

}  // namespace arqon::calibrate
