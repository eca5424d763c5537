// One vLLM: its HTTP side, its page where it has one, and whether it works.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arqon/adapters/vllm/knobs.h"
#include "arqon/adapters/vllm/steering.h"
#include "arqon/adapters/vllm/telemetry.h"
#include "arqon/adapters/vllm/watch.h"
#include "arqon/base/result.h"
#include "arqon/serving/engine.h"

namespace arqon::adapters::vllm {

// Where shared memory lies; tests have a folder of their own.
inline constexpr const char* kSharedMemory = "/dev/shm";

struct ReplicaOptions {
  ReplicaTarget target;
  std::filesystem::path shared_memory = kSharedMemory;
  Duration stuck = std::chrono::seconds(5);
  bool container = false;
  Http http;
  // On the axis of the page's times (CLOCK_BOOTTIME): os::SystemClock. Outlives the replica.
  Clock* clock = nullptr;
};

// What GET /version and /v1/models say.
struct Served {
  std::string version, model;
  std::int64_t max_model_len = 0;
  bool operator==(const Served&) const = default;
};
// kUnavailable when nobody answers there, or it is no vLLM.
Result<Served> ask_who(const Http& http, const std::string& url);

// One thread.
class Replica {
 public:
  // kUnavailable when the engine does not answer.
  static Result<std::unique_ptr<Replica>> attach(ReplicaOptions options, const Classes& classes);

  // Looks at everything again: page, ring, /metrics.
  void look();
  // As look(), but telemetry that was read a moment ago is left as it is: a scrape costs the API
  // process some ms.
  void glance();
  // The page alone.
  void glance_at_page();
  // As of now: also asks /health.
  serving::Health health();
  // Why the last health() was not kOk; empty when it was.
  const std::string& why() const { return why_; }

  const Steering* steering() const { return steering_ ? &*steering_ : nullptr; }
  const Telemetry& telemetry() const { return telemetry_; }
  const serving::Identity& identity() const { return identity_; }
  EngineFacts facts() const;
  std::uint64_t epoch() const { return epoch_; }
  double running() const;
  double waiting() const;
  double kv_use() const;
  bool fresh() const;

  // Puts the changes in force. Values in force afterwards; kUnavailable when requests run and no
  // step takes it up within kAckDeadline, kConflict when it was taken up and nothing changed.
  Result<Values> command(const std::vector<Change>& changes);
  Steering::InForce in_force() const;
  Status confirm(const std::vector<Slot>& tuned);
  void renew(Duration lease);
  Status requalify();

 private:
  Replica(ReplicaOptions options, const Classes& classes);
  void find_plugin();
  void conclude();
  void notice_restart();
  Look current_look() const;
  serving::Health say(serving::Health health, std::string why);
  Result<Values> wait_for_ack(const std::vector<Change>& changes, const Values& before);
  Result<Values> not_acknowledged(std::int64_t steps_before);
  TimePoint now() const { return options_.clock->now(); }

  ReplicaOptions options_;
  Telemetry telemetry_;
  Watch watch_;
  std::optional<Steering> steering_;
  std::string no_plugin_;
  Served served_;
  serving::Identity identity_;
  std::uint64_t epoch_ = 1;
  std::int64_t start_ns_ = 0;
  std::uint64_t api_starts_ = 0;
  bool served_another_ = false;  // without the plugin: another model or version answers
  std::string why_;
};

}  // namespace arqon::adapters::vllm
