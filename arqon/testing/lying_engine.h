// An engine in memory that can be told to fail in every way the battery knows, and an adapter to it
// that keeps the Engine contract, or breaks it in one chosen way.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "arqon/serving/engine.h"
#include "arqon/space/space.h"
#include "arqon/testing/engine_suite.h"

namespace arqon::testing {

class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  void wait_until(TimePoint t) override { now_ = std::max(now_, t); }

 private:
  TimePoint now_ = time_at(1000);
};

// What a real engine is to an adapter: answers, counters, values; and its misfortunes.
struct ModelServer {
  struct Replica {
    Config asked, in_force;
    std::uint64_t arrived = 0, good = 0, bad = 0;
  };
  ModelServer(int replicas, const Config& boot) : fleet(static_cast<std::size_t>(replicas)) {
    for (Replica& r : fleet) r.asked = r.in_force = boot;
  }
  bool has(Fault fault) const { return faults.contains(fault); }
  // False: refused. The engine says yes to everything else, whatever it then does.
  bool write(std::size_t replica, const Config& setting) {
    if (has(Fault::kRefuse)) return false;
    ++writes;
    if (has(Fault::kNoEffect)) return true;
    Replica& r = fleet[replica];
    r.asked = setting;
    if (has(Fault::kClamp)) r.asked[0] = std::min(r.asked[0], 20.0);
    if (!has(Fault::kIdle)) step(r);
    return true;
  }
  static void step(Replica& r) { r.in_force = r.asked; }
  void request(std::size_t replica) {
    Replica& r = fleet[replica];
    step(r);
    ++r.arrived;
    ++(has(Fault::kNoTokens) ? r.bad : r.good);
  }
  void restart(const Config& boot, std::string runs, double has_capacity) {
    for (Replica& r : fleet) r = {boot, boot, 0, 0, 0};
    ++starts;
    version = std::move(runs);
    capacity = has_capacity;
  }

  std::vector<Replica> fleet;
  std::set<Fault> faults;
  std::uint64_t writes = 0;
  std::uint64_t starts = 1;
  std::string version = "model 1";
  double capacity = 64;
};

enum class Lie : std::uint8_t {
  kNone,
  kClaimsSuccess,       // yes without effect is reported as in force
  kHidesClamp,          // answers and reads back what was asked for
  kTakesAnything,       // writes values outside the domain
  kSnaps,               // moves values outside the domain into it and says so
  kWritesBeforeCheck,   // invalid_config, but one knob is written
  kWritesOnRefusal,     // refused, but written
  kWritesAlways,        // writes what is in force already
  kForgetsScope,        // a canary's setting goes everywhere
  kStarvesOthers,       // counts of one replica are those of another
  kAlwaysAcknowledged,  // also while idle
  kForgetsIdleWrite,    // effective is the old value until the engine steps
  kIdleIsFault,         // an idle engine is in bad health
  kCountersFall,        // now and then
  kBadIsLost,           // bad requests are not counted
  kGoodAboveArrived,
  kLimitsDoNotAddUp,
  kHugeDelta,       // a counter reset becomes a difference below zero
  kNoEpoch,         // counters begin again, the epoch does not
  kEpochOnGarbage,  // garbage begins an epoch
  kFreshOnGarbage,  // zeros, and fresh
  kZerosOnGarbage,  // not fresh, but zeros
  kFreshWhenDown,   // health 200 is enough
  kHealthAlwaysOk,
  kWaitsForever,  // a call that takes a minute
  kWritesUnqualified,
  kNeverUnqualified,
  kRequalifiesAnything,
  kNeverRequalifies,
  kEmptyIsGood,  // 200 without a token
  kOwnTimeAxis,
  kTimeStandsStill,  // observations keep the first one's time
  kNoSettle,
  kBootOutside,
  kMoreThanCapacity,
  kNamesTwice,
  kNoIdentity,
  kConfirmFails,
  kCount,
};

class LyingEngine final : public serving::Engine {
 public:
  LyingEngine(ModelServer& server, ManualClock& clock, Lie lie)
      : server_(server), clock_(clock), lie_(lie), epoch_start_(server.starts) {
    capabilities_.engine = "model";
    capabilities_.identity.engine = lie == Lie::kNoIdentity ? "" : server.version;
    capabilities_.knobs = knobs();
    if (lie == Lie::kNamesTwice) capabilities_.knobs[1].name = capabilities_.knobs[0].name;
    capabilities_.facts.assign(2, {.boot_capacity = server.capacity, .note = "in memory"});
    if (lie == Lie::kMoreThanCapacity) capabilities_.facts[0].boot_capacity = 32;
    capabilities_.settle.assign(lie == Lie::kNoSettle ? 1 : 2, std::chrono::seconds(1));
    capabilities_.boot = lie == Lie::kBootOutside ? Config{0, 0.5} : boot();
    capabilities_.replicas = static_cast<int>(server.fleet.size());
    capabilities_.classes = {{.name = "any"}};
    last_.at = clock.now();
    last_.classes.resize(1);
    last_.effective = boot();
  }
  static std::vector<Parameter> knobs() {
    return {{.name = "cap", .type = ParamType::kInt, .min = 1, .max = 64},
            {.name = "share", .min = 0, .max = 1, .step = 0.125}};
  }
  static Config boot() { return {32, 0.5}; }

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return capabilities_; }

  Result<Config> apply(const Config& asked, serving::Scope scope) override {
    Config setting = asked;
    if (Status valid = validate(setting, scope); !valid) {
      return tl::unexpected<Error>(valid.error());
    }
    if (!answers()) return fail(ErrorCode::kUnavailable, "no answer");
    const serving::Health h = health();
    if (h != serving::Health::kOk && lie_ != Lie::kWritesUnqualified) {
      return fail(ErrorCode::kRefused, "health is not ok");
    }
    for (std::size_t r = 0; r < server_.fleet.size(); ++r) {
      const bool in = scope.replica < 0 || static_cast<std::size_t>(scope.replica) == r;
      if (!in && lie_ != Lie::kForgetsScope) continue;
      if (server_.fleet[r].asked == setting && lie_ != Lie::kWritesAlways) continue;
      if (!server_.write(r, setting)) return refused(setting);
      if (server_.fleet[r].asked == setting || server_.has(Fault::kClamp)) continue;
      if (lie_ != Lie::kClaimsSuccess) return fail(ErrorCode::kConflict, "nothing happened");
    }
    if (lie_ == Lie::kClaimsSuccess || lie_ == Lie::kHidesClamp) claimed_ = setting;
    return claimed_ ? *claimed_ : server_.fleet[replica_of(scope)].asked;
  }

  serving::Observation observe(serving::Scope scope) override {
    if (lie_ == Lie::kWaitsForever && server_.has(Fault::kHang)) wait(60);
    const bool sense = !server_.has(Fault::kGarbage) && !server_.has(Fault::kHalfWritten);
    serving::Observation out = last_;
    out.at = clock_.now();
    if (!answers() || !sense) {
      not_fresh(out, sense);
      return out;
    }
    if (server_.starts != epoch_start_ && lie_ != Lie::kNoEpoch && lie_ != Lie::kHugeDelta) {
      epoch_start_ = server_.starts;
      ++out.epoch;
    }
    out.fresh = true;
    read(out, scope);
    if (scope.replica < 0) last_ = out;
    if (lie_ == Lie::kOwnTimeAxis) out.at = time_at(5);
    return out;
  }

  serving::Health health() override {
    using serving::Health;
    if (lie_ == Lie::kHealthAlwaysOk) return Health::kOk;
    if (server_.has(Fault::kDown)) return Health::kDown;
    if (server_.has(Fault::kHang)) return Health::kDegraded;
    if (lie_ == Lie::kIdleIsFault && server_.has(Fault::kIdle)) return Health::kDegraded;
    if (lie_ == Lie::kNeverUnqualified) return Health::kOk;
    const bool known = lie_ == Lie::kNoIdentity || server_.version == capabilities_.identity.engine;
    return known && server_.capacity >= 64 ? Health::kOk : Health::kUnqualified;
  }
  Status confirm() override {
    if (lie_ == Lie::kConfirmFails) return fail(ErrorCode::kInternal, "no");
    return {};
  }
  Status requalify() override {
    if (!answers()) return fail(ErrorCode::kUnavailable, "no answer");
    if (lie_ == Lie::kNeverRequalifies) return fail(ErrorCode::kRefused, "never");
    if (server_.capacity < 64 && lie_ != Lie::kRequalifiesAnything) {
      return fail(ErrorCode::kRefused, "cap goes to 64, the engine to less");
    }
    if (lie_ == Lie::kRequalifiesAnything) server_.capacity = 64;
    capabilities_.identity.engine = server_.version;
    return {};
  }

 private:
  bool answers() const {
    if (lie_ == Lie::kFreshWhenDown) return true;
    return !server_.has(Fault::kDown) && !server_.has(Fault::kHang);
  }
  void wait(double seconds) { clock_.wait_until(clock_.now() + from_seconds(seconds)); }
  static std::size_t replica_of(serving::Scope scope) {
    return static_cast<std::size_t>(std::max(0, scope.replica));
  }

  Status validate(Config& setting, serving::Scope scope) {
    const Space space(knobs());
    const bool replica_ok = scope.replica >= -1 && scope.replica < capabilities_.replicas;
    if (space.contains(setting) && replica_ok) return {};
    if (lie_ == Lie::kTakesAnything && setting.size() == 2 && replica_ok) return {};
    if (lie_ == Lie::kSnaps && setting.size() == 2 && replica_ok && std::isfinite(setting[0]) &&
        std::isfinite(setting[1])) {
      setting = space.snap(setting);
      return {};
    }
    if (lie_ == Lie::kWritesBeforeCheck && setting.size() == 2 && setting[0] >= 1 &&
        setting[0] <= 64) {
      server_.write(0, {setting[0], server_.fleet[0].asked[1]});
    }
    return fail(ErrorCode::kInvalidConfig, "not a setting of this engine");
  }
  Result<Config> refused(const Config& setting) {
    if (lie_ == Lie::kWritesOnRefusal) server_.fleet[0].in_force = server_.fleet[0].asked = setting;
    return fail(ErrorCode::kRefused, "the engine said no");
  }

  void not_fresh(serving::Observation& out, bool sense) {
    out.fresh = lie_ == Lie::kFreshOnGarbage && !sense;
    if (lie_ == Lie::kFreshOnGarbage || lie_ == Lie::kZerosOnGarbage) out.classes[0] = {};
    if (lie_ == Lie::kEpochOnGarbage) last_.epoch = ++out.epoch;
  }
  void read(serving::Observation& out, serving::Scope scope) {
    serving::ClassCounters& c = out.classes[0];
    const std::uint64_t before = c.arrived;
    c = {};
    out.acknowledged = true;
    for (std::size_t r = 0; r < server_.fleet.size(); ++r) {
      if (scope.replica >= 0 && static_cast<std::size_t>(scope.replica) != r) continue;
      const ModelServer::Replica& replica = server_.fleet[r];
      c.arrived += replica.arrived;
      c.good += replica.good;
      c.bad += replica.bad;
      if (replica.asked != replica.in_force && lie_ != Lie::kAlwaysAcknowledged) {
        out.acknowledged = false;
      }
    }
    const ModelServer::Replica& first = server_.fleet[replica_of(scope)];
    out.effective = lie_ == Lie::kForgetsIdleWrite ? first.in_force : first.asked;
    if (claimed_) out.effective = *claimed_;
    c.bad_by[static_cast<std::size_t>(serving::Limit::kRejected)] = c.bad;
    distort(out, c, before, scope);
  }
  void distort(serving::Observation& out, serving::ClassCounters& c, std::uint64_t before,
               serving::Scope scope) {
    if (lie_ == Lie::kEmptyIsGood) {
      c.good += std::exchange(c.bad, 0);
      c.bad_by = {};
    }
    if (lie_ == Lie::kBadIsLost) {
      c.bad = 0;
      c.bad_by = {};
    }
    if (lie_ == Lie::kGoodAboveArrived) c.good += 1000;
    if (lie_ == Lie::kLimitsDoNotAddUp) c.bad_by[1] += 3;
    // Some other counter falls: each observation counts fewer prompt tokens.
    if (lie_ == Lie::kCountersFall) c.prompt_tokens = 1'000'000 - ++observations_;
    if (lie_ == Lie::kHugeDelta && server_.starts != epoch_start_) {
      epoch_start_ = server_.starts;
      ++out.epoch;
      c.arrived = c.arrived - before;
    }
    if (lie_ == Lie::kStarvesOthers && scope.replica == 0) c = {};
    if (lie_ == Lie::kTimeStandsStill) out.at = time_at(1000);
  }

  ModelServer& server_;
  ManualClock& clock_;
  Lie lie_;
  serving::Capabilities capabilities_;
  serving::Observation last_;
  std::uint64_t epoch_start_;
  std::uint64_t observations_ = 0;
  std::optional<Config> claimed_;
};

}  // namespace arqon::testing
