// The fast lane: protective moves inside the envelope that experiments have confirmed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "arqon/control/evidence.h"
#include "arqon/control/loop_options.h"
#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::control {

struct ReflexMove {
  Config target;
  std::size_t knob = 0;
  std::string why;
};

// Not thread-safe.
class Reflex {
 public:
  Reflex(Space space, std::vector<guard::Limits> limits, std::vector<Protective> protective,
         const Config& baseline);

  // An experiment has shown this setting to keep its targets: the envelope includes it.
  void prove(const Config& setting);
  // An experiment has shown it to miss them: the envelope spans what else was proven.
  void refute(const Config& setting);
  // What was proven before no longer holds, but for this setting.
  void reset(const Config& confirmed);
  const Config& low() const { return low_; }
  const Config& high() const { return high_; }

  // One step of one knob, in the direction that protects the limit which the last seconds broke;
  // nothing when no limit is broken, the envelope is spent, or the last move is still settling.
  std::optional<ReflexMove> move(const Config& in_force, const Evidence& evidence, TimePoint now);
  // The outcome of the last move; one that did not help makes the lane wait longer each time.
  void helped(bool yes, TimePoint now);

 private:
  void span_proven();

  Space space_;
  std::vector<guard::Limits> limits_;
  std::vector<Protective> protective_;
  static constexpr std::size_t kProvenMax = 64;
  std::vector<Config> proven_;  // never empty
  Config low_, high_;           // of proven_, per slot
  TimePoint quiet_until_{};
  Duration pause_;
};

}  // namespace arqon::control
