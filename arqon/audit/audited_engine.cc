#include "arqon/audit/audited_engine.h"

#include <utility>

#include "arqon/audit/tape.h"

namespace arqon::audit {

TimePoint TapedClock::now() const {
  const TimePoint now = clock_.now();
  log_.observe(clock_line(now));
  return now;
}

void TapedClock::wait_until(TimePoint t) {
  log_.observe(wait_line(t));
  clock_.wait_until(t);
}

Record AuditedEngine::stamped(std::string_view actor, std::string_view action) const {
  Record record{.epoch = epoch_, .generation = generation_};
  record.mono_ns = clock_.now().time_since_epoch().count();
  record.wall_ns = wall_();
  record.actor = actor;
  record.action = action;
  return record;
}

void AuditedEngine::note(std::string_view actor, std::string_view action, const std::string& reason,
                         wire::Value note) {
  Record record = stamped(actor, action);
  record.reason = reason;
  record.note = std::move(note);
  (void)log_.append(record);
}

Result<Config> AuditedEngine::apply(const Config& setting, serving::Scope scope) {
  auto effective = apply_recorded(setting, scope);
  log_.observe(apply_line(setting, scope, effective));
  if (!effective) ++refusals_;
  return effective;
}

Result<Config> AuditedEngine::apply_recorded(const Config& setting, serving::Scope scope) {
  const bool back = !confirmed_.empty() && setting == confirmed_ && scope.replica < 0;
  Words words = std::exchange(words_, {});
  ++generation_;
  Record intent = stamped("tuner", "intent");
  intent.replica = scope.replica;
  intent.before = words.before.empty() ? in_force_ : std::move(words.before);
  intent.after = setting;
  intent.reason = std::move(words.reason);
  intent.note = wire::Object{{"lane", words.lane}, {"decision", words.decision}};
  const auto seq = log_.append(intent);
  Status durable = seq ? log_.wait(*seq) : Status(tl::unexpected(seq.error()));
  if (!durable && !back) {
    return fail(ErrorCode::kRefused, "nothing was written: " + durable.error().message);
  }
  auto effective = engine_.apply(setting, scope);
  Record outcome = stamped("engine", "outcome");
  outcome.replica = scope.replica;
  wire::Object note{{"of", seq ? *seq : 0}, {"ok", effective.has_value()}};
  if (effective) {
    outcome.after = *effective;
    if (scope.replica < 0) in_force_ = *effective;
  } else {
    note.emplace_back("code", to_string(effective.error().code));
    outcome.reason = effective.error().message;
  }
  outcome.note = std::move(note);
  (void)log_.append(outcome);
  return effective;
}

serving::Observation AuditedEngine::observe(serving::Scope scope) {
  serving::Observation now = engine_.observe(scope);
  if (now.fresh) epoch_ = now.epoch;
  if (now.fresh && scope.replica < 0) in_force_ = now.effective;
  log_.observe(observation_line(scope, now));
  return now;
}

serving::Health AuditedEngine::health() {
  const serving::Health health = engine_.health();
  log_.observe(health_line(health));
  return health;
}

Status AuditedEngine::confirm() {
  Status done = confirm_recorded();
  log_.observe(status_line("c", done));
  return done;
}

Status AuditedEngine::confirm_recorded() {
  Record record = stamped("tuner", "confirm");
  record.before = confirmed_;
  record.after = in_force_;
  if (Status durable = log_.write(record); !durable) {
    return fail(ErrorCode::kRefused, "nothing was confirmed: " + durable.error().message);
  }
  Status done = engine_.confirm();
  if (done) confirmed_ = in_force_;
  return done;
}

Status AuditedEngine::renew(Duration lease) {
  Status done = engine_.renew(lease);
  log_.observe(renew_line(lease, done));
  return done;
}

Status AuditedEngine::requalify() {
  Status done = engine_.requalify();
  log_.observe(status_line("q", done));
  return done;
}

}  // namespace arqon::audit
