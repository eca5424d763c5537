// A serving engine made of one formula, for tests of the loop: the share of bad requests is a
// function of the setting and of time, counts are drawn from it, and it can be told to misbehave.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/serving/engine.h"

namespace arqon::testing {

struct FakeClass {
  serving::Slo slo;
  double rate_per_s = 40;
  serving::Limit breaks = serving::Limit::kGap;   // the limit that its bad requests break
};

// Engine and clock in one, as the twin is. Requests are spread evenly over the replicas.
// Single-threaded, deterministic in `seed`.
class FakeEngine final : public serving::Engine, public Clock {
 public:
  // Share of bad requests of a class under a setting at a time (seconds).
  using BadShare = std::function<double(const Config&, std::size_t class_index, double t_s)>;

  FakeEngine(std::vector<Parameter> knobs, std::vector<FakeClass> classes, BadShare bad_share,
             int replicas = 1, std::uint64_t seed = 1)
      : classes_(std::move(classes)),
        bad_share_(std::move(bad_share)),
        rng_(seed),
        replicas_(static_cast<std::size_t>(replicas)) {
    capabilities_.engine = "fake";
    capabilities_.knobs = knobs;
    capabilities_.settle.assign(knobs.size(), std::chrono::seconds(2));
    capabilities_.boot = Space(knobs).default_config();
    capabilities_.replicas = replicas;
    for (const FakeClass& c : classes_) capabilities_.classes.push_back(c.slo);
    for (serving::Observation& r : replicas_) {
      r.classes.resize(classes_.size());
      r.effective = capabilities_.boot;
    }
  }

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return capabilities_; }
  Result<Config> apply(const Config& setting, serving::Scope scope) override {
    ++applies;
    if (gone() || refuse_applies) {
      return fail(ErrorCode::kUnavailable, "the engine does not answer");
    }
    Config effective = setting;
    if (clamp) clamp(effective);
    for (std::size_t r = 0; r < replicas_.size(); ++r) {
      if (in_scope(r, scope)) replicas_[r].effective = effective;
    }
    return effective;
  }
  serving::Observation observe(serving::Scope scope) override {
    serving::Observation out = replicas_[static_cast<std::size_t>(std::max(0, scope.replica))];
    out.at = now_;
    out.fresh = fresh;
    for (std::size_t r = 1; r < replicas_.size() && scope.replica < 0; ++r) {
      for (std::size_t c = 0; c < classes_.size(); ++c)
        add(out.classes[c], replicas_[r].classes[c]);
    }
    return out;
  }
  serving::Health health() override { return state; }
  Status confirm() override {
    if (!keeps_confirmed) return fail(ErrorCode::kUnavailable, "no place to keep it");
    confirmed = replicas_[0].effective;
    ++confirms;
    return {};
  }
  Status renew(Duration) override {
    ++renewals;
    return {};
  }
  Status requalify() override {
    if (state != serving::Health::kUnqualified) return {};
    if (!accepts_another) return fail(ErrorCode::kConflict, "another model");
    state = serving::Health::kOk;
    capabilities_.identity.model = "another";
    return {};
  }

  TimePoint now() const override { return now_; }
  void wait_until(TimePoint t) override {
    for (; now_ < t; now_ += std::chrono::seconds(1)) second();
  }

  // The engine restarts: counters begin again under a new epoch.
  void restart() {
    for (serving::Observation& r : replicas_) {
      ++r.epoch;
      for (auto& c : r.classes) c = {};
    }
  }

  // Somebody (or the engine, or its start) puts a setting in force without being asked by us.
  void put_in_force(const Config& setting) {
    for (serving::Observation& r : replicas_) r.effective = setting;
  }

  bool refuse_applies = false;
  serving::Health state = serving::Health::kOk;
  bool fresh = true;
  bool keeps_confirmed = true;
  bool accepts_another = false;  // requalify() takes the model that is there now
  Config confirmed;  // the set that outlives the tuner
  int confirms = 0, renewals = 0;
  std::function<void(Config&)> clamp;      // changes what is put in force
  int applies = 0;

 private:
  static bool in_scope(std::size_t replica, serving::Scope scope) {
    return scope.replica < 0 || replica == static_cast<std::size_t>(scope.replica);
  }
  static void add(serving::ClassCounters& to, const serving::ClassCounters& from) {
    to.arrived += from.arrived;
    to.good += from.good;
    to.bad += from.bad;
    for (std::size_t i = 0; i < serving::kLimits; ++i) to.bad_by[i] += from.bad_by[i];
    to.prompt_tokens += from.prompt_tokens;
  }
  bool gone() const {
    return state == serving::Health::kDown || state == serving::Health::kUnqualified;
  }
  void second() {
    if (state != serving::Health::kOk) return;
    for (std::size_t c = 0; c < classes_.size(); ++c) {
      const auto arrivals = static_cast<std::size_t>(classes_[c].rate_per_s);
      for (std::size_t i = 0; i < arrivals; ++i) {
        serving::Observation& replica = replicas_[i % replicas_.size()];
        const double p = bad_share_(replica.effective, c, to_seconds(now_));
        serving::ClassCounters& counters = replica.classes[c];
        const bool bad = rng_.uniform() < p;
        ++(bad ? counters.bad : counters.good);
        if (bad) ++counters.bad_by[static_cast<std::size_t>(classes_[c].breaks)];
        ++counters.arrived;
        counters.prompt_tokens += 500;
      }
    }
  }

  serving::Capabilities capabilities_;
  std::vector<FakeClass> classes_;
  BadShare bad_share_;
  Rng rng_;
  TimePoint now_{};
  std::vector<serving::Observation> replicas_;
};

}  // namespace arqon::testing
