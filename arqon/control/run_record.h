// What a live run leaves behind: windows measured, changes made or refused, and why.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/serving/outcome.h"
#include "arqon/space/space.h"

namespace arqon::control {

struct ClassWindow {
  std::uint64_t arrived = 0, good = 0, bad = 0;
  std::array<std::uint64_t, serving::kLimits> bad_by{};
  std::uint64_t prompt_tokens = 0, output_tokens = 0, good_tokens = 0;
  double ttft_ms_p50 = 0, ttft_ms_p99 = 0, gap_ms_p99 = 0, tpot_ms_p50 = 0, tpot_ms_p99 = 0;
};

// One measured window. `state`: "confirmed" (the confirmed setting in force), "experiment",
// "settling" (measurements mixed, not judged).
struct WindowRecord {
  double t_s = 0;  // end of the window
  double seconds = 0;
  std::vector<ClassWindow> classes;  // order of Capabilities::classes
  Config values;                     // knobs in force at the end
  std::string state;
  double paid_dollars = 0;  // in this window
  double running = 0, waiting = 0, kv_use = 0;
};

enum class ChangeState : std::uint8_t { kApplied, kRefused, kReverted, kConfirmed };
std::string_view to_string(ChangeState state);

// One knob moved (or not). A change of several knobs at once is several records of one decision.
struct ChangeRecord {
  double t_s = 0;
  std::uint64_t decision = 0;  // groups records of one decision
  std::string address;         // "main.batch_size"
  double from = 0, to = 0;
  std::string lane;  // "experiment" | "reflex" | "revert"
  ChangeState state = ChangeState::kApplied;
  std::string reason;  // evidence in words, e.g. "code: gap limit broken by 11.2 % ..."
};

// One decision with its evidence, for the table a person reads.
struct DecisionRecord {
  std::uint64_t decision = 0;
  double t_s = 0;
  std::string action;  // "experiment" | "confirm" | "revert" | "reflex" | "hold"
  Config from, to;
  std::string reason;
  double bad_share_before = 0, bad_share_after = 0;  // of requests, where judged
  std::uint64_t requests_before = 0, requests_after = 0;
};

struct RunRecord {
  std::vector<std::string> knob_names;
  std::vector<std::string> class_names;
  std::vector<WindowRecord> windows;
  std::vector<ChangeRecord> changes;
  std::vector<DecisionRecord> decisions;
};

}  // namespace arqon::control
