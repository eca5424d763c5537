#include "arqon/sim/speculation.h"

#include <algorithm>
#include <cmath>

#include "arqon/workload/acceptance_rows.h"

namespace arqon::sim {
namespace {

constexpr std::int64_t kDrawsPerPosition = 128;  // above the largest k

double logit(double p) { return std::log(p / (1 - p)); }
double unit(const Rng& draws, std::int64_t index) {
  return static_cast<double>(draws.at(static_cast<std::uint64_t>(index)) >> 11) * 0x1.0p-53;
}

}  // namespace

std::int64_t speculation_for(std::span<const SpeculationBand> bands, std::int64_t decodes,
                             std::int64_t k) {
  if (bands.empty()) return k;
  for (const SpeculationBand& band : bands) {
    if (decodes <= band.batch_max) return std::min(k, band.k);
  }
  return 0;
}

AcceptanceCurve::AcceptanceCurve(double first, std::size_t row) : first_(first), row_(row) {
  if (row_ == 0 || first_ <= 0 || first_ >= 1) {
    row_ = 0;
    return;
  }
  shift_ = logit(first_) - logit(workload::kAcceptanceRows[row_ - 1].conditional[0]);
}

double AcceptanceCurve::at(std::int64_t position) const {
  if (row_ == 0 || position <= 1) return first_;
  const auto& row = workload::kAcceptanceRows[row_ - 1].conditional;
  const auto last = static_cast<std::int64_t>(row.size());
  const double a = row[static_cast<std::size_t>(std::min(position, last) - 1)];
  return 1 / (1 + std::exp(-(logit(a) + shift_)));
}

// While the text repeats itself the first draft is as good as the second; what is left of the
// difference between a_1 and a_2 is that at most steps nothing matches.
double AcceptanceCurve::match_share() const {
  if (row_ == 0 || workload::kAcceptanceRows[row_ - 1].match_persistence <= 0) return 1;
  return std::min(1.0, first_ / at(2));
}

double AcceptanceCurve::match_after(bool matched) const {
  const double share = match_share();
  if (share >= 1) return 1;
  const double persistence = workload::kAcceptanceRows[row_ - 1].match_persistence;
  return matched ? share + persistence * (1 - share) : share * (1 - persistence);
}

double tokens_per_step(const AcceptanceCurve& curve, std::int64_t k) {
  double sum = 1, all = 1;
  for (std::int64_t j = 1; j <= k; ++j) {
    all *= curve.at(j);
    sum += all;
  }
  return sum;
}

std::int64_t draw_tokens(const AcceptanceCurve& curve, std::int64_t k, const Rng& draws,
                         std::int64_t position, Match& match) {
  const std::int64_t first = position * kDrawsPerPosition;
  const double share = curve.match_share();
  if (share < 1) {
    const double chance =
        match == Match::kUnknown ? share : curve.match_after(match == Match::kYes);
    match = unit(draws, first) < chance ? Match::kYes : Match::kNo;
    if (match == Match::kNo) return 1;
  }
  std::int64_t tokens = 1;
  for (std::int64_t j = 1; j <= k; ++j) {
    const double a = j == 1 && share < 1 ? curve.at(2) : curve.at(j);
    if (unit(draws, first + j) >= a) break;
    ++tokens;
  }
  return tokens;
}

}  // namespace arqon::sim
