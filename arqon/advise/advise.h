// Better flags for an engine, from what it was seen to do: its traffic is replayed in its
// calibrated twin under other flags. Every replay of one seed meets the same requests, and both
// sides of a comparison share the calibration drawn for it, so that what is compared is the flags.
//
// The gain's interval holds what is not known: which stretch of the traffic comes next, the draw of
// arrivals and lengths, and the width of the calibration's scalars. What it cannot hold is that the
// twin is another engine: before anything is advised the twin must reproduce the windows seen, and
// no advice is given when it does not.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "arqon/advise/flags.h"
#include "arqon/base/result.h"
#include "arqon/calibrate/fit.h"
#include "arqon/calibrate/history.h"
#include "arqon/calibrate/trust.h"
#include "arqon/serving/outcome.h"
#include "arqon/sim/fleet.h"

namespace arqon::advise {

struct Question {
  EngineFlags flags;
  sim::PoolSpec pool;  // model, GPU, and engine options as started; one replica
  calibrate::Fit fit;  // its scalars are what the twin is made of
  calibrate::Observations windows;
  calibrate::Traffic traffic;
  serving::Slo promised;  // at least one limit
  std::uint64_t seed = 0;
  // Called with the share that is done; false ends with kInterrupted. May be empty.
  std::function<bool(double)> keep_going;
};

struct FlagChange {
  std::string flag;  // "--max-num-seqs"
  std::string from;  // as it is now; the engine's default where it was not said
  std::string to;
};

struct Interval {
  double mean = 0, low = 0, high = 0;  // 95 %
};

enum class Finding : std::uint8_t { kChange, kNothing, kNoTrust };

struct Advice {
  Finding finding = Finding::kNothing;
  std::string reason;               // one sentence
  std::vector<FlagChange> changes;  // kChange only
  // Gain of the change: in good share (points / 100) and, as shares, in p90 of TTFT and of the
  // largest gap; above 0 = better.
  Interval good_share, ttft, gap;
  double good_share_now = 0, good_share_then = 0;  // means over the replays
  calibrate::Verdict trust;
  std::size_t settings_tried = 0;
};

// kInvalidConfig when the twin cannot hold the traffic or nothing arrived; kUsage without a limit.
Result<Advice> advise(const Question& question);

// The twin against the windows: what advise() asks first.
Result<calibrate::Verdict> check_twin(const Question& question);

}  // namespace arqon::advise
