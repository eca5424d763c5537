#include "arqon/control/evidence.h"

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::control {
namespace {

// Spans looked at for a breach. Four looks share the error probability.
constexpr std::array<double, 4> kSpans{5, 20, 80, 320};
constexpr int kDispersionBlockTicks = 5;

serving::Limit most_broken(const Tally& tally) {
  std::size_t worst = 1;
  for (std::size_t i = 1; i < serving::kLimits; ++i) {
    if (tally.bad_by[i] > tally.bad_by[worst]) worst = i;
  }
  return static_cast<serving::Limit>(worst);
}

}  // namespace

Tally& Tally::operator+=(const Tally& other) {
  n += other.n;
  bad += other.bad;
  for (std::size_t i = 0; i < bad_by.size(); ++i) bad_by[i] += other.bad_by[i];
  arrived += other.arrived;
  prompt_tokens += other.prompt_tokens;
  return *this;
}

Evidence::Evidence(std::vector<serving::Slo> classes) : classes_(std::move(classes)) {}

void Evidence::add(const serving::Observation& from, const serving::Observation& to) {
  ARQON_ASSERT(from.epoch == to.epoch && to.classes.size() == classes_.size());
  std::vector<Tally> tick(classes_.size());
  for (std::size_t c = 0; c < tick.size(); ++c) {
    const serving::ClassCounters& a = from.classes[c];
    const serving::ClassCounters& b = to.classes[c];
    tick[c].bad = b.bad - a.bad;
    tick[c].n = b.good - a.good + tick[c].bad;
    for (std::size_t i = 0; i < serving::kLimits; ++i) {
      tick[c].bad_by[i] = b.bad_by[i] - a.bad_by[i];
    }
    tick[c].arrived = b.arrived - a.arrived;
    tick[c].prompt_tokens = b.prompt_tokens - a.prompt_tokens;
  }
  tick_seconds_ = std::max(1e-3, to_seconds(to.at - from.at));
  for (const Tally& t : tick) block_ += stats::Counts{t.n, t.bad};
  if (++block_ticks_ == kDispersionBlockTicks) {
    dispersion_.observe(block_);
    block_ = {};
    block_ticks_ = 0;
  }
  ticks_.push_back(std::move(tick));
  if (ticks_.size() > kTicksMax) ticks_.pop_front();
}

Tally Evidence::tally(std::size_t class_index, double seconds) const {
  const auto wanted =
      static_cast<std::size_t>(std::llround(std::max(0.0, seconds) / tick_seconds_));
  Tally sum;
  for (std::size_t i = 0; i < std::min(wanted, ticks_.size()); ++i) {
    sum += ticks_[ticks_.size() - 1 - i][class_index];
  }
  return sum;
}

stats::Counts Evidence::total(double seconds) const {
  stats::Counts counts;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    const Tally t = tally(c, seconds);
    counts += stats::Counts{t.n, t.bad};
  }
  return counts;
}

std::optional<Breach> Evidence::breach(double share_of_budget, double alpha) const {
  std::optional<Breach> worst;
  double worst_share = 0;
  const double threshold = std::log(static_cast<double>(kSpans.size() * classes_.size()) / alpha);
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    const double allowed = share_of_budget * std::max(1e-4, 1 - classes_[c].attainment);
    for (const double span : kSpans) {
      const Tally t = tally(c, span);
      if (t.bad == 0) continue;
      if (stats::log_e_above({t.n, t.bad}, allowed, dispersion_.value()) < threshold) continue;
      const double share = static_cast<double>(t.bad) / static_cast<double>(t.n);
      if (worst && share <= worst_share) continue;
      worst = Breach{c, most_broken(t), t, std::min(span, seconds())};
      worst_share = share;
    }
  }
  return worst;
}

double Evidence::excess_of_last_tick(double share_of_budget) const {
  if (ticks_.empty()) return 0;
  double excess = 0;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    const Tally& t = ticks_.back()[c];
    const double allowed = share_of_budget * (1 - classes_[c].attainment);
    excess += static_cast<double>(t.bad) - allowed * static_cast<double>(t.n);
  }
  return excess;
}

}  // namespace arqon::control
