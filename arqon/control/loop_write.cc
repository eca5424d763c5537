// The fast lane, writes to the engine, and what the record keeps of them.
#include <fmt/format.h>

#include "arqon/control/internal/constants.h"
#include "arqon/control/loop.h"

namespace arqon::control {

using namespace internal;  // NOLINT(google-build-using-namespace): our own constants

namespace {

// "pool.knob" of one replica is "pool/N.knob".
std::string address(const std::string& name, serving::Scope scope) {
  const std::size_t dot = name.find('.');
  if (scope.replica < 0 || dot == std::string::npos) return name;
  return fmt::format("{}/{}{}", name.substr(0, dot), scope.replica, name.substr(dot));
}

std::string_view lane_name(guard::Lane lane) {
  switch (lane) {
    case guard::Lane::kExperiment:
      return "experiment";
    case guard::Lane::kReflex:
      return "reflex";
    case guard::Lane::kRevert:
      return "revert";
  }
  return "experiment";
}

}  // namespace

// True when it moved.
bool Loop::reflex(const serving::Observation& now) {
  if (!may_write() || options_.mode != Mode::kAuto ||
      guard_.next_allowed(guard::Lane::kReflex, now.at) > now.at) {
    return false;
  }
  const Config from = in_force();
  const auto move = reflex_.move(from, evidence_, now.at);
  if (!move || !anchored()) return false;
  const guard::Verdict verdict = guard_.propose(move->target, guard::Lane::kReflex, now.at);
  if (!verdict.permitted) {
    reflex_.helped(false, now.at);
    record_change(from, move->target, serving::Scope{}, guard::Lane::kReflex, ChangeState::kRefused,
                  fmt::format("guard: {}", guard::to_string(verdict.violation.kind)));
    return false;
  }
  ++decisions_;
  before_reflex_ = evidence_.total(20);
  record_decision("reflex", from, move->target, move->why, *before_reflex_);
  evidence_.clear();
  quiet_until_ = now.at + kQuiet;
  if (!apply(guard_, {.from = from, .lane = guard::Lane::kReflex, .reason = move->why})) {
    before_reflex_.reset();
    (void)guard_.revert(now.at);
    restoring_ = true;
  }
  return true;
}

// A move that did not help is taken back: the burst may be over, and the other limits may suffer.
void Loop::judge_reflex(const stats::Counts& after, const serving::Observation& now) {
  const bool helped = after.rate() < 0.7 * before_reflex_->rate();
  const stats::Counts before = *before_reflex_;
  before_reflex_.reset();
  reflex_.helped(helped, now.at);
  if (helped) {
    guard_.confirm(now.at);  // both ends were proven before: nothing new is claimed
    if (!engine_.confirm()) anchored_ = false;
    return;
  }
  const Config from = in_force();
  (void)guard_.revert(now.at);
  const std::string reason = "the reflex move did not help";
  record_decision("revert", from, in_force(), reason, before, after);
  evidence_.clear();
  quiet_until_ = now.at + kQuiet;
  restoring_ = !apply(guard_, {.from = from, .lane = guard::Lane::kRevert, .reason = reason});
}

void Loop::publish_envelope() {
  const Config low = reflex_.low(), high = reflex_.high();
  (void)guard_.set_envelope(low, high);
}

Status Loop::apply(const guard::SafetyExecutor& guard, const Write& write) {
  const Config wanted(guard.in_force().begin(), guard.in_force().end());
  if (options_.before_write) {
    options_.before_write({decisions_, write.from, lane_name(write.lane), write.reason});
  }
  const auto effective = engine_.apply(wanted, write.scope);
  if (!effective) {
    record_change(write.from, wanted, write.moved, write.lane, ChangeState::kRefused,
                  fmt::format("engine: {}", effective.error().message));
    return tl::unexpected(effective.error());
  }
  const bool revert = write.lane == guard::Lane::kRevert;
  record_change(write.from, *effective, write.moved, write.lane,
                revert ? ChangeState::kReverted : ChangeState::kApplied, write.reason);
  if (*effective != wanted) {
    return fail(ErrorCode::kConflict, "the engine put another setting in force than was asked for");
  }
  return {};
}

void Loop::record_window(WindowRecord window) {
  window.t_s -= to_seconds(begun_);
  record_.windows.push_back(std::move(window));
}

void Loop::record_change(const Config& from, const Config& to, serving::Scope scope,
                         guard::Lane lane, ChangeState state, const std::string& reason) {
  for (std::size_t k = 0; k < space_.size(); ++k) {
    for (std::size_t s = space_.offset(k); s < space_.offset(k) + space_[k].slots(); ++s) {
      if (from[s] == to[s]) continue;
      record_.changes.push_back({elapsed_s(), decisions_,
                                 address(space_[k].name, scope), from[s], to[s],
                                 std::string(lane_name(lane)), state, reason});
    }
  }
}

void Loop::record_decision(const std::string& action, const Config& from, const Config& to,
                           const std::string& reason, const stats::Counts& before,
                           const stats::Counts& after) {
  record_.decisions.push_back({decisions_, elapsed_s(), action, from, to, reason,
                               before.rate(), after.rate(), before.n, after.n});
}

void Loop::say_hold(const std::string& reason) {
  if (hold_ == reason) return;
  hold_ = reason;
  const stats::Counts now = evidence_.total(kIncumbentSeconds);
  record_decision("hold", in_force(), in_force(), reason, now);
}

}  // namespace arqon::control
