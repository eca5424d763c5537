// What became of requests: limits per class, the ledger, and reasons.
// Rules: docs/reference/scenario.md, "Outcomes". Every request ends in exactly one ledger row.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace arqon::serving {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// Limits of one class of requests, all in ms; a request is good when it meets every one.
struct Slo {
  std::string name;                    // class name, e.g. "chat"
  double ttft_ms = kNoLimit;           // base of the time-to-first-token limit
  double ttft_ms_per_prompt_token = 0; // added per prompt token
  double tpot_ms = kNoLimit;           // mean time per output token after the first
  double max_gap_ms = kNoLimit;        // largest pause between tokens
  double e2e_ms = kNoLimit;
  double attainment = 0.99;            // target share of good requests, in (0, 1]
};

// Which limit a request broke first. kCap: cut by our max_tokens; kRejected: refused, shed or lost;
// kQuality: answered by a model that was not good enough for it.
enum class Limit : std::uint8_t { kNone, kTtft, kTpot, kGap, kE2e, kCap, kRejected, kQuality };
constexpr std::size_t kLimits = 8;
// "ttft", "tpot", "gap", "e2e", "cap", "rejected", "quality"
std::string_view to_string(Limit limit);

// Counts of requests by how they ended. arrived = good + late + cut + rejected + unfinished holds
// once a run has been drained; while it goes on, unfinished counts those in flight.
struct Ledger {
  std::uint64_t arrived = 0;
  std::uint64_t good = 0;
  std::uint64_t late = 0;
  std::uint64_t cut = 0;
  std::uint64_t rejected = 0;
  std::uint64_t unfinished = 0;

  // good / arrived; 1 when nothing arrived.
  double attainment() const;
  Ledger& operator+=(const Ledger& other);
  bool operator==(const Ledger&) const = default;
};

}  // namespace arqon::serving
