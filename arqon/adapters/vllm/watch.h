// Tells an engine that works from one that only answers: "healthy but stuck". Pure: time and
// readings are passed in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "arqon/base/time.h"

namespace arqon::adapters::vllm {

// One look at an engine. Engine side: what the scheduler reports (absent without the plugin). API
// side: what the API process tells, by ring and /metrics.
struct Look {
  TimePoint now;
  struct Scheduler {
    std::int64_t steps = 0;
    TimePoint last_step;
    std::int64_t running = 0, waiting = 0, finished = 0;
    std::int64_t cap = 0;    // most that may run
    double blocks_free = 0;  // share of the KV blocks
  };
  struct Api {
    double running = 0, waiting = 0;
    double kv_use = 0;
    double finished = 0, tokens = 0;  // since it began
    bool operator==(const Api&) const = default;
  };
  std::optional<Scheduler> scheduler;
  std::optional<Api> api;  // absent when telemetry did not answer
};

// One thread.
class Watch {
 public:
  explicit Watch(Duration patience) : patience_(patience) {}
  void update(const Look& look);
  // The engine restarted: what was seen before says nothing of it.
  void forget();
  // What is wrong, in one sentence; empty when nothing is.
  const std::string& trouble() const { return trouble_; }

 private:
  std::string no_step(const Look& look) const;
  std::string silent_api(const Look& look) const;
  std::string lost_answers(const Look& look) const;
  std::string no_admission(const Look& look) const;
  std::string frozen(const Look& look) const;

  Duration patience_;
  std::string trouble_;
  // The last look at which the API side had changed, or had no steps to tell of.
  std::optional<Look> api_moved_;
  // Since when the API process counts open requests that the scheduler does not have.
  std::optional<TimePoint> disagree_since_;
  std::int64_t steps_ = 0;               // at the last look
  std::optional<Look> admission_moved_;  // the last look at which anything came in or finished
};

}  // namespace arqon::adapters::vllm
