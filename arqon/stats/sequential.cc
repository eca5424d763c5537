#include "arqon/stats/sequential.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <span>

#include "arqon/base/assert.h"

namespace arqon::stats {
namespace {

constexpr double kRateMin = 1e-12;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array kAbove = {2.0, 3.0, 5.0, 10.0};
constexpr std::array kBelow = {2.0, 5.0};
// A comparison looks for smaller effects than a limit does.
constexpr std::array kAboveFine = {1.25, 1.5, 2.0, 3.0, 5.0, 10.0};
constexpr std::array kBelowFine = {1.25, 1.5, 2.0, 3.0, 5.0};
// Beyond this the incumbent's rate is excluded so firmly that nothing else matters.
constexpr double kLogECap = 60;

// Counts in effective requests.
struct Effective {
  double bad;
  double good;
};

Effective effective(const Counts& counts, double dispersion) {
  const double v = std::max(1.0, dispersion);
  const auto bad = static_cast<double>(std::min(counts.bad, counts.n));
  return {bad / v, (static_cast<double>(counts.n) - bad) / v};
}

double clamp_rate(double p) { return std::clamp(p, kRateMin, 1 - kRateMin); }

double log_sum_exp(double a, double b) {
  const double high = std::max(a, b);
  return high == -kInfinity ? high : high + std::log1p(std::exp(std::min(a, b) - high));
}

// ln of the mean of exp(ratios), in one pass over the exponentials.
double log_mean_exp(std::span<const double> ratios) {
  const double high = *std::ranges::max_element(ratios);
  double sum = 0;
  for (const double ratio : ratios) sum += std::exp(ratio - high);
  return high + std::log(sum / static_cast<double>(ratios.size()));
}

// Alternatives m times p0 where there is room below 1, else the rates at which good requests are m
// times rarer.
template <std::size_t n>
double log_e_up(const Effective& c, double p0, const std::array<double, n>& multiples) {
  p0 = clamp_rate(p0);
  const double log_good = std::log1p(-p0);
  std::array<double, n> ratios;
  for (std::size_t i = 0; i < n; ++i) {
    const double m = multiples[i];
    const double p = std::min(m * p0, 1 - (1 - p0) / m);
    ratios[i] = c.bad * std::log(p / p0) + c.good * (std::log1p(-p) - log_good);
  }
  return log_mean_exp(ratios);
}

// Alternatives p0 / m.
template <std::size_t n>
double log_e_down(const Effective& c, double p0, const std::array<double, n>& divisors) {
  p0 = clamp_rate(p0);
  const double log_good = std::log1p(-p0);
  std::array<double, n> ratios;
  for (std::size_t i = 0; i < n; ++i) {
    const double m = divisors[i];
    ratios[i] = c.good * (std::log1p(-p0 / m) - log_good) - c.bad * std::log(m);
  }
  return log_mean_exp(ratios);
}

// ln Gamma(x), x > 0: Stirling's series after shifting x above 8. std::lgamma writes a global.
double log_gamma(double x) {
  double shift = 0;
  for (; x < 8; x += 1) shift += std::log(x);
  const double r = 1 / (x * x);
  const double series = (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r / 1680))) / x;
  return (x - 0.5) * std::log(x) - x + 0.5 * std::log(2 * std::numbers::pi) + series - shift;
}

// ln of the Beta(1/2, 1/2) mixture likelihood of the counts.
double log_mixture(const Effective& c) {
  return log_gamma(c.bad + 0.5) + log_gamma(c.good + 0.5) - log_gamma(c.bad + c.good + 1) -
         std::log(std::numbers::pi);
}

// Log e-value against "the rate is exactly p": the mixture over the likelihood at p.
class PointEvidence {
 public:
  explicit PointEvidence(const Effective& c) : counts_(c), mixture_(log_mixture(c)) {}
  double operator()(double p) const {
    p = clamp_rate(p);
    return mixture_ - counts_.bad * std::log(p) - counts_.good * std::log1p(-p);
  }
  double best_rate() const {
    const double n = counts_.bad + counts_.good;
    return n > 0 ? counts_.bad / n : 0.5;
  }
  // Rate between best_rate() and `end` (0 or 1) at which the evidence first reaches `level`.
  double crossing(double end, double level) const {
    double inside = best_rate();
    double outside = end;
    if (inside == outside || (*this)(outside) < level) return outside;
    for (int i = 0; i < 44; ++i) {
      const double middle = 0.5 * (inside + outside);
      ((*this)(middle) < level ? inside : outside) = middle;
    }
    return outside;
  }

 private:
  Effective counts_;
  double mixture_;
};

// Least over the rate x of the reference arm, within [low, high], of
//   1/2 D(x) E(x) + 1/4 E(x) + 1/4 M(x)
// M: evidence that the reference's rate is not x; D: that it lies on the far side of x; E: that the
// other arm breaks H0 if the reference's rate is x. For each x every term is an e-value.
template <typename Aside, typename Evidence>
double least_evidence(const PointEvidence& reference, double low, double high, const Aside& aside,
                      const Evidence& evidence) {
  const auto at = [&](double x) {
    const double e = evidence(x);
    return log_sum_exp(aside(x) + e + std::log(0.5), log_sum_exp(e, reference(x)) + std::log(0.25));
  };
  // Outside of these M alone is past the cap.
  low = std::max(low, reference.crossing(0, kLogECap));
  high = std::min(high, reference.crossing(1, kLogECap));
  if (low >= high) return kLogECap + std::log(0.25);
  constexpr int kSteps = 64;
  const double width = (high - low) / kSteps;
  double least = kInfinity;
  double best = low;
  for (int i = 0; i <= kSteps; ++i) {
    const double x = low + width * i;
    const double value = at(x);
    if (value < least) {
      least = value;
      best = x;
    }
  }
  low = std::max(low, best - width);
  high = std::min(high, best + width);
  for (int i = 0; i < 16; ++i) {
    const double a = low + (high - low) / 3;
    const double b = high - (high - low) / 3;
    const double at_a = at(a);
    const double at_b = at(b);
    least = std::min({least, at_a, at_b});
    if (at_a < at_b) {
      high = b;
    } else {
      low = a;
    }
  }
  return std::min(least, kLogECap + std::log(0.25));
}

// Evidence against "upper <= lower + margin" (margin may be negative), from either arm as the
// reference, averaged. Rates of the reference for which H0 has no room are left out: a lower rate
// under -margin, an upper one over 1 + margin.
double log_e_exceeds(const Effective& lower, const Effective& upper, double margin) {
  const auto up = [&](double x) { return log_e_up(upper, x, kAboveFine); };
  const auto down = [&](double x) { return log_e_down(lower, x, kBelowFine); };
  const double given_lower = least_evidence(PointEvidence(lower), std::max(0.0, -margin), 1, down,
                                            [&](double x) { return up(x + margin); });
  const double given_upper = least_evidence(PointEvidence(upper), 0, std::min(1.0, 1 + margin), up,
                                            [&](double x) { return down(x - margin); });
  return log_sum_exp(given_lower, given_upper) - std::numbers::ln2;
}

Comparison compare_effective(const Effective& incumbent, const Effective& challenger,
                             double margin) {
  return {.log_e_worse = log_e_exceeds(incumbent, challenger, margin),
          .log_e_better = log_e_exceeds(challenger, incumbent, 0),
          .log_e_not_worse = log_e_exceeds(challenger, incumbent, -margin)};
}

// Rate to plan with: pulled a little off 0 and 1.
double planning_rate(const Counts& counts) {
  return (static_cast<double>(std::min(counts.bad, counts.n)) + 0.5) /
         (static_cast<double>(counts.n) + 1);
}

constexpr double kRequestsMax = 1e7;

// `now` after `more` further requests at bad rate p.
Effective extrapolated(const Effective& now, double p, double more, double dispersion) {
  const double v = std::max(1.0, dispersion);
  return {now.bad + p * more / v, now.good + (1 - p) * more / v};
}

// Smallest number of further requests, to 2 %, for which `decided` holds.
template <typename Decided>
std::optional<std::uint64_t> first_decided(const Decided& decided) {
  if (decided(0.0)) return 0;
  double low = 0;
  double high = 64;
  for (; !decided(high); high *= 2) {
    if (high > kRequestsMax) return std::nullopt;
    low = high;
  }
  while (high - low > 1 + 0.02 * high) {
    const double middle = 0.5 * (low + high);
    (decided(middle) ? high : low) = middle;
  }
  return static_cast<std::uint64_t>(std::ceil(high));
}

}  // namespace

double log_e_above(const Counts& counts, double p0, double dispersion) {
  return log_e_up(effective(counts, dispersion), p0, kAbove);
}

double log_e_below(const Counts& counts, double p0, double dispersion) {
  return log_e_down(effective(counts, dispersion), p0, kBelow);
}

Interval confidence_sequence(const Counts& counts, double alpha, double dispersion) {
  ARQON_ASSERT(alpha > 0 && alpha < 1);
  const PointEvidence evidence(effective(counts, dispersion));
  const double level = -std::log(alpha);
  return {evidence.crossing(0, level), evidence.crossing(1, level)};
}

Comparison compare(const Counts& incumbent, const Counts& challenger, double margin,
                   double dispersion) {
  ARQON_ASSERT(margin >= 0 && margin < 1);
  return compare_effective(effective(incumbent, dispersion), effective(challenger, dispersion),
                           margin);
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kFail:
      return "fail";
    case Verdict::kInconclusive:
      return "inconclusive";
  }
  return "inconclusive";
}

Verdict judge(const Counts& counts, double p0, double alpha, double dispersion) {
  const double level = -std::log(alpha);
  if (log_e_above(counts, p0, dispersion) >= level) return Verdict::kFail;
  if (log_e_below(counts, p0, dispersion) >= level) return Verdict::kPass;
  return Verdict::kInconclusive;
}

Verdict judge(const Comparison& comparison, double alpha) {
  const double level = -std::log(alpha);
  if (comparison.log_e_worse >= level) return Verdict::kFail;
  if (comparison.log_e_not_worse >= level) return Verdict::kPass;
  return Verdict::kInconclusive;
}

std::optional<std::uint64_t> requests_needed(const Counts& counts, double p0, double alpha,
                                             double dispersion) {
  const double level = -std::log(alpha);
  const double p = planning_rate(counts);
  const Effective now = effective(counts, dispersion);
  return first_decided([&](double more) {
    const Effective later = extrapolated(now, p, more, dispersion);
    return log_e_up(later, p0, kAbove) >= level || log_e_down(later, p0, kBelow) >= level;
  });
}

std::optional<std::uint64_t> requests_needed(const Counts& incumbent, const Counts& challenger,
                                             double margin, double alpha, double dispersion) {
  const double p = planning_rate(challenger);
  const Effective fixed = effective(incumbent, dispersion);
  const Effective now = effective(challenger, dispersion);
  return first_decided([&](double more) {
    const Effective later = extrapolated(now, p, more, dispersion);
    return judge(compare_effective(fixed, later, margin), alpha) != Verdict::kInconclusive;
  });
}

Dispersion::Dispersion(double half_life) : decay_(std::exp2(-1 / half_life)) {
  ARQON_ASSERT(half_life > 0);
}

void Dispersion::observe(const Counts& block) {
  if (block.n == 0) return;
  if (last_.n > 0) {
    const auto a = static_cast<double>(last_.n);
    const auto b = static_cast<double>(block.n);
    const double difference = block.rate() - last_.rate();
    Counts both = last_;
    both += block;
    // For independent requests both sums have the same mean.
    squared_ = decay_ * squared_ + difference * difference * a * b / (a + b);
    expected_ = decay_ * expected_ + both.rate() * (1 - both.rate());
    weight_ = decay_ * weight_ + 1;
  }
  last_ = block;
}

double Dispersion::value() const {
  if (expected_ <= 0) return 1;
  // Ten blocks' worth of belief in independence keep the first few from deciding.
  const double prior = 10 * expected_ / weight_;
  return std::max(1.0, (squared_ + prior) / (expected_ + prior));
}

}  // namespace arqon::stats
