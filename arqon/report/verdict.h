// What a comparison came to, in plain words: for the report's first screen and for the terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/documents/results.h"
#include "arqon/documents/scenario.h"

namespace arqon::report {

enum class Tone : std::uint8_t { kGain, kEven, kLoss, kNothingToGain, kUnknown };
// "Gain", "Even", "Loss", "Nothing to gain", "No verdict".
std::string_view to_string(Tone tone);

// Plain text throughout (not escaped).
struct Verdict {
  Tone tone = Tone::kUnknown;
  std::string headline;              // one sentence
  std::string changed;               // what changed?
  std::vector<std::string> why;      // why? one sentence per confirmed change, or why nothing held
  std::vector<std::string> brought;  // what did it bring? one sentence per baseline
  std::string hindsight;             // what would hindsight have done?
};

// ArqonHPO against the careful team's setting: yesterday where it ran, else the default. Rules of
// the ranking: missing hindsight's share of good requests by more than 0.1 point loses to not
// missing it; then the scenario's measure, where 0.1 point of bad share or 1 % of the rest is a
// tie.
Verdict verdict(const documents::TuneResult& result, const documents::Scenario& scenario);

// -1 when `a` is worse than `b`, 0 a tie, +1 better, by that rule. `attainable`: hindsight's
// attainment, or 0 when it is not known.
struct Outcome {
  double attainment = 0, cost = 0, good_tokens = 0, latency_ms = 0;
};
int compare_outcomes(const Outcome& a, const Outcome& b, std::string_view measure,
                     double attainable);

// The scenario in one sentence: fleet, traffic, length, what may be tuned.
std::string scenario_sentence(const documents::Scenario& scenario);

}  // namespace arqon::report
