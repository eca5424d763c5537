// A real vLLM on a CPU, as bench/measure_vllm.py measured it at eight running caps: the rows, the
// deployment's description, and what the twin says of each cap.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "arqon/calibrate/fit.h"
#include "arqon/calibrate/read_observations.h"
#include "arqon/documents/scenario.h"
#include "arqon/sim/twin.h"
#include "arqon/workload/generate.h"

namespace arqon::calibrate::cpu_vllm {

inline std::string text_of(const std::string& path) {
  std::ifstream file(std::filesystem::path(ARQON_SOURCE_DIR) / path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline documents::Scenario scenario() {
  return documents::parse_scenario(text_of("examples/vllm-cpu.json"), "vllm-cpu.json").value();
}

inline Observations rows() {
  return read_observations(text_of("scenarios/data/vllm_cpu_caps.csv")).value();
}

// Of one cap, over all its windows.
struct CapPoint {
  double cap = 0;
  double tokens_per_s = 0, gap_ms = 0;
  std::vector<double> all_tokens_per_s, all_gap_ms;  // window by window
};

inline std::vector<CapPoint> measured(const Observations& rows) {
  std::map<double, CapPoint> by_cap;
  for (const Observation& row : rows) {
    if (row.concurrency < 2) continue;  // idle probes
    CapPoint& point = by_cap[row.batch_size];
    point.cap = row.batch_size;
    point.all_tokens_per_s.push_back(row.output_tokens / row.seconds);
    point.all_gap_ms.push_back(row.gap_ms);
  }
  std::vector<CapPoint> out;
  for (auto& [cap, point] : by_cap) {
    for (const double v : point.all_tokens_per_s) {
      point.tokens_per_s += v / static_cast<double>(point.all_tokens_per_s.size());
    }
    for (const double v : point.all_gap_ms) {
      point.gap_ms += v / static_cast<double>(point.all_gap_ms.size());
    }
    out.push_back(point);
  }
  return out;
}

// Windows of these caps alone.
inline Observations at_caps(const Observations& rows, const std::vector<double>& caps) {
  Observations out;
  for (const Observation& row : rows) {
    if (row.concurrency < 2) continue;
    if (std::find(caps.begin(), caps.end(), row.batch_size) != caps.end()) out.push_back(row);
  }
  return out;
}

inline Fit calibrated_at(const std::vector<double>& caps) {
  return fit(scenario().fleet.pools.front(), at_caps(rows(), caps),
             {.half_life_s = 0, .prior_width = 4})
      .value();
}

// The whole closed loop in the twin; the middle half of its requests counts.
inline CapPoint simulated(const sim::Calibration& calibration, double cap) {
  documents::Scenario s = scenario();
  s.fleet.noise = false;
  s.fleet.pools.front().calibration = calibration;
  s.fleet.pools.front().engine.batch_size = static_cast<std::int64_t>(cap);
  workload::GenerateOptions generate{.duration_s = 1e6, .classes = {"all"}};
  const auto trace = workload::generate(s.workloads, generate);
  sim::TwinOptions options;
  options.fleet = s.fleet;
  options.classes = s.classes;
  options.trace = std::make_shared<const workload::Trace>(trace.value());
  options.closed_loop_concurrency = workload::closed_loop_concurrency(s.workloads);
  const auto twin = std::move(sim::Twin::create(std::move(options)).value());
  const auto advance = [&](double share) {
    const auto needed = static_cast<std::uint64_t>(share * static_cast<double>(trace->size()));
    while (true) {
      const serving::Observation seen = twin->observe();
      if (seen.classes[0].good + seen.classes[0].bad >= needed) return seen;
      twin->wait_until(twin->now() + from_seconds(0.5));
    }
  };
  const serving::Observation a = advance(0.25), b = advance(0.75);
  CapPoint out{.cap = cap};
  out.tokens_per_s = static_cast<double>(b.classes[0].output_tokens - a.classes[0].output_tokens) /
                     to_seconds(b.at - a.at);
  out.gap_ms = b.classes[0].tpot_ms.since(a.classes[0].tpot_ms).mean();
  return out;
}

}  // namespace arqon::calibrate::cpu_vllm
