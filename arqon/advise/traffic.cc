#include "arqon/advise/traffic.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/rng.h"

namespace arqon::advise {
namespace {

// Of the logarithm of a length when nobody tells: between Azure's code and conversation traces.
constexpr double kSpread = 0.8;
constexpr double kArrivalsMax = 2e6;
// The rate of a short window is mostly chance, and arrivals are drawn by chance once more: windows
// are joined until so many requests tell a rate.
constexpr double kRequestsPerRate = 150;

class Lengths {
 public:
  Lengths(const std::vector<calibrate::LengthShare>& shares, double mean)
      : shares_(shares), mean_(mean) {
    double middle = 0;
    for (const calibrate::LengthShare& s : shares_) {
      weights_.push_back(s.share);
      middle += s.share * (s.above + s.to) / 2;
    }
    if (middle > 0 && mean > 0) scale_ = mean / middle;
  }

  double draw(Rng& rng) const {
    if (shares_.empty()) {
      return mean_ * std::exp(kSpread * rng.normal() - kSpread * kSpread / 2);
    }
    const calibrate::LengthShare& s = shares_[rng.weighted(weights_)];
    return scale_ * rng.uniform(s.above, s.to);
  }

 private:
  const std::vector<calibrate::LengthShare>& shares_;
  std::vector<double> weights_;
  double mean_;
  double scale_ = 1;
};

}  // namespace

calibrate::Traffic traffic_of_windows(const calibrate::Observations& windows) {
  calibrate::Traffic out;
  double seconds = 0, requests = 0;
  for (const calibrate::Observation& window : windows) {
    out.seconds += window.seconds;
    out.requests += window.finished;
    out.prompt_mean += window.prompt_tokens;
    out.output_mean += window.output_tokens;
    seconds += window.seconds;
    requests += window.finished;
    if (requests < kRequestsPerRate && &window != &windows.back()) continue;
    out.rate_by_window.push_back(requests / seconds);
    seconds = requests = 0;
  }
  if (out.seconds > 0) out.rate_per_s = out.requests / out.seconds;
  out.prompt_mean /= std::max(1.0, out.requests);
  out.output_mean /= std::max(1.0, out.requests);
  return out;
}

workload::Trace draw_traffic(const calibrate::Traffic& traffic, double seconds, double tokens_max,
                             std::uint64_t seed) {
  workload::Trace out;
  const std::size_t windows = traffic.rate_by_window.size();
  if (windows == 0 || !(traffic.rate_per_s > 0) || traffic.rate_per_s * seconds > kArrivalsMax) {
    return out;
  }
  const Rng root(seed);
  Rng arrivals = root.stream("arrivals"), lengths = root.stream("lengths");
  const Lengths prompts(traffic.prompt, traffic.prompt_mean);
  const Lengths outputs(traffic.output, traffic.output_mean);
  const double window_s = traffic.seconds / static_cast<double>(windows);
  std::size_t window = root.stream("stretch").below(windows);
  for (double begin = 0; begin < seconds; begin += window_s, window = (window + 1) % windows) {
    const double rate = traffic.rate_by_window[window];
    const double end = std::min(seconds, begin + window_s);
    if (!(rate > 0)) continue;
    for (double t = begin + arrivals.exponential() / rate; t < end;
         t += arrivals.exponential() / rate) {
      double prompt = std::max(1.0, std::round(prompts.draw(lengths)));
      double output = std::max(1.0, std::round(outputs.draw(lengths)));
      if (tokens_max >= 2 && prompt + output > tokens_max) {
        output = std::min(output, std::max(1.0, std::floor(tokens_max / 2)));
        prompt = std::min(prompt, tokens_max - output);
      }
      out.push_back({.arrival = from_seconds(t),
                     .prompt_tokens = static_cast<std::uint32_t>(prompt),
                     .output_tokens = static_cast<std::uint32_t>(output)});
    }
  }
  return out;
}

}  // namespace arqon::advise
