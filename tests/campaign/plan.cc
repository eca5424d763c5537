#include "tests/campaign/plan.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace arqon::campaign {
namespace {

using Call = testing::SimDisk::Call;
using Fate = testing::SimDisk::Fate;

constexpr std::array<std::string_view, kKinds> kNames{
    "tuner killed",   "agent killed",        "power lost",     "power and engine lost",
    "disk full",      "disk refuses",        "sync fails",     "agent's disk refuses",
    "engine restarts", "engine down",        "engine refuses", "engine clamps",
    "foreign hand",   "metrics stale",       "net down",       "answers lost",
    "frozen",         "paused",              "rollback",       "suspended",
    "wall clock jumps"};
// A tuner that died comes back after this long.
constexpr double kBackS = 25;
// After the last fault the world gets this long to be as it should.
constexpr double kQuietS = 40;
constexpr double kHour = 3600;

bool lasts(Kind kind) {
  switch (kind) {
    case Kind::kTunerKilled:
    case Kind::kAgentKilled:
    case Kind::kPowerLost:
    case Kind::kPowerAndEngineLost:
    case Kind::kEngineRestarts:
    case Kind::kForeignHand:
    case Kind::kRollback:
    case Kind::kSuspended:
    case Kind::kWallJumps:
      return false;
    default:
      return true;
  }
}

// One run of a plan.
class Director {
 public:
  explicit Director(const Plan& plan) : plan_(plan), world_(plan.options) {
    world_.each_second = [this] { direct(); };
  }

  Outcome run() {
    while (world_.now_s() < plan_.seconds) {
      if (!world_.run_tuner(plan_.seconds)) world_.wait_until(world_.now_s() + 1);
      world_.check_chain();
      world_.wait_until(std::min(plan_.seconds, world_.now_s() + kBackS));
    }
    quiet_ = true;
    world_.wait_until(world_.now_s() + kQuietS);
    world_.check_chain();
    world_.check(world_.settled(), "S6", "something is still open at the end");
    return {world_.breaches(), world_.confirms, world_.reverts, world_.writes,
            world_.runs,       ticks_,          world_.head};
  }

 private:
  bool on(const Fault& f) const {
    return !quiet_ && world_.now_s() >= f.from_s && world_.now_s() < f.to_s;
  }
  bool any(Kind kind) const {
    for (const Fault& f : plan_.faults) {
      if (f.kind == kind && on(f)) return true;
    }
    return false;
  }

  void direct() {
    ++ticks_;
    world_.net_down = any(Kind::kNetDown);
    world_.answers_lost = any(Kind::kAnswersLost);
    world_.stale = any(Kind::kMetricsStale);
    world_.pause = any(Kind::kPaused);
    world_.set_frozen(any(Kind::kFrozen));
    direct_disks();
    direct_engine();
    for (std::size_t i = 0; i < plan_.faults.size(); ++i) {
      const Fault& f = plan_.faults[i];
      if (lasts(f.kind) || done_.contains(i) || !on(f)) continue;
      done_.insert(i);
      once(f);
    }
  }

  void direct_disks() {
    const bool full = any(Kind::kDiskFull), refuses = any(Kind::kDiskRefuses);
    const bool sync_fails = any(Kind::kSyncFails), agents = any(Kind::kAgentDiskRefuses);
    world_.tuner_disk_fate = nullptr;
    if (full || refuses || sync_fails) {
      world_.tuner_disk_fate = [=](Call call) {
        if (full && call == Call::kAppend) return Fate::kPartial;
        if (sync_fails && call == Call::kSync) return Fate::kPartial;
        return refuses && call != Call::kRead ? Fate::kRefuse : Fate::kGood;
      };
    }
    world_.agent_disk_fate = nullptr;
    if (agents) {
      world_.agent_disk_fate = [](Call call) {
        return call == Call::kRead || call == Call::kOpen ? Fate::kGood : Fate::kRefuse;
      };
    }
  }

  void direct_engine() {
    testing::FakeEngine& engine = world_.engine();
    engine.state = any(Kind::kEngineDown) ? serving::Health::kDown : serving::Health::kOk;
    engine.refuse_applies = any(Kind::kEngineRefuses);
    engine.clamp = nullptr;
    if (any(Kind::kEngineClamps)) {
      engine.clamp = [](Config& c) { c[0] = std::max(c[0], 2048.0); };
    }
  }

  void once(const Fault& f) {
    switch (f.kind) {
      case Kind::kTunerKilled:
        return world_.kill(Victim::kTuner);
      case Kind::kAgentKilled:
        return world_.kill(Victim::kAgent);
      case Kind::kPowerLost:
      case Kind::kPowerAndEngineLost:
        world_.boot_on_power_loss = f.kind == Kind::kPowerAndEngineLost;
        return world_.kill(Victim::kHost);
      case Kind::kEngineRestarts:
        return world_.restart_engine(f.value > 0.5);
      case Kind::kForeignHand:
        return world_.foreign_hand(256 + 64 * std::floor(f.value * 124));
      case Kind::kRollback:
        world_.rollback = true;
        return;
      case Kind::kSuspended:
        return world_.suspend(60);
      case Kind::kWallJumps:
        world_.wall_jump_ns = static_cast<std::int64_t>((f.value - 0.5) * 48 * kHour * 1e9);
        return;
      default:
        return;
    }
  }

  const Plan& plan_;
  World world_;
  std::set<std::size_t> done_;
  bool quiet_ = false;
  std::uint64_t ticks_ = 0;
};

}  // namespace

std::string_view to_string(Kind kind) { return kNames[static_cast<std::size_t>(kind)]; }

Plan plan_of(std::uint64_t seed, const std::set<Kind>& without) {
  const Rng root(seed);
  Rng rng = root.stream("campaign");
  Plan plan;
  plan.options.seed = seed;
  plan.options.replicas = rng.uniform() < 0.5 ? 1 : 3;
  plan.options.best = 512 * std::exp2(std::floor(rng.uniform(0, 4)));
  plan.options.cliff = rng.uniform() < 0.3;
  plan.options.requests_min = 60 + rng.below(120);
  plan.seconds = rng.uniform(200, 500);
  const std::uint64_t n = rng.below(7);
  for (std::uint64_t i = 0; i < n; ++i) {
    Rng own = root.stream("fault").stream(i);
    Fault f;
    f.kind = static_cast<Kind>(own.below(kKinds));
    f.from_s = own.uniform(5, plan.seconds);
    f.to_s = f.from_s + (lasts(f.kind) ? own.uniform(1, 60) : 1e9);
    f.value = own.uniform();
    if (!without.contains(f.kind)) plan.faults.push_back(f);
  }
  return plan;
}

Outcome run(const Plan& plan) { return Director(plan).run(); }

}  // namespace arqon::campaign
