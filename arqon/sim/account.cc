#include "arqon/sim/account.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "arqon/base/assert.h"

namespace arqon::sim {
namespace {

using serving::Limit;

constexpr Ps kNever = std::numeric_limits<Ps>::max();
constexpr Ps kBin = 300 * kPsPerSecond;
constexpr std::uint64_t kBinArrivalsMin = 100;

Ps limit_ps(double ms) {
  // Anything beyond a day of picoseconds is no limit in practice and must not overflow.
  return ms < 1e8 ? std::llround(ms * static_cast<double>(kPsPerMs)) : kNever;
}

float ms(Ps t) {
  return static_cast<float>(static_cast<double>(t) / static_cast<double>(kPsPerMs));
}

Ps ps_of(const workload::Request& request) { return request.arrival.count() * 1000; }

struct Columns {
  std::vector<float> ttft, tpot, gap, e2e;

  void add(const std::vector<Sample>& samples) {
    for (const Sample& s : samples) {
      ttft.push_back(s.ttft);
      if (s.tpot >= 0) {
        tpot.push_back(s.tpot);
        gap.push_back(s.gap);
      }
      e2e.push_back(s.e2e);
    }
  }
  template <typename Target>
  void fill(Target& target) {
    target.ttft_ms = serving::quantiles_of(ttft);
    target.tpot_ms = serving::quantiles_of(tpot);
    target.max_gap_ms = serving::quantiles_of(gap);
    target.e2e_ms = serving::quantiles_of(e2e);
  }
};

}  // namespace

Account::Account(const std::vector<serving::Slo>& classes, const workload::Trace& trace,
                 std::size_t replicas, bool record_requests)
    : trace_(trace),
      classes_(classes),
      counters_(classes.size()),
      by_replica_(replicas, counters_),
      samples_(classes.size()) {
  gap_limit_min_ = kNever;
  for (const serving::Slo& slo : classes) {
    constexpr auto kUnit = static_cast<double>(kPsPerMs);
    limits_.push_back({slo.ttft_ms * kUnit, slo.ttft_ms_per_prompt_token * kUnit,
                       slo.tpot_ms * kUnit, limit_ps(slo.max_gap_ms), limit_ps(slo.e2e_ms)});
    gap_limit_min_ = std::min(gap_limit_min_, limits_.back().gap);
    judges_e2e_ = judges_e2e_ || limits_.back().e2e != kNever;
    results_.emplace_back().name = slo.name;
  }
  // Room for everything that can end, so that the loop never asks for memory.
  std::vector<std::size_t> of_class(classes.size(), 0);
  for (const workload::Request& request : trace) ++of_class[request.request_class];
  for (std::size_t c = 0; c < classes.size(); ++c) samples_[c].reserve(of_class[c]);
  if (!trace.empty()) bins_.reserve(static_cast<std::size_t>(ps_of(trace.back()) / kBin) + 8);
  if (!record_requests) return;
  for (const workload::Request& request : trace) {
    RequestRow& row = rows_.emplace_back();
    row.arrival_s = to_seconds(request.arrival);
    row.request_class = request.request_class;
    row.prompt_tokens = request.prompt_tokens;
    row.output_tokens = request.output_tokens;
  }
}

Account::Bin& Account::bin_at(Ps arrival) {
  const auto bin = static_cast<std::size_t>(arrival / kBin);
  if (bin >= bins_.size()) bins_.resize(bin + 1);
  return bins_[bin];
}

void Account::arrive(std::size_t trace_index, Ps t) {
  const workload::Request& request = trace_[trace_index];
  serving::ClassCounters& counters = counters_[request.request_class];
  ++counters.arrived;
  counters.prompt_tokens += request.prompt_tokens;
  ++results_[request.request_class].ledger.arrived;
  ++arrived_;
  ++bin_at(t).arrived;
  if (!rows_.empty()) {
    rows_[trace_index].arrival_s = static_cast<double>(t) / static_cast<double>(kPsPerSecond);
  }
}

void Account::arrive_until(Ps t) {
  while (next_arrival_ < trace_.size()) {
    const Ps at = trace_[next_arrival_].arrival.count() * 1000;
    if (at > t) return;
    arrive(next_arrival_++, at);
  }
}

void Account::route(const Sequence& sequence) {
  serving::ClassCounters& counters = replica_counters(sequence);
  ++counters.arrived;
  counters.prompt_tokens += sequence.prompt;
}

void Account::mark(Sequence& sequence, Limit limit) {
  if (sequence.broke != Limit::kNone) return;
  sequence.broke = limit;
  for (serving::ClassCounters* counters :
       {&counters_[sequence.request_class], &replica_counters(sequence)}) {
    ++counters->bad;
    ++counters->bad_by[static_cast<std::size_t>(limit)];
  }
}

bool Account::ttft_broken(const Sequence& sequence, Ps age) const {
  const Limits& limits = limits_[sequence.request_class];
  return static_cast<double>(age) >
         limits.ttft + limits.ttft_per_token * static_cast<double>(sequence.prompt);
}

void Account::judge_waiting(Sequence& sequence, Ps now) {
  if (sequence.broke != Limit::kNone) return;
  const Ps age = now - sequence.arrival;
  if (sequence.first_token == 0 && ttft_broken(sequence, age)) mark(sequence, Limit::kTtft);
  if (sequence.last_token != 0 && now - sequence.last_token > limits_[sequence.request_class].gap) {
    mark(sequence, Limit::kGap);
  }
  if (age > limits_[sequence.request_class].e2e) mark(sequence, Limit::kE2e);
}

void Account::judge_decoding(Sequence& sequence, Ps gap, Ps now) {
  if (sequence.broke != Limit::kNone) return;
  const Limits& limits = limits_[sequence.request_class];
  if (gap > limits.gap) mark(sequence, Limit::kGap);
  if (now - sequence.arrival > limits.e2e) mark(sequence, Limit::kE2e);
}

Ps Account::queue_deadline(const Sequence& sequence, double factor) const {
  const Limits& limits = limits_[sequence.request_class];
  const double after =
      factor * (limits.ttft + limits.ttft_per_token * static_cast<double>(sequence.prompt));
  return after < 1e18 ? sequence.queued_at + std::llround(after) : kNever;
}

void Account::check() const {
  std::uint64_t arrived = 0, ended = 0;
  for (std::size_t c = 0; c < results_.size(); ++c) {
    const serving::Ledger& ledger = results_[c].ledger;
    arrived += ledger.arrived;
    ended += ledger.good + ledger.late + ledger.cut + ledger.rejected;
    ARQON_ASSERT(counters_[c].good == ledger.good);
    ARQON_ASSERT(counters_[c].good + counters_[c].bad <= counters_[c].arrived);
  }
  ARQON_ASSERT(arrived == arrived_ && ended == ended_);
}

void Account::first_token(Sequence& sequence) {
  const Ps ttft = sequence.first_token - sequence.arrival;
  if (ttft_broken(sequence, ttft)) mark(sequence, Limit::kTtft);
  counters_[sequence.request_class].ttft_ms.record(static_cast<double>(ms(ttft)));
}

void Account::finish(Sequence& sequence, Ps now, Ps gap, int replica) {
  const Limits& limits = limits_[sequence.request_class];
  serving::ClassCounters& counters = counters_[sequence.request_class];
  ClassResult& result = results_[sequence.request_class];
  const Ps e2e = now - sequence.arrival;
  Sample sample{ms(sequence.first_token - sequence.arrival), -1.0F, 0.0F, ms(e2e)};
  if (gap > limits.gap) mark(sequence, Limit::kGap);
  if (e2e > limits.e2e) mark(sequence, Limit::kE2e);
  if (sequence.output > 1) {
    const double tpot = static_cast<double>(now - sequence.first_token) /
                        (static_cast<double>(sequence.output) - 1);
    if (tpot > limits.tpot) mark(sequence, Limit::kTpot);
    sample.tpot = static_cast<float>(tpot / static_cast<double>(kPsPerMs));
    sample.gap = ms(gap);
    counters.tpot_ms.record(static_cast<double>(sample.tpot));
    counters.gap_ms.record(static_cast<double>(sample.gap));
  }
  if (sequence.cut) mark(sequence, Limit::kCap);
  if (sequence.unfit) mark(sequence, Limit::kQuality);
  counters.output_tokens += sequence.output;
  replica_counters(sequence).output_tokens += sequence.output;
  if (sequence.cut) {
    ++result.ledger.cut;
  } else if (sequence.broke != Limit::kNone) {
    ++result.ledger.late;
    ++result.late_by[static_cast<std::size_t>(sequence.broke)];
  } else {
    ++result.ledger.good;
    ++counters.good;
    counters.good_tokens += sequence.output;
    ++replica_counters(sequence).good;
    replica_counters(sequence).good_tokens += sequence.output;
    ++bin_at(sequence.arrival).good;
  }
  ++ended_;
  samples_[sequence.request_class].push_back(sample);
  if (!rows_.empty()) record_row(sequence, sample, replica);
}

void Account::record_row(const Sequence& sequence, const Sample& sample, int replica) {
  RequestRow& row = rows_[sequence.trace_index];
  row.output_tokens = sequence.output;
  row.ttft_ms = static_cast<double>(sample.ttft);
  row.tpot_ms = std::max(0.0, static_cast<double>(sample.tpot));
  row.max_gap_ms = static_cast<double>(sample.gap);
  row.e2e_ms = static_cast<double>(sample.e2e);
  row.broke = sequence.broke;
  row.replica = static_cast<std::int16_t>(replica);
}

void Account::reject(const Sequence& sequence, int replica) {
  Sequence refused = sequence;
  mark(refused, Limit::kRejected);
  ++results_[sequence.request_class].ledger.rejected;
  ++ended_;
  if (!rows_.empty()) {
    rows_[sequence.trace_index].broke = Limit::kRejected;
    rows_[sequence.trace_index].output_tokens = 0;
    rows_[sequence.trace_index].replica = static_cast<std::int16_t>(replica);
  }
}

void Account::fill(Totals& totals, double simulated_s) const {
  totals.classes = results_;
  Columns all;
  std::uint64_t output_tokens = 0, prompt_tokens = 0;
  for (std::size_t c = 0; c < results_.size(); ++c) {
    ClassResult& result = totals.classes[c];
    serving::Ledger& ledger = result.ledger;
    ledger.unfinished = ledger.arrived - ledger.good - ledger.late - ledger.cut - ledger.rejected;
    Columns columns;
    columns.add(samples_[c]);
    columns.fill(result);
    all.add(samples_[c]);
    totals.ledger += ledger;
    totals.good_tokens += counters_[c].good_tokens;
    output_tokens += counters_[c].output_tokens;
    prompt_tokens += counters_[c].prompt_tokens;
  }
  all.fill(totals);
  totals.attainment = totals.ledger.attainment();
  totals.worst_5_min_attainment = 1;
  for (const Bin& bin : bins_) {
    if (bin.arrived < kBinArrivalsMin) continue;
    totals.worst_5_min_attainment =
        std::min(totals.worst_5_min_attainment,
                 static_cast<double>(bin.good) / static_cast<double>(bin.arrived));
  }
  if (simulated_s > 0) {
    totals.output_tokens_per_s = static_cast<double>(output_tokens) / simulated_s;
    totals.input_tokens_per_s = static_cast<double>(prompt_tokens) / simulated_s;
  }
}

}  // namespace arqon::sim
