// The evidence on one change: a canary and a control that serve at the same time, and a verdict
// that stays valid however often one looks. Useful alone, for anybody's change.
//
// Three layers. In seconds: the error rate against its limit. In minutes: latency (mean of the
// logarithm) and the share of bad requests. At promotion: the tail (requests over the control's own
// p99) and non-inferiority of every class. Besides: does the canary get its share of requests, and
// the same mix? If not, the trial is invalid and fails.
// Requests are compared within their class (stratum) and block of time, never before against after:
// what hits both arms alike is no evidence. A request whose fate is not known yet is observed as
// bad the moment its age passes its limit (ageing.h), or overload would hide itself.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "arqon/base/assert.h"
#include "arqon/base/result.h"
#include "arqon/stats/canary_errors.h"
#include "arqon/stats/canary_latency.h"
#include "arqon/stats/canary_margin.h"
#include "arqon/stats/overdispersion.h"
#include "arqon/stats/sequential.h"
#include "arqon/stats/canary_share.h"

namespace arqon::stats {

struct TrialOptions {
  std::size_t classes = 1;       // 1 .. 32
  double share = 0.5;            // of requests that the router sends to the canary, in (0, 1)
  double margin = 0.005;         // of bad share that may be lost at most, in [0, 0.5]
  double error_limit = 0.001;    // share of errors that is accepted, in (0, 1)
  double quantile = 0.99;        // the tail that is watched, in (0, 1)
  double alpha = 0.01;           // of a false fail, all tests together, at any time: six tenths
                                 // for errors, two for latency, the rest for the others
  double alpha_promote = 0.05;   // of passing a change that is worse by the margin
  std::uint64_t requests_min = 300;  // of the canary, before it may pass
  double voids_max = 0.05;       // share of unreadable samples above which nothing passes
};

enum class Arm : std::uint8_t { kControl, kCanary };

// What decided, or is closest to deciding.
enum class Test : std::uint8_t {
  kNone, kErrors, kLatency, kBadShare, kTail, kSampleRatio, kMix, kNotWorse, kVoids,
};
std::string_view to_string(Test test);  // "errors", "latency", ...

struct Finding {
  Verdict verdict = Verdict::kInconclusive;
  Test test = Test::kNone;
  std::size_t class_index = 0;  // for kBadShare, kMix, kNotWorse
  double log_e = 0;             // of that test
  // Of the canary, until a pass, if things stay as they look; nothing when they look like never.
  std::optional<std::uint64_t> requests_needed;
  double latency_ratio = 1;     // canary over control
};

// One thread. Deterministic. Nothing allocates after create().
class Trial {
 public:
  // kInvalidConfig naming the option that is out of its range.
  static Result<Trial> create(const TrialOptions& options);

  // One request whose fate is known. `latency` in any unit, the same for both arms; NaN, infinite,
  // zero or negative makes the sample void, except for an error, which needs none. At most 5 ns.
  void observe(Arm arm, std::size_t class_index, double latency, bool good,
               bool error = false) noexcept {
    ARQON_ASSERT(class_index < options_.classes);
    const bool readable = latency > 0 && latency <= std::numeric_limits<double>::max();
    if (!readable) {
      if (!error) {
        ++voids_;
        return;
      }
      latency = 1;
    }
    Buffer& buffer = buffers_[2 * class_index + static_cast<std::size_t>(arm)];
    const std::uint64_t fate = (good ? 0U : kBad) | (error ? kError | kBad : 0U) |
                               (readable ? 0U : kNoLatency);
    buffer.samples[buffer.size] = (std::bit_cast<std::uint64_t>(latency) & ~kFate) | fate;
    if (++buffer.size == kBuffer) flush(class_index);
  }
  // Ends a block of time. Once a second or so, at least as long as a burst.
  void end_block() noexcept;

  // Valid at any time. At most 1 us for four classes.
  Finding judge() const noexcept;

  Counts counts(Arm arm) const noexcept;  // n and bad, all classes; buffered samples excluded
  std::uint64_t voids() const noexcept { return voids_; }

 private:
  static constexpr std::size_t kBuffer = 128;
  static constexpr std::uint64_t kBad = 1, kError = 2, kNoLatency = 4, kFate = 7;
  struct Buffer {
    std::array<std::uint64_t, kBuffer> samples;
    std::size_t size = 0;
  };
  struct ArmCounts {
    Counts all, block;           // bad requests
    std::uint64_t over = 0;      // in this block: over the tail's threshold
    std::uint64_t readable = 0;  // in this block: with a latency, under a threshold
    Events events{4};            // those over the threshold
    std::uint64_t places = 0;    // readable ones in all
  };
  struct Class {
    std::array<ArmCounts, 2> arms;
    MarginTest margin;
    ShareTest mix;
    std::uint64_t threshold = 0;  // of the tail, as bits; 0 = not known yet
    std::uint64_t latencies = 0;  // of the control
    std::vector<std::uint32_t> control;  // their histogram, 32 cells per octave
  };

  explicit Trial(const TrialOptions& options);
  void flush(std::size_t class_index) noexcept;
  void count(Class& c, const Buffer& buffer, Arm arm) noexcept;
  void match(Class& c, const Buffer& control, const Buffer& canary) noexcept;
  void end_class_block(Class& c, const Counts& control, const Counts& canary) noexcept;
  void find_harm(Finding& finding) const noexcept;
  void find_pass(Finding& finding) const noexcept;
  double tail_dispersion() const noexcept;

  TrialOptions options_;
  MarginTable table_;
  std::vector<Buffer> buffers_;  // class-major, control before canary
  std::vector<Class> classes_;
  LatencyTest latency_;
  ShareTest tail_;
  Overdispersion tail_noise_;
  RatioTest ratio_;
  ErrorTest error_test_;
  Counts errors_;             // of the canary
  Events error_events_{0};
  std::uint64_t voids_ = 0;
};

}  // namespace arqon::stats
