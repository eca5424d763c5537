// The person in charge, as the loop sees them: asked at every tick, told at every tick.
#pragma once

#include <cstdint>
#include <string>

#include "arqon/serving/engine.h"
#include "arqon/space/space.h"

namespace arqon::control {

enum class Answer : std::uint8_t { kNone, kApproved, kRejected };

// What `arqonhpo status` shows.
struct LoopStatus {
  double t_s = 0;
  // "steady", "glide", "settle", "measure", "widen", "awaiting approval", "stale telemetry",
  // "engine down", "engine unqualified"
  std::string phase;
  Config in_force, confirmed;
  std::string hold;             // why nothing is being tried, empty when something is
  std::uint64_t decision = 0;   // the newest; in "awaiting approval" the one to answer
  Config proposed;              // its target, empty when nothing is proposed
  std::string why;              // of that proposal
  serving::Health health = serving::Health::kOk;
  bool paused = false, frozen = false;
};

// Called from the loop's thread alone; must not block.
class Supervisor {
 public:
  virtual ~Supervisor() = default;
  // Frozen: nothing is written but reverts. Paused: nothing new is begun; what is open goes on.
  virtual bool frozen() = 0;
  virtual bool paused() = 0;
  // True once for each request to take back what is open, or else what was confirmed last. The
  // supervisor itself says paused() from then on, until the person resumes.
  virtual bool take_rollback() = 0;
  // The answer to a proposal (mode approve), by its decision number.
  virtual Answer answer(std::uint64_t decision) = 0;
  virtual void report(const LoopStatus& status) = 0;
};

}  // namespace arqon::control
