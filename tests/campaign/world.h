// A tuner, an agent and an engine in one thread and simulated time: the control, guard, audit and
// agent code that ships, over an engine, two disks and a network that fail as they are told.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arqon/agent/agent.h"
#include "arqon/agent/client.h"
#include "arqon/audit/audited_engine.h"
#include "arqon/audit/log.h"
#include "arqon/base/rng.h"
#include "arqon/control/loop.h"
#include "arqon/testing/fake_engine.h"
#include "arqon/testing/sim_disk.h"

namespace arqon::campaign {

// Who is gone when a call is reached. kHost: the power goes; tuner and agent share it.
enum class Victim : std::uint8_t { kNone, kTuner, kAgent, kHost };

struct WorldOptions {
  std::uint64_t seed = 1;
  int replicas = 1;
  double best = 1024;            // where the bad share is least
  std::uint64_t requests_min = 120;
  double steep = 0.02;           // added bad share per squared octave off the best
  bool cliff = false;            // below the best, nearly everything is bad
};

// A rule of the safety contract that was broken.
struct Breach {
  std::string rule, what;
};

class World final : public control::Supervisor {
 public:
  explicit World(WorldOptions options);
  ~World() override;

  // -- processes
  // Runs a tuner until `until` (seconds) or its death. False when it could not start.
  bool run_tuner(double until);
  // Nobody tunes; the world goes on.
  void wait_until(double t_s);
  void kill(Victim victim);
  bool tuner_dead() const { return tuner_dead_; }

  // -- what a test or a plan sets
  // The process that ends at this call of a disk or the actuator, counted from 1; 0 = none.
  std::uint64_t stop_at = 0;
  Victim stop = Victim::kNone;
  bool boot_on_power_loss = false;  // the engine too comes back, with its boot values
  double agent_back_s = 2;          // after its death
  bool net_down = false;            // the agent cannot be reached
  bool answers_lost = false;        // it does what it is asked, and nobody hears of it
  bool stale = false;               // metrics do not answer
  std::function<testing::SimDisk::Fate(testing::SimDisk::Call)> tuner_disk_fate, agent_disk_fate;
  std::int64_t wall_jump_ns = 0;
  std::function<void()> each_second;  // before the agent's turn
  void set_frozen(bool yes);
  bool pause = false;
  bool rollback = false;
  void foreign_hand(double value);
  void restart_engine(bool boots);
  // Time passes and no process of ours runs.
  void suspend(double seconds);
  testing::FakeEngine& engine() { return engine_; }

  // -- what came of it
  double now_s() const { return to_seconds(engine_.now()); }
  std::uint64_t calls() const { return calls_; }
  const std::vector<Breach>& breaches() const { return breaches_; }
  void check(bool good, const char* rule, const std::string& what);
  // The set that returns, from the agent's disk; empty = none yet.
  Config confirmed() const;
  Config in_force() { return engine_.observe().effective; }
  // Nothing unproven is open at the agent.
  bool settled();
  // The chain verifies and holds what was acknowledged. To be called while no tuner runs.
  void check_chain();
  std::uint64_t confirms = 0, reverts = 0, writes = 0, runs = 0, cuts = 0, records = 0;
  std::string head;  // of the chain, when it was last looked at

  // -- control::Supervisor
  bool frozen() override;
  bool paused() override { return pause; }
  bool take_rollback() override { return std::exchange(rollback, false); }
  control::Answer answer(std::uint64_t) override { return control::Answer::kNone; }
  void report(const control::LoopStatus& status) override;

 private:
  class Actuator;
  class Sight;
  class TunerClock;
  struct Tuner;

  bool live(double until);
  void tune(Tuner& tuner, double until);
  void hit();
  void second();
  void start_agent();
  Result<std::string> to_agent(const std::string& line);
  Result<Config> write(const Config& setting, serving::Scope scope);
  void check_write(const Config& setting, serving::Scope scope);
  void check_step(const Config& setting, serving::Scope scope);
  std::optional<audit::Record> newest_intent(const Config& setting);
  void check_deadline();
  void note_generation(const std::string& request, const std::string& answer);
  testing::SimDisk::Fate disk_call(testing::SimDisk& disk, testing::SimDisk::Call call);

  WorldOptions options_;
  Rng rng_;
  testing::FakeEngine engine_;
  Space space_;
  guard::Guardrails guardrails_;
  std::shared_ptr<testing::SimDisk> agent_disk_;
  testing::SimDisk tuner_disk_;
  std::unique_ptr<Actuator> actuator_;
  std::unique_ptr<Sight> sight_;
  std::unique_ptr<agent::Agent> agent_;
  Tuner* tuner_ = nullptr;
  std::atomic<bool> stop_tuner_{false};
  bool tuner_dead_ = true, agent_dead_ = true, in_request_ = false, power_lost_ = false;
  bool disturbed_ = false;  // values moved that no write of ours had moved, since our last write
  bool foreign_ = false;    // ... by somebody's hand, which the agent leaves alone
  double agent_back_at_ = 0, quiet_since_ = 0;
  std::optional<double> frozen_at_;
  std::uint64_t calls_ = 0, generation_ = 0, acknowledged_ = 0;
  std::vector<Config> ever_confirmed_;
  std::vector<Breach> breaches_;
};

}  // namespace arqon::campaign
