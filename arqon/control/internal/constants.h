// The loop's constants, shared by the files that implement it.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "arqon/base/time.h"
#include "arqon/stats/sequential.h"

namespace arqon::control::internal {

inline constexpr Duration kTick = std::chrono::seconds(1);
// Error probability of one verdict.
inline constexpr double kAlpha = 0.05;
inline constexpr double kTripAlpha = 0.002;
// A share of bad requests above this part of the error budget is worth an experiment.
inline constexpr double kAim = 0.5;
// First price of an experiment in bad requests beyond the aim; doubled by each one that fails.
inline constexpr double kPriceFirst = 20;
inline constexpr double kPriceMax = 5000;
// Verdicts are looked for after this many requests of the arm under test; a confirmation takes a
// whole window of them.
inline constexpr std::uint64_t kJudgedMin = 50;
// An experiment ends undecided after this many windows' worth of requests, and earlier when it is
// hardly better: (windows, greatest ratio of bad shares that is still worth waiting for).
inline constexpr std::uint64_t kWindowsMax = 16;
inline constexpr std::array<std::pair<std::uint64_t, double>, 3> kFutility{
    {{1, 0.95}, {2, 0.8}, {6, 0.9}}};
inline constexpr double kIncumbentSeconds = 240;
inline constexpr Duration kSettleMax = std::chrono::seconds(180);
inline constexpr Duration kQueueStill = std::chrono::seconds(5);
inline constexpr double kQueueSmoothing = 0.25;  // per second
inline constexpr double kQueueNoise = 3;         // requests
inline constexpr double kMixSeconds = 120;
inline constexpr double kMixSecondsMax = 900;
inline constexpr double kRegimeShort = 5;  // a regime of fewer spans than this was a swing
inline constexpr double kMixMoved = 0.2;   // of all requests
inline constexpr double kHealthySeconds = 300;
inline constexpr Duration kQuiet = std::chrono::seconds(5);
// Telemetry that stays silent for this long during an experiment ends it.
inline constexpr Duration kStaleMax = std::chrono::seconds(10);
inline constexpr Duration kRestoreEvery = std::chrono::seconds(2);
// Another setting than ours in force for this many ticks is somebody else's doing.
inline constexpr int kForeignTicks = 3;
// A proposal that nobody answers is withdrawn: traffic has moved on.
inline constexpr Duration kApprovalMax = std::chrono::minutes(30);
// A block of a switchback counts for at least this long, and is at least twice its settling.
inline constexpr Duration kBlockCounted = std::chrono::seconds(4);

inline double percent(const stats::Counts& c) { return 100 * c.rate(); }

}  // namespace arqon::control::internal
