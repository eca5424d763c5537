// The way back without the tuner, for engines that have no place of their own to keep it: owns the
// actuator, journals before it writes, keeps the confirmed set with what it was proven on, and puts
// it back when the tuner's lease lapses or the engine comes back with other values.
// Protocol, files and rules: docs/reference/agent.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/agent/journal.h"
#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/guard/safety_executor.h"
#include "arqon/os/disk.h"
#include "arqon/serving/engine.h"
#include "arqon/wire/json.h"

namespace arqon::agent {

struct AgentOptions {
  std::filesystem::path folder;       // of journal, confirmed set and the file `freeze`
  guard::Guardrails guardrails;       // one entry per knob of the engine; bounds alone count here
  std::int64_t pid = 0;               // of this process, for the status
  std::function<std::string()> wall;  // time of day for the record; may be empty
  std::function<void(std::string_view step)> at_step;  // before each step of a change; for tests
  std::shared_ptr<os::Disk> disk = std::make_shared<os::SystemDisk>();  // the journal's too
};

// One thread. `engine` and `clock` outlive it.
class Agent {
 public:
  // Reads the journal. A write that was begun and not confirmed, or an engine that restarted since,
  // is put right by the first tick() that reaches the engine. kInvalidConfig when the guardrails do
  // not fit; what Journal::open says.
  static Result<Agent> create(serving::Engine& engine, Clock& clock, AgentOptions options);

  // One request, one answer, each a JSON object in one line. Nothing that comes is trusted.
  std::string answer(std::string_view line);
  // To be called every 200 ms or so: holds the lease and looks after the engine.
  void tick();
  // A client has said that it is done, nothing is open, and no other has come since.
  bool released() const { return releasing_ && !open_; }

 private:
  Agent(serving::Engine& engine, Clock& clock, AgentOptions options, Space space,
        guard::SafetyExecutor check, Journal journal);

  Result<wire::Object> dispatch(const wire::Value& request);
  Result<wire::Object> apply(const wire::Value& request);
  Result<wire::Object> confirm(const wire::Value& request);
  Result<wire::Object> renew(const wire::Value& request);
  Result<wire::Object> requalify();
  Result<wire::Object> restore_now();
  Result<wire::Object> release();
  wire::Object status() const;

  Result<Config> read_setting(const wire::Value& request) const;
  Status check_values(const Config& setting);
  bool frozen() const;
  bool confirmed_fits() const;  // is of this engine, model, hardware and these knobs
  bool lease_holds() const;
  void look();
  void restore();
  // One write with its intent before and its outcome after.
  Result<Config> write(std::uint64_t generation, const Config& setting, serving::Scope scope,
                       std::string_view action);
  void step(std::string_view name) const {
    if (options_.at_step) options_.at_step(name);
  }

  serving::Engine& engine_;
  Clock& clock_;
  AgentOptions options_;
  Space space_;
  guard::SafetyExecutor check_;  // for its rules; holds no state of ours
  Journal journal_;
  std::optional<Confirmed> confirmed_;
  std::uint64_t generation_ = 0;        // greatest seen
  std::optional<std::uint64_t> epoch_;  // of the engine when it was last looked at
  bool open_ = false;                   // something unproven is, or may be, in force
  bool lost_ = false;                   // the engine did not answer at the last look
  bool drifted_ = false;                // a hand other than ours changed a value
  bool releasing_ = false;
  std::string trouble_;  // why the confirmed set is not back yet
  TimePoint lease_until_{};
  TimePoint look_at_{};
  TimePoint restore_at_{};
  Duration back_off_{};
  std::uint64_t restores_ = 0;
};

}  // namespace arqon::agent
