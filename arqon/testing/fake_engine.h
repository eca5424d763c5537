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

// Engine and clock in one, as the twin is. Single-threaded, deterministic in `seed`.
class FakeEngine final : public serving::Engine, public Clock {
 public:
  // Share of bad requests of a class under a setting at a time (seconds).
  using BadShare = std::function<double(const Config&, std::size_t class_index, double t_s)>;

  FakeEngine(std::vector<Parameter> knobs, std::vector<FakeClass> classes, BadShare bad_share,
             std::uint64_t seed = 1)
      : classes_(std::move(classes)), bad_share_(std::move(bad_share)), rng_(seed) {
    capabilities_.engine = "fake";
    capabilities_.knobs = knobs;
    capabilities_.settle.assign(knobs.size(), std::chrono::seconds(2));
    capabilities_.boot = Space(knobs).default_config();
    for (const FakeClass& c : classes_) capabilities_.classes.push_back(c.slo);
    state_.classes.resize(classes_.size());
    state_.effective = capabilities_.boot;
  }

  const serving::Capabilities& capabilities() const override { return capabilities_; }
  using serving::Engine::apply;
  using serving::Engine::observe;
  Result<Config> apply(const Config& setting, serving::Scope) override {
    ++applies;
    if (refuse_applies) return fail(ErrorCode::kUnavailable, "the engine does not answer");
    settings.push_back(setting);
    state_.effective = setting;
    if (clamp) clamp(state_.effective);
    return state_.effective;
  }
  serving::Observation observe(serving::Scope) override {
    state_.at = now_;
    return state_;
  }
  serving::Health health() override { return down ? serving::Health::kDown : serving::Health::kOk; }

  TimePoint now() const override { return now_; }
  void wait_until(TimePoint t) override {
    for (; now_ < t; now_ += std::chrono::seconds(1)) second();
  }

  // The engine restarts: counters begin again under a new epoch.
  void restart() {
    ++state_.epoch;
    for (auto& c : state_.classes) c = {};
  }
  void set_rate(std::size_t class_index, double rate) { classes_[class_index].rate_per_s = rate; }

  bool refuse_applies = false;
  bool down = false;
  std::function<void(Config&)> clamp;      // changes what is put in force
  int applies = 0;
  std::vector<Config> settings;            // all that were applied

 private:
  void second() {
    for (std::size_t c = 0; c < classes_.size(); ++c) {
      serving::ClassCounters& counters = state_.classes[c];
      const double p = std::clamp(bad_share_(state_.effective, c, to_seconds(now_)), 0.0, 1.0);
      const auto arrivals = static_cast<std::uint64_t>(classes_[c].rate_per_s);
      for (std::uint64_t i = 0; i < arrivals; ++i) {
        const bool bad = rng_.uniform() < p;
        ++(bad ? counters.bad : counters.good);
        if (bad) ++counters.bad_by[static_cast<std::size_t>(classes_[c].breaks)];
      }
      counters.arrived += arrivals;
      counters.prompt_tokens += 500 * arrivals;
    }
  }

  serving::Capabilities capabilities_;
  std::vector<FakeClass> classes_;
  BadShare bad_share_;
  Rng rng_;
  TimePoint now_{};
  serving::Observation state_;
};

}  // namespace arqon::testing
