#include "arqon/workload/multi_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "arqon/workload/variates.h"

namespace arqon::workload {
namespace {

constexpr double kWindowS = 600;
constexpr double kGammaShare = 0.75;  // of the windows; the others are Weibull
// CV of the gaps of a client's window: lognormal with median 1.2 and p90 6.
constexpr double kCvMedian = 1.2, kCvSigma = 1.256;
constexpr double kCvMin = 0.3, kCvMax = 12;
constexpr double kLevelSigma = 0.5;  // of the rate around the client's level, on the log
// Share of windows in which a client is active: most for those with more than a tenth of the
// traffic, few for the others.
constexpr double kHeavyShare = 0.1, kHeavyActive = 0.95;
constexpr double kActiveMin = 0.07, kActiveMax = 0.4;

// Shape k of a Weibull with this CV: CV^2 = G(1+2/k)/G(1+1/k)^2 - 1, falling in k.
double weibull_shape(double cv) {
  double low = 0.1, high = 20;
  for (int i = 0; i < 60; ++i) {
    const double k = 0.5 * (low + high);
    const double a = std::tgamma(1 + 1 / k);
    const double of_k = std::sqrt(std::max(0.0, std::tgamma(1 + 2 / k) / (a * a) - 1));
    (of_k > cv ? low : high) = k;
  }
  return 0.5 * (low + high);
}


class Client {
 public:
  Client(double level, double share, const Rng& rng)
      : rng_(rng.stream("gaps")), windows_(rng.stream("windows")) {
    Rng own = rng.stream("client");
    active_ = share > kHeavyShare ? kHeavyActive : own.uniform(kActiveMin, kActiveMax);
    level_ = level / active_;
  }

  // Appends the arrivals of [from, to) of operational time, in seconds.
  void send(double from, double to, std::uint64_t window, std::vector<double>& out) {
    Rng draw = windows_.stream(window);
    if (draw.uniform() >= active_) return;
    const double rate =
        level_ * std::exp(kLevelSigma * draw.normal() - kLevelSigma * kLevelSigma / 2);
    const bool gamma = draw.uniform() < kGammaShare;
    const double cv = std::clamp(kCvMedian * std::exp(kCvSigma * draw.normal()), kCvMin, kCvMax);
    const double shape = gamma ? 0 : weibull_shape(cv);
    const double scale = gamma ? 0 : 1 / std::tgamma(1 + 1 / shape);
    const auto gap = [&] {
      return gamma ? gamma_gap(cv, rng_) : scale * std::pow(rng_.exponential(), 1 / shape);
    };
    // The window opens somewhere inside a gap, not at an arrival.
    double t = from + rng_.uniform() * gap() / rate;
    for (; t < to; t += gap() / rate) out.push_back(t);
  }

 private:
  Rng rng_, windows_;
  double active_ = 1, level_ = 0;
};

}  // namespace

Result<std::vector<Duration>> multi_client_arrivals(const GeneratorSource& source,
                                                    const std::vector<RatePoint>& rates,
                                                    double duration_s, const Rng& rng) {
  if (source.clients < 1 || source.clients > 10000 || !(source.skew >= 0 && source.skew <= 4)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("multi-client: clients must lie in [1, 10000] and skew in [0, 4] "
                            "(got {} and {})",
                            source.clients, source.skew));
  }
  // Operational time: the integral of the factor.
  std::vector<double> operational{0};
  for (std::size_t i = 1; i <= rates.size(); ++i) {
    const double end = i < rates.size() ? std::min(rates[i].at_s, duration_s) : duration_s;
    const double from = std::min(rates[i - 1].at_s, duration_s);
    operational.push_back(operational.back() + (end - from) * rates[i - 1].factor);
  }
  double sum = 0;
  for (int i = 1; i <= source.clients; ++i) sum += std::pow(i, -source.skew);
  std::vector<double> all;
  for (int i = 1; i <= source.clients; ++i) {
    const double share = std::pow(i, -source.skew) / sum;
    Client client(source.rate_per_s * share, share, rng.stream(static_cast<std::uint64_t>(i)));
    std::uint64_t window = 0;
    for (double from = 0; from < operational.back(); from += kWindowS) {
      client.send(from, std::min(from + kWindowS, operational.back()), window++, all);
    }
  }
  std::sort(all.begin(), all.end());
  std::vector<Duration> out;
  out.reserve(all.size());
  std::size_t part = 0;
  for (const double t : all) {
    while (part + 1 < rates.size() && operational[part + 1] <= t) ++part;
    const double at = rates[part].at_s + (t - operational[part]) / rates[part].factor;
    if (at < duration_s) out.push_back(from_seconds(at));
  }
  return out;
}

}  // namespace arqon::workload
