#include "arqon/calibrate/fit.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "arqon/calibrate/least_squares.h"
#include "arqon/calibrate/predict.h"

namespace arqon::calibrate {
namespace {

// Standard deviation of the logarithm around the default, one deployment from another. Host and
// front end differ by factors between engine versions (0.76 to 2.3 ms, 3 to 31 us, 3 to 22 ms);
// kernels by their launch, clocks and vintage.
struct Free {
  const char* name;
  double sim::Calibration::*value;
  double prior_sd;
  double min, max;
};
constexpr std::array<Free, 6> kFree = {{
    {"host_ms", &sim::Calibration::host_ms, 0.5, 1e-3, 100},
    {"host_ms_per_sequence", &sim::Calibration::host_ms_per_sequence, 0.9, 1e-6, 1},
    {"front_end_ms", &sim::Calibration::front_end_ms, 1.0, 0.1, 10000},
    {"linear_memory", &sim::Calibration::linear_memory, 0.15, 0.1, 10},
    {"linear_compute", &sim::Calibration::linear_compute, 0.2, 0.1, 10},
    {"decode_kv", &sim::Calibration::decode_kv, 0.15, 0.1, 10},
}};

constexpr double kNoise = 0.05;      // of one window's mean gap or throughput, as a share
constexpr double kNoiseTtft = 0.15;  // first tokens scatter more
constexpr double kQueued = 0.5;      // mean requests waiting: the engine was never idle
constexpr double kWindowsForWidePriors = 6;
constexpr double kTokensMin = 20;  // of a window that tells a pace
constexpr double kKvUseMin = 0.02;

sim::Calibration moved(const sim::Calibration& from, std::span<const double> x) {
  sim::Calibration out = from;
  for (std::size_t j = 0; j < kFree.size(); ++j) {
    const Free& f = kFree[j];
    out.*f.value = std::clamp(from.*f.value * std::exp(x[j]), f.min, f.max);
  }
  return out;
}

bool usable(const Observation& o) {
  const double all[] = {o.t_s,      o.seconds,       o.running,       o.waiting,
                        o.finished, o.prompt_tokens, o.output_tokens, o.steps,
                        o.gap_ms,   o.ttft_ms,       o.e2e_ms};
  if (!std::all_of(std::begin(all), std::end(all), [](double v) { return std::isfinite(v); })) {
    return false;
  }
  return o.seconds > 0 && o.finished >= 1 && o.output_tokens >= kTokensMin &&
         o.prompt_length() >= 1 && o.output_length() >= 1;
}

// What one window tells: model / seen, as logarithms, NaN for what it does not tell.
struct Told {
  double gap, throughput, latency;
};

double ratio(double model, double seen) {
  return model > 0 && seen > 0 ? std::log(model / seen) : std::nan("");
}

Told compare(const Pace& pace, const Observation& o) {
  Told out{ratio(pace.gap_ms, o.gap_ms), std::nan(""), std::nan("")};
  if (o.waiting >= kQueued) {
    out.throughput = ratio(pace.output_tokens_per_s, o.output_tokens / o.seconds);
  } else if (o.concurrency > 0) {
    out.latency = ratio(pace.e2e_ms, 1e3 * o.concurrency * o.seconds / o.finished);
  } else {
    out.latency = ratio(pace.ttft_ms, o.ttft_ms);
  }
  return out;
}

class Regression {
 public:
  Regression(const sim::PoolSpec& pool, std::vector<Observation> windows, const FitOptions& options)
      : pool_(pool), windows_(std::move(windows)) {
    double last = 0;
    for (const Observation& o : windows_) last = std::max(last, o.t_s);
    for (const Observation& o : windows_) {
      const double age = last - o.t_s;
      const double weight =
          options.half_life_s > 0 ? std::exp2(-std::min(60.0, age / options.half_life_s)) : 1;
      weights_.push_back(std::sqrt(weight));
    }
  }

  void residuals(std::span<const double> x, std::vector<double>& out) const {
    out.clear();
    const std::vector<Told> told = compare_all(moved(pool_.calibration, x));
    for (std::size_t i = 0; i < told.size(); ++i) {
      out.push_back(weights_[i] * told[i].gap / kNoise);
      out.push_back(weights_[i] * told[i].throughput / kNoise);
      const bool round_trip = windows_[i].concurrency > 0;
      out.push_back(weights_[i] * told[i].latency / (round_trip ? kNoise : kNoiseTtft));
    }
  }

  std::vector<Told> compare_all(const sim::Calibration& calibration) const {
    sim::PoolSpec pool = pool_;
    pool.calibration = calibration;
    const Result<Predictor> predictor = Predictor::create(pool);
    std::vector<Told> out;
    for (const Observation& o : windows_) out.push_back(compare(predictor->predict(o), o));
    return out;
  }

  const std::vector<Observation>& windows() const { return windows_; }

 private:
  const sim::PoolSpec& pool_;
  std::vector<Observation> windows_;
  std::vector<double> weights_;
};

double mean_abs(const std::vector<Told>& told, double Told::*what) {
  double sum = 0, n = 0;
  for (const Told& t : told) {
    if (std::isnan(t.*what)) continue;
    sum += std::abs(t.*what);
    ++n;
  }
  return n > 0 ? sum / n : 0;
}

// Each window's own answer, and their median: one broken gauge must not decide.
double kv_tokens(const std::vector<Observation>& windows) {
  std::vector<double> told;
  for (const Observation& o : windows) {
    if (!(o.kv_use >= kKvUseMin) || !(o.running > 0)) continue;
    told.push_back(o.running * (o.prompt_length() + o.output_length() / 2) / o.kv_use);
  }
  if (told.empty()) return 0;
  const auto middle = told.begin() + static_cast<std::ptrdiff_t>(told.size() / 2);
  std::nth_element(told.begin(), middle, told.end());
  return *middle;
}

std::string source_of(const std::vector<Observation>& windows) {
  if (windows.empty()) return "config";
  const bool idle = std::all_of(windows.begin(), windows.end(), [](const Observation& o) {
    return o.running <= 1.01 && o.waiting < kQueued;
  });
  return idle ? "idle" : "running";
}

}  // namespace

Result<Fit> fit(const sim::PoolSpec& pool, const Observations& windows, const FitOptions& options) {
  if (Result<Predictor> known = Predictor::create(pool); !known) {
    return tl::unexpected<Error>(known.error());
  }
  std::vector<Observation> used;
  std::copy_if(windows.begin(), windows.end(), std::back_inserter(used), usable);
  Fit out;
  out.windows = used.size();
  out.left_out = windows.size() - used.size();
  out.source = source_of(used);
  out.kv_tokens = kv_tokens(used);
  const Regression regression(pool, std::move(used), options);
  const double width =
      options.prior_width * (static_cast<double>(out.windows) < kWindowsForWidePriors ? 0.5 : 1);
  std::vector<double> prior_sd;
  for (const Free& f : kFree) prior_sd.push_back(f.prior_sd * width);
  const Minimum minimum = minimise(
      [&](std::span<const double> x, std::vector<double>& r) { regression.residuals(x, r); },
      prior_sd);
  out.calibration = moved(pool.calibration, minimum.x);
  for (std::size_t j = 0; j < kFree.size(); ++j) {
    const Free& f = kFree[j];
    const double value = out.calibration.*f.value;
    const double spread = std::exp(1.96 * minimum.sd[j]);
    out.scalars.push_back(
        {f.name, value, pool.calibration.*f.value, value / spread, value * spread});
  }
  const auto before = regression.compare_all(pool.calibration);
  const auto after = regression.compare_all(out.calibration);
  out.gap_error_before = mean_abs(before, &Told::gap);
  out.throughput_error_before = mean_abs(before, &Told::throughput);
  out.gap_error = mean_abs(after, &Told::gap);
  out.throughput_error = mean_abs(after, &Told::throughput);
  return out;
}

}  // namespace arqon::calibrate
