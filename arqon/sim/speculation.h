// How many draft tokens are accepted (equation page 2.6).
#pragma once

#include <cstdint>
#include <span>

#include "arqon/base/rng.h"

namespace arqon::sim {

// Engines draft less when many sequences decode: up to `batch_max` of them, k tokens.
struct SpeculationBand {
  std::int64_t batch_max = 1;
  std::int64_t k = 0;
};

// Draft tokens per step: `k`, or less where a band of the sorted table says so; none beyond it.
std::int64_t speculation_for(std::span<const SpeculationBand> bands, std::int64_t decodes,
                             std::int64_t k);

// A request's chances. Its quality is a shift on the logit: `first` is its own a_1, and row r's
// a_2, a_3, ... are shifted by as much as r's a_1 is. Row 0: the same chance at every position.
class AcceptanceCurve {
 public:
  AcceptanceCurve(double first, std::size_t row);
  // a_j, position j >= 1, given that all before it were accepted.
  double at(std::int64_t position) const;
  // Share of the steps at which there is a draft at all; below 1 for n-gram rows.
  double match_share() const;
  // Chance of a draft after one, and of one after none.
  double match_after(bool matched) const;

 private:
  double first_;
  std::size_t row_;
  double shift_ = 0;
};

// E(k) = 1 + sum over m <= k of a_1 * ... * a_m: mean tokens of a step.
double tokens_per_step(const AcceptanceCurve& curve, std::int64_t k);

// Whether the text repeated itself at the last step of a sequence; n-gram rows only.
enum class Match : std::uint8_t { kUnknown, kNo, kYes };

// Tokens of one step, drawn: 1 + accepted drafts. `position` (tokens of context) numbers the draws,
// so that the same token of the same request meets the same chance whatever was scheduled.
std::int64_t draw_tokens(const AcceptanceCurve& curve, std::int64_t k, const Rng& draws,
                         std::int64_t position, Match& match);

}  // namespace arqon::sim
