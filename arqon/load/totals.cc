// From rows to ledgers and quantiles.
#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/load/load.h"

namespace arqon::load {
namespace {

using serving::Limit;

constexpr double kBinSeconds = 300;
constexpr double kBinsMax = 1e6;
constexpr std::uint64_t kBinArrivalsMin = 100;

struct Columns {
  std::vector<float> ttft, tpot, gap, e2e;

  void add(const serving::RequestOutcome& request) {
    const auto put = [](std::vector<float>& column, double ms) {
      if (ms >= 0) column.push_back(static_cast<float>(ms));
    };
    put(ttft, request.ttft_ms);
    put(tpot, request.tpot_ms);
    put(gap, request.max_gap_ms);
    put(e2e, request.e2e_ms);
  }
  template <typename Target>
  void fill(Target& target) {
    target.ttft_ms = serving::quantiles_of(ttft);
    target.tpot_ms = serving::quantiles_of(tpot);
    target.max_gap_ms = serving::quantiles_of(gap);
    target.e2e_ms = serving::quantiles_of(e2e);
  }
};

struct Bin {
  std::uint64_t arrived = 0, good = 0;
};

double worst_share(const std::vector<Bin>& bins) {
  double worst = 1;
  for (const Bin& bin : bins) {
    if (bin.arrived < kBinArrivalsMin) continue;
    worst = std::min(worst, static_cast<double>(bin.good) / static_cast<double>(bin.arrived));
  }
  return worst;
}

void enter(const Row& row, serving::ClassResult& result) {
  serving::Ledger& ledger = result.ledger;
  ++ledger.arrived;
  if (!row.ended) {
    ++ledger.unfinished;
  } else if (row.broke == Limit::kNone) {
    ++ledger.good;
  } else if (row.broke == Limit::kRejected) {
    ++ledger.rejected;
  } else {
    ++ledger.late;
    ++result.late_by[static_cast<std::size_t>(row.broke)];
  }
}

}  // namespace

std::string_view to_string(Failure failure) {
  switch (failure) {
    case Failure::kNone: return "none";
    case Failure::kConnection: return "connection";
    case Failure::kRefused: return "refused";
    case Failure::kStatus: return "status";
    case Failure::kError: return "error";
    case Failure::kNoTokens: return "no_tokens";
    case Failure::kShort: return "short";
    case Failure::kBroken: return "broken";
    case Failure::kTimeout: return "timeout";
    case Failure::kCancelled: return "cancelled";
  }
  return "none";
}

serving::RequestOutcome outcome_of(const Row& row) {
  serving::RequestOutcome out;
  using End = serving::RequestOutcome::End;
  if (row.failure == Failure::kRefused) {
    out.end = End::kRejected;
  } else if (row.failure != Failure::kNone) {
    out.end = End::kFailed;
  }
  out.prompt_tokens = row.prompt_tokens;
  out.output_tokens = row.output_tokens;
  if (row.failure != Failure::kNone) return out;
  const auto since_due = [&](double t_s) {
    return t_s == Row::kNever ? -1 : std::max(0.0, t_s - row.arrival_s) * 1e3;
  };
  out.ttft_ms = since_due(row.first_token_s);
  out.e2e_ms = since_due(row.last_token_s);
  if (row.output_tokens > 1 && row.first_token_s != Row::kNever) {
    out.tpot_ms = (row.last_token_s - row.first_token_s) * 1e3 / (row.output_tokens - 1.0);
    out.max_gap_ms = row.max_gap_ms;
  }
  return out;
}

serving::Totals totals_of(std::span<const Row> rows, const std::vector<serving::Slo>& classes,
                          double from_s, double to_s) {
  serving::Totals totals;
  Columns all;
  std::vector<Columns> columns(classes.size());
  std::vector<Bin> bins;
  for (const serving::Slo& slo : classes) totals.classes.emplace_back().name = slo.name;
  double prompt_tokens = 0, output_tokens = 0;
  for (const Row& row : rows) {
    if (row.warmup || row.arrival_s < from_s || row.arrival_s >= to_s) continue;
    ARQON_ASSERT(row.request_class < classes.size());
    enter(row, totals.classes[row.request_class]);
    const double place = std::max(0.0, row.arrival_s) / kBinSeconds;
    const auto bin = static_cast<std::size_t>(std::min(place, kBinsMax));
    if (bin >= bins.size()) bins.resize(bin + 1);
    ++bins[bin].arrived;
    prompt_tokens += row.prompt_tokens;
    if (!row.ended || row.failure != Failure::kNone) continue;
    output_tokens += row.output_tokens;
    const serving::RequestOutcome outcome = outcome_of(row);
    columns[row.request_class].add(outcome);
    all.add(outcome);
    if (row.broke != Limit::kNone) continue;
    ++bins[bin].good;
    totals.good_tokens += row.output_tokens;
  }
  for (std::size_t c = 0; c < classes.size(); ++c) {
    columns[c].fill(totals.classes[c]);
    totals.ledger += totals.classes[c].ledger;
  }
  all.fill(totals);
  totals.attainment = totals.ledger.attainment();
  totals.worst_5_min_attainment = worst_share(bins);
  if (const double span = to_s - from_s; span > 0 && std::isfinite(span)) {
    totals.output_tokens_per_s = output_tokens / span;
    totals.input_tokens_per_s = prompt_tokens / span;
  }
  return totals;
}

}  // namespace arqon::load
