// Recent outcomes second by second, and the questions the loop asks of them.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "arqon/serving/engine.h"
#include "arqon/stats/sequential.h"

namespace arqon::control {

// What one class did in one tick.
struct Tally {
  std::uint64_t n = 0, bad = 0;
  std::array<std::uint64_t, serving::kLimits> bad_by{};
  std::uint64_t arrived = 0, prompt_tokens = 0;

  Tally& operator+=(const Tally& other);
};

// A class whose share of bad requests is too high, and the limit that most of them broke.
struct Breach {
  std::size_t class_index = 0;
  serving::Limit limit = serving::Limit::kNone;
  Tally tally;         // over the span that showed it
  double seconds = 0;  // length of that span
};

// A bounded memory of ticks under one setting. Not thread-safe.
class Evidence {
 public:
  explicit Evidence(std::vector<serving::Slo> classes);

  // Adds what happened between two observations of one epoch.
  void add(const serving::Observation& from, const serving::Observation& to);
  // Forgets outcomes: a new setting is in force. The burstiness learned so far is kept.
  void clear() { ticks_.clear(); }

  // Always-valid alarm that some class misses `share_of_budget` times its error budget, over the
  // last few, tens and hundreds of seconds at once; the worst class first.
  std::optional<Breach> breach(double share_of_budget, double alpha) const;
  // Outcomes of all classes over the last `seconds`.
  stats::Counts total(double seconds) const;
  Tally tally(std::size_t class_index, double seconds) const;
  // Bad requests in excess of `share_of_budget` of the error budget in the last tick.
  double excess_of_last_tick(double share_of_budget) const;
  double dispersion() const { return dispersion_.value(); }
  double seconds() const { return static_cast<double>(ticks_.size()) * tick_seconds_; }

 private:
  static constexpr std::size_t kTicksMax = 900;
  std::vector<serving::Slo> classes_;
  std::deque<std::vector<Tally>> ticks_;
  double tick_seconds_ = 1;
  stats::Dispersion dispersion_;
  stats::Counts block_;  // of the dispersion's open block
  int block_ticks_ = 0;
};

}  // namespace arqon::control
