// Measured acceptance of draft tokens by data set and method.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace arqon::workload {

// Conditional acceptance at position 1..5: of the drafts whose predecessors were all accepted. It
// rises with the position where easy stretches survive; beyond 5 the last value holds.
// Llama-3.1-8B-Instruct, per-token logs of SpecDecode-Bench.
struct AcceptanceRow {
  std::string_view name;
  std::array<double, 5> conditional;
  double quality_sigma;  // spread between requests, on the logit
  // n-gram drafts exist only while the text repeats itself: a two-state chain, match or no match,
  // with this lag-1 autocorrelation; 0 = a draft at every step.
  double match_persistence;
};

inline constexpr std::array<AcceptanceRow, 7> kAcceptanceRows = {{
    {"sharegpt-eagle", {.60, .59, .64, .69, .73}, .20, 0},
    {"gsm8k-eagle", {.66, .65, .63, .65, .62}, .15, 0},
    {"cnn-eagle", {.63, .62, .64, .66, .68}, .15, 0},
    {"instructcoder-eagle", {.59, .63, .69, .74, .76}, .25, 0},
    {"sharegpt-ngram", {.12, .76, .79, .85, .87}, .25, .23},
    {"gsm8k-ngram", {.08, .56, .60, .64, .71}, .15, .03},
    {"instructcoder-ngram", {.26, .88, .92, .94, .94}, .25, .53},
}};

inline std::span<const AcceptanceRow> acceptance_rows() { return kAcceptanceRows; }
// 1 + index of the row, the value of Request::acceptance_row; 0 when unknown.
inline std::size_t find_acceptance_row(std::string_view name) {
  for (std::size_t i = 0; i < kAcceptanceRows.size(); ++i) {
    if (kAcceptanceRows[i].name == name) return i + 1;
  }
  return 0;
}

}  // namespace arqon::workload
