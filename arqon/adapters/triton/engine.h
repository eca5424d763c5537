// The live engine behind attach(): apply, observe, health. One caller thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arqon/adapters/triton/counters.h"
#include "arqon/adapters/triton/model_config.h"
#include "arqon/adapters/triton/server.h"
#include "arqon/adapters/triton/trace_log.h"
#include "arqon/serving/engine.h"
#include "arqon/serving/second_hand.h"

namespace arqon::adapters::triton {

// Where a request's time comes from.
enum class Latency : std::uint8_t {
  kTrace,    // each request, from the server's trace files
  kSummary,  // bounds from quantiles of the last minute
  kNone      // not at all: only failures are bad
};

struct Options {
  Latency latency = Latency::kNone;
  std::string trace_file;   // kTrace
  Duration load_timeout{};  // of one reload
  Duration stall{};         // requests wait and none ends for so long: stuck
  double dollars_per_hour = 0;
};

// What attach found; fixed until requalify().
struct Found {
  serving::Capabilities capabilities;
  std::vector<Knob> knobs;            // same order as capabilities.knobs
  std::vector<std::string> versions;  // of the model, that are served
};

class LiveTriton final : public serving::Engine, public serving::SecondHand {
 public:
  // `config` as read at attach.
  LiveTriton(Server server, Options options, Found found, const wire::Value& config, Clock& clock);

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return found_.capabilities; }
  Result<Config> apply(const Config& setting, serving::Scope scope) override;
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override;
  Status requalify() override;
  void written_for_us(const Config& setting, serving::Scope scope) override;

  // Mean time by batch size since the last reload, for models of this engine's cost.
  Result<std::vector<ServicePoint>> service_curve() const { return server_.service_curve(); }

 private:
  // The keys that a write may touch, so that all others can be held still.
  std::vector<Knob> touched() const;
  Result<Config> read(const wire::Value& config) const;
  // Why nothing may be written to what answers now; nothing when all is as it was at attach.
  std::optional<std::string> changed(const wire::Value& config) const;
  Status check_setting(const Config& setting, serving::Scope scope) const;
  // The config with this setting, and whether that is a change.
  wire::Value edited(const wire::Value& config, const Config& setting) const;
  Result<Config> read_back(const Config& before, const Config& asked);
  // Adds what the counters say since the last observation; false when they made no sense.
  bool count(const wire::Exposition& exposition);
  void count_traced(serving::ClassCounters& counters);
  void count_summary(const wire::Exposition& exposition, double served, double failed,
                     serving::ClassCounters& counters);
  void began_again();
  bool stuck() const;

  Server server_;
  Options options_;
  Found found_;
  Clock& clock_;
  std::optional<TraceLog> trace_;
  serving::Observation last_;
  std::optional<Counters> counters_;
  TimePoint attached_;
  TimePoint loaded_at_{};       // when the last load of ours ended
  TimePoint progress_;          // when a request ended last, or none was waiting
  std::string rest_;            // fingerprint of the config beside our knobs
  Config asked_;                // last setting sent; Triton rounds times to whole microseconds
  double batch_size_;           // max_batch_size as we know it to be in force
  double batch_size_sent_;      // and as it was sent last, should the answer have been lost
  double failed_untraced_ = 0;  // failures of the backend whose trace has not come yet
  double late_remainder_ = 0;   // fractions of requests that summaries call late
  bool unqualified_ = false;    // a load changed more than it was told to
};

// How long after a change measurements are mixed.
Duration settle_of(Latency latency);

}  // namespace arqon::adapters::triton
