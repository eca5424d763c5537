// What a study is asked and told: configuration and results as plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arqon/space/space.h"

namespace arqon::solver {

// A measured quantity that must stay on one side of a bound, e.g. attainment.chat >= 0.99.
struct Constraint {
  std::string metric;
  std::optional<double> min;
  std::optional<double> max;
};

struct Objective {
  std::string metric;
  bool minimize = true;
};

struct StudyConfig {
  Space space{{}};
  std::uint64_t seed = 0;
  std::optional<std::uint64_t> budget;   // points handed out; absent: 100 in ask, no end in ask_one
  bool maximize_value = true;            // `value` is a reward unless the document turns it round
  std::optional<Objective> objective;    // with it results carry metrics and no value
  std::vector<Constraint> constraints;
  double probe_ratio = 0.2;  // share of the budget spent on space-filling probes, [0, 1]
  std::string strategy = "auto";         // "auto" | "portfolio" | "tpe" | "random" | "sobol"
};

// One measured metric. For an attainment, n requests of which `over` were not good.
struct Metric {
  double value = 0;
  std::optional<std::uint64_t> n;
  std::optional<std::uint64_t> over;
  std::optional<double> lo, hi;          // an interval of the caller's own
};

enum class Outcome : std::uint8_t { kOk, kFailed, kCrashed, kRefused };

struct Trial {
  Config params;                         // what was asked, in the space
  std::optional<Config> applied;         // what was in force; may lie off the grid
  std::optional<double> value;
  std::map<std::string, Metric> metrics;
  std::map<std::string, double> context; // causes: arrival rate, lengths, mix, acceptance
  Outcome outcome = Outcome::kOk;
  double cost = 1;                       // what the measurement cost, e.g. seconds
  std::optional<double> t_s;
  std::optional<std::uint64_t> generation;
  std::optional<std::uint64_t> eval_id;
};

}  // namespace arqon::solver
