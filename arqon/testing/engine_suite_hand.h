// What the checks of engine_suite_checks.cc share: calls that are timed and judged as they are
// made.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "arqon/space/space.h"
#include "arqon/testing/engine_suite.h"

namespace arqon::testing {

// One check at work on one rig. Every call that breaks the contract by itself (too long, no words,
// another time axis) is a finding already.
class Hand {
 public:
  Hand(Rig& rig, Findings& findings);

  // Adds the finding when it does not hold; returns whether it does.
  bool expect(bool holds, std::string finding);
  bool expect(const Status& status, std::string_view what);

  bool drive(int requests);
  serving::Observation observe(serving::Scope scope = {});
  Result<Config> apply(const Config& setting, serving::Scope scope = {});
  // Polls until the condition holds; `driving` sends a request each time, for engines that look at
  // a write only when they step.
  bool await(const std::function<bool()>& condition, Duration at_most, bool driving);

  bool same(const Config& a, const Config& b) const;
  // Observed in force, fresh and acknowledged, within the longest settle; and so in truth.
  bool in_force(const Config& setting, serving::Scope scope = {});
  // Applies, and expects the answer and the observation to be what was asked for.
  bool put(const Config& setting, std::string_view what, serving::Scope scope = {});
  // Expects that nothing was changed and nothing written.
  void unchanged(const Config& before, std::optional<std::uint64_t> writes, std::string_view what);
  // `from` with another value of the domain for one knob.
  Config other(std::size_t knob, const Config& from) const;
  bool movable(std::size_t knob) const;  // by apply, to more than one value
  Config values();                       // really in force, or as observed
  void back();                           // to the values at attach

  bool inject(Fault fault);
  bool heal(Fault fault);  // and waits until health is ok and telemetry fresh

  Rig& rig() { return rig_; }
  serving::Engine& engine() { return rig_.engine(); }
  const Space& space() const { return space_; }
  static std::string text(const Config& setting);

 private:
  Duration settle() const;

  Rig& rig_;
  Findings& findings_;
  Space space_;
};

}  // namespace arqon::testing
