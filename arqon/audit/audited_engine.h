// The seam between a tuner and its engine with the audit in it: no write reaches the engine before
// its record is on the disk, and all that the tuner is told goes to the observation log.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "arqon/audit/log.h"
#include "arqon/base/time.h"
#include "arqon/serving/engine.h"

namespace arqon::audit {

// Why the next write is made; for its record.
struct Words {
  std::uint64_t decision = 0;
  Config before;
  std::string lane, reason;
};

// Puts every reading of a clock on the tape. Thread rule of `clock`.
class TapedClock final : public Clock {
 public:
  TapedClock(Clock& clock, Log& log) : clock_(clock), log_(log) {}
  TimePoint now() const override;
  void wait_until(TimePoint t) override;

 private:
  Clock& clock_;
  Log& log_;
};

// What goes in front of an Engine. A write whose record cannot be made durable is refused
// (kRefused, nothing was changed), unless it puts the confirmed set back: that one goes through
// with or without a record. So does nothing else. One thread; all arguments outlive it.
class AuditedEngine final : public serving::Engine {
 public:
  // `wall` tells the time of day in ns; for the records alone.
  AuditedEngine(serving::Engine& engine, Clock& clock, Log& log, std::function<std::int64_t()> wall)
      : engine_(engine), clock_(clock), log_(log), wall_(std::move(wall)) {}

  // The next apply is made for these reasons.
  void explain(Words words) { words_ = std::move(words); }
  // A record of something else than a write; not waited for.
  void note(std::string_view actor, std::string_view action, const std::string& reason,
            wire::Value note);
  // Records that the audit refused or that came back from the engine as errors.
  std::uint64_t refusals() const { return refusals_; }

  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override { return engine_.capabilities(); }
  Result<Config> apply(const Config& setting, serving::Scope scope) override;
  serving::Observation observe(serving::Scope scope) override;
  serving::Health health() override;
  Status confirm() override;
  Status renew(Duration lease) override;
  Status requalify() override;

 private:
  Record stamped(std::string_view actor, std::string_view action) const;
  Result<Config> apply_recorded(const Config& setting, serving::Scope scope);
  Status confirm_recorded();

  serving::Engine& engine_;
  Clock& clock_;
  Log& log_;
  std::function<std::int64_t()> wall_;
  Words words_;
  Config in_force_, confirmed_;  // of the fleet, as far as was seen; empty = not yet
  std::uint64_t epoch_ = 0, generation_ = 0, refusals_ = 0;
};

}  // namespace arqon::audit
