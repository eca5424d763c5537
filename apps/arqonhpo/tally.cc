#include "apps/arqonhpo/tally.h"

#include <algorithm>

namespace arqon::app {
namespace {

// Good requests of the worst stretch of at least this long with at least so many requests.
constexpr double kWorstSeconds = 300;
constexpr std::uint64_t kWorstRequests = 100;

// Counters never fall within an epoch; one that does says nothing.
std::uint64_t risen(std::uint64_t from, std::uint64_t to) { return to > from ? to - from : 0; }

void add_risen(const serving::ClassCounters& from, const serving::ClassCounters& to,
               serving::ClassCounters& sum) {
  sum.arrived += risen(from.arrived, to.arrived);
  sum.good += risen(from.good, to.good);
  sum.bad += risen(from.bad, to.bad);
  for (std::size_t i = 0; i < serving::kLimits; ++i) {
    sum.bad_by[i] += risen(from.bad_by[i], to.bad_by[i]);
  }
  sum.prompt_tokens += risen(from.prompt_tokens, to.prompt_tokens);
  sum.output_tokens += risen(from.output_tokens, to.output_tokens);
  sum.good_tokens += risen(from.good_tokens, to.good_tokens);
  sum.ttft_ms += to.ttft_ms.since(from.ttft_ms);
  sum.gap_ms += to.gap_ms.since(from.gap_ms);
  sum.tpot_ms += to.tpot_ms.since(from.tpot_ms);
}

sim::Quantiles quantiles(const stats::Histogram& h) {
  return {h.mean(),         h.quantile(0.5),  h.quantile(0.9),
          h.quantile(0.95), h.quantile(0.99), h.count()};
}

serving::Ledger ledger(const serving::ClassCounters& c) {
  const auto by = [&](serving::Limit limit) { return c.bad_by[static_cast<std::size_t>(limit)]; };
  serving::Ledger out;
  out.arrived = c.arrived;
  out.good = c.good;
  out.cut = by(serving::Limit::kCap);
  out.rejected = by(serving::Limit::kRejected);
  out.late = risen(out.cut + out.rejected, c.bad);
  out.unfinished = risen(c.good + c.bad, c.arrived);
  return out;
}

double worst_share(const control::RunRecord& record) {
  double worst = 1, seconds = 0;
  std::uint64_t good = 0, bad = 0;
  for (const control::WindowRecord& w : record.windows) {
    seconds += w.seconds;
    for (const control::ClassWindow& c : w.classes) {
      good += c.good;
      bad += c.bad;
    }
    const bool last = &w == &record.windows.back();
    if ((seconds < kWorstSeconds && !last) || good + bad < kWorstRequests) continue;
    worst = std::min(worst, static_cast<double>(good) / static_cast<double>(good + bad));
    seconds = 0;
    good = bad = 0;
  }
  return worst;
}

}  // namespace

serving::Observation Tally::observe(serving::Scope scope) {
  serving::Observation now = engine_.observe(scope);
  if (scope.replica < 0 && now.fresh) add(now);
  return now;
}

void Tally::add(const serving::Observation& now) {
  if (!last_) {
    first_ = now.at;
    sums_.resize(now.classes.size());
  } else {
    // After a restart the counters began at nothing.
    const bool same = now.epoch == last_->epoch;
    for (std::size_t c = 0; c < std::min(sums_.size(), now.classes.size()); ++c) {
      add_risen(same ? last_->classes[c] : serving::ClassCounters{}, now.classes[c], sums_[c]);
    }
    paid_dollars_ += std::max(0.0, now.paid_dollars - (same ? last_->paid_dollars : 0.0));
  }
  last_ = now;
}

sim::Totals Tally::totals(const control::RunRecord& record) const {
  sim::Totals out;
  serving::ClassCounters all;
  const auto& slos = engine_.capabilities().classes;
  for (std::size_t c = 0; c < sums_.size() && c < slos.size(); ++c) {
    sim::ClassResult result{.name = slos[c].name, .ledger = ledger(sums_[c])};
    std::copy(sums_[c].bad_by.begin(), sums_[c].bad_by.end(), result.late_by);
    result.ttft_ms = quantiles(sums_[c].ttft_ms);
    result.tpot_ms = quantiles(sums_[c].tpot_ms);
    result.max_gap_ms = quantiles(sums_[c].gap_ms);
    out.ledger += result.ledger;
    out.classes.push_back(std::move(result));
    add_risen({}, sums_[c], all);
  }
  out.attainment = out.ledger.attainment();
  out.worst_5_min_attainment = worst_share(record);
  out.good_tokens = all.good_tokens;
  out.paid_dollars = paid_dollars_;
  if (all.good_tokens > 0) {
    out.dollars_per_million_good_tokens =
        1e6 * paid_dollars_ / static_cast<double>(all.good_tokens);
  }
  out.ttft_ms = quantiles(all.ttft_ms);
  out.tpot_ms = quantiles(all.tpot_ms);
  out.max_gap_ms = quantiles(all.gap_ms);
  const double seconds = last_ ? to_seconds(last_->at - first_) : 0;
  if (seconds > 0) {
    out.output_tokens_per_s = static_cast<double>(all.output_tokens) / seconds;
    out.input_tokens_per_s = static_cast<double>(all.prompt_tokens) / seconds;
  }
  out.simulated_s = seconds;
  return out;
}

}  // namespace arqon::app
