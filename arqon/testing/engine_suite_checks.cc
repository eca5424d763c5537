// The checks themselves. Each leaves the engine healed and at its values at attach.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "arqon/testing/engine_suite_hand.h"

namespace arqon::testing {
namespace {

using serving::Capabilities;
using serving::ClassCounters;
using serving::Health;
using serving::Observation;
using serving::Scope;

constexpr int kFew = 8;  // requests that show that something counts
// Requests that others (the poller itself, a warm-up) may have in flight.
constexpr std::uint64_t kSlack = 16;

// ---- What attach found

void facts_agree(Hand& hand, const Capabilities& c) {
  if (c.facts.empty()) return;
  if (!hand.expect(c.facts.size() == c.knobs.size(), "facts, but not one per knob")) return;
  for (std::size_t k = 0; k < c.knobs.size(); ++k) {
    const std::string& name = c.knobs[k].name;
    const double top = c.knobs[k].type == ParamType::kSimplex ? 0 : hand.space()[k].max;
    hand.expect(c.facts[k].boot_capacity >= top,
                fmt::format("{}: the domain ends at {}, above the boot capacity {}", name, top,
                            c.facts[k].boot_capacity));
    hand.expect(!c.facts[k].note.empty(), fmt::format("{}: no note on how it gets there", name));
    hand.expect(c.facts[k].apply_cost >= Duration::zero(), name + ": apply_cost below zero");
  }
}

void capabilities_are_complete(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  const Capabilities& c = rig.engine().capabilities();
  hand.expect(!c.engine.empty(), "the engine has no name");
  hand.expect(!c.identity.engine.empty(), "the identity names no engine");
  hand.expect(c.replicas >= 1, "fewer than one replica");
  hand.expect(!c.classes.empty(), "no request class");
  hand.expect(!c.knobs.empty(), "no knob");
  std::set<std::string> names;
  for (std::size_t k = 0; k < c.knobs.size(); ++k) {
    const Parameter& p = hand.space()[k];
    hand.expect(!p.name.empty() && names.insert(p.name).second,
                fmt::format("knob {}: name \"{}\" is empty or there twice", k, p.name));
    hand.expect(std::isfinite(p.min) && std::isfinite(p.max) && p.min <= p.max,
                p.name + ": no domain");
  }
  if (hand.expect(c.settle.size() == c.knobs.size(), "settle times, but not one per knob")) {
    for (std::size_t k = 0; k < c.knobs.size(); ++k) {
      hand.expect(c.settle[k] > Duration::zero(), c.knobs[k].name + ": no settle time");
    }
  }
  facts_agree(hand, c);
  const auto broken = hand.space().first_violation(c.boot);
  hand.expect(!broken, broken ? fmt::format("boot value of {} is not in its domain: {}",
                                            hand.space()[*broken].name, Hand::text(c.boot))
                              : "");
  hand.expect(rig.engine().health() == Health::kOk, "not in good health at the start");
}

// ---- Writes

void a_setting_in_the_domain_is_put_in_force(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  const Config boot = rig.engine().capabilities().boot;
  hand.back();
  for (std::size_t k = 0; k < hand.space().size(); ++k) {
    if (!hand.movable(k)) continue;
    hand.put(hand.other(k, boot), hand.space()[k].name);
  }
  // Several at once.
  Config all = boot;
  for (std::size_t k = 0; k < hand.space().size(); ++k) {
    if (hand.movable(k)) all = hand.other(k, all);
  }
  hand.put(all, "all knobs at once");
  hand.back();
}

void only_what_differs_is_written(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  if (!rig.writes()) return;
  const std::uint64_t before = *rig.writes();
  const Config boot = rig.engine().capabilities().boot;
  for (int i = 0; i < 3; ++i) hand.put(boot, "what is in force already");
  hand.expect(*rig.writes() == before,
              fmt::format("{} writes though nothing differs", *rig.writes() - before));
  hand.put(hand.other(rig.fault_knob(), boot), "one knob");
  hand.expect(*rig.writes() > before, "a change was not written");
  hand.back();
}

std::vector<std::pair<std::string, Config>> settings_outside(const Hand& hand, const Config& boot) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  std::vector<std::pair<std::string, Config>> out;
  for (std::size_t k = 0; k < hand.space().size(); ++k) {
    if (!hand.movable(k)) continue;
    const Parameter& p = hand.space()[k];
    const std::size_t at = hand.space().offset(k);
    // Another value beside the bad one: a write before the check would show.
    Config base = boot;
    for (std::size_t other = 0; other < hand.space().size(); ++other) {
      if (other != k && hand.movable(other)) base = hand.other(other, base);
    }
    const auto with = [&](std::string_view what, double value) {
      out.emplace_back(fmt::format("{} {}", p.name, what), base).second[at] = value;
    };
    with("NaN", kNan);
    with("infinite", kInf);
    with("minus infinite", -kInf);
    with("below its domain", p.type == ParamType::kSimplex ? -0.5 : p.min - 1);
    with("above its domain", p.max + 1);
    if (p.type == ParamType::kSimplex) with("not summing to 1", base[at] + 0.25);
    const double step = p.grid_step();
    if (p.type != ParamType::kSimplex && step > 0) with("off its grid", p.min + step * 0.5);
  }
  out.emplace_back("nothing", Config{});
  out.emplace_back("one value too few", Config(boot.begin(), boot.end() - 1));
  out.emplace_back("one value too many", boot).second.push_back(1);
  return out;
}

void a_setting_outside_the_domain_changes_nothing(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  const Config boot = hand.values();
  const std::optional<std::uint64_t> writes = rig.writes();
  const auto refused = [&](const std::string& what, const Config& setting, Scope scope) {
    const Result<Config> out = hand.apply(setting, scope);
    hand.expect(!out && out.error().code == ErrorCode::kInvalidConfig,
                fmt::format("{}: {} instead of invalid_config", what,
                            out ? "taken" : to_string(out.error().code)));
  };
  for (const auto& [what, setting] : settings_outside(hand, boot)) refused(what, setting, {});
  const Config good = hand.other(rig.fault_knob(), boot);
  refused("a replica that is not there", good, {rig.engine().capabilities().replicas});
  refused("a negative replica", good, {-2});
  hand.drive(1);
  hand.unchanged(boot, writes, "a setting outside the domain");
  hand.back();
}

// ---- Readings

void never_falls(Hand& hand, const ClassCounters& was, const ClassCounters& is) {
  bool rises = is.arrived >= was.arrived && is.good >= was.good && is.bad >= was.bad &&
               is.prompt_tokens >= was.prompt_tokens && is.output_tokens >= was.output_tokens &&
               is.good_tokens >= was.good_tokens && is.ttft_ms.count() >= was.ttft_ms.count() &&
               is.gap_ms.count() >= was.gap_ms.count() && is.tpot_ms.count() >= was.tpot_ms.count();
  for (std::size_t i = 0; i < serving::kLimits; ++i) rises = rises && is.bad_by[i] >= was.bad_by[i];
  hand.expect(rises, fmt::format("a counter fell within an epoch: arrived {} -> {}, good {} -> {}, "
                                 "bad {} -> {}",
                                 was.arrived, is.arrived, was.good, is.good, was.bad, is.bad));
}

void adds_up(Hand& hand, const Observation& seen) {
  for (const ClassCounters& c : seen.classes) {
    hand.expect(c.arrived >= c.good + c.bad,
                fmt::format("{} arrived, {} good and {} bad", c.arrived, c.good, c.bad));
    std::uint64_t by = 0;
    for (const std::uint64_t n : c.bad_by) by += n;
    hand.expect(by == c.bad, fmt::format("{} bad, {} by a limit", c.bad, by));
    hand.expect(c.output_tokens >= c.good_tokens, "more good tokens than tokens");
  }
  const bool gauges = seen.running >= 0 && seen.waiting >= 0 && seen.kv_use >= 0 &&
                      seen.kv_use <= 1 && std::isfinite(seen.running) &&
                      std::isfinite(seen.waiting) && std::isfinite(seen.paid_dollars);
  hand.expect(gauges, "a gauge out of its range");
}

std::uint64_t arrived(const Observation& seen) {
  std::uint64_t sum = 0;
  for (const ClassCounters& c : seen.classes) sum += c.arrived;
  return sum;
}
std::uint64_t good(const Observation& seen) {
  std::uint64_t sum = 0;
  for (const ClassCounters& c : seen.classes) sum += c.good;
  return sum;
}
std::uint64_t bad(const Observation& seen) {
  std::uint64_t sum = 0;
  for (const ClassCounters& c : seen.classes) sum += c.bad;
  return sum;
}

// Observed fresh with at least so many ended; the observation, or the last one.
Observation await_ended(Hand& hand, std::uint64_t at_least) {
  Observation seen;
  const auto enough = [&] {
    seen = hand.observe();
    return seen.fresh && good(seen) + bad(seen) >= at_least;
  };
  hand.expect(hand.await(enough, hand.rig().patience(), false),
              fmt::format("{} requests ended, {} were observed", at_least, good(seen) + bad(seen)));
  return seen;
}

void counters_rise_and_add_up(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  const Config boot = rig.engine().capabilities().boot;
  Observation was = hand.observe();
  for (int round = 0; round < 4; ++round) {
    // A change in between: counters go on through it.
    if (round == 2) hand.put(hand.other(rig.fault_knob(), boot), "a change between");
    hand.drive(kFew);
    const Observation is = await_ended(hand, good(was) + bad(was) + kFew);
    hand.expect(is.epoch == was.epoch, "a new epoch though nothing was restarted");
    hand.expect(is.at >= was.at, "time went back");
    hand.expect(is.paid_dollars >= was.paid_dollars, "money came back");
    for (std::size_t c = 0; c < std::min(is.classes.size(), was.classes.size()); ++c) {
      never_falls(hand, was.classes[c], is.classes[c]);
    }
    hand.expect(arrived(is) >= arrived(was) + kFew, "driven requests did not arrive");
    adds_up(hand, is);
    was = is;
  }
  hand.back();
}

void one_replica_takes_a_setting_of_its_own(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  const int replicas = rig.engine().capabilities().replicas;
  if (replicas < 2) return;
  hand.back();
  const Config boot = rig.engine().capabilities().boot;
  const std::size_t knob = rig.fault_knob();
  const Config canary = hand.other(knob, boot);
  std::vector<std::uint64_t> before;
  for (int r = 0; r < replicas; ++r) before.push_back(arrived(hand.observe({r})));
  hand.put(canary, "one replica", {replicas - 1});
  hand.drive(rig.requests_per_replica() * replicas);
  std::uint64_t sum = 0;
  for (int r = 0; r < replicas; ++r) {
    const Observation seen = hand.observe({r});
    sum += arrived(seen);
    hand.expect(hand.same(seen.effective, r == replicas - 1 ? canary : boot),
                fmt::format("replica {} has {} in force", r, Hand::text(seen.effective)));
    hand.expect(arrived(seen) > before[static_cast<std::size_t>(r)],
                fmt::format("replica {} gets no requests beside the canary: {} as before", r,
                            arrived(seen)));
    adds_up(hand, seen);
  }
  hand.expect(sum <= arrived(hand.observe()) + kSlack,
              "replicas together count more than the fleet");
  hand.back();
  for (int r = 0; r < replicas; ++r) {
    hand.expect(hand.in_force(boot, {r}), fmt::format("replica {} kept the canary's values", r));
  }
}

// ---- Writes that go wrong

void an_idle_engine_takes_it_at_its_next_request(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  const Config target = hand.other(rig.fault_knob(), rig.engine().capabilities().boot);
  if (!hand.inject(Fault::kIdle)) return;
  const Result<Config> out = hand.apply(target);
  hand.expect(out && hand.same(*out, target), "an idle engine's write was not taken");
  const Observation waiting = hand.observe();
  hand.expect(!waiting.acknowledged, "acknowledged though the engine has not looked at it");
  hand.expect(hand.same(waiting.effective, target), "effective is not what will be in force");
  hand.expect(waiting.fresh, "idle is taken for a fault of telemetry");
  hand.expect(rig.engine().health() == Health::kOk, "idle is taken for bad health");
  hand.heal(Fault::kIdle);
  hand.expect(hand.in_force(target), "not in force after the next request");
  hand.back();
}

void yes_without_effect_is_a_conflict(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  const Config before = hand.values();
  const Config target = hand.other(rig.fault_knob(), before);
  if (!hand.inject(Fault::kNoEffect)) return;
  const Result<Config> out = hand.apply(target);
  hand.expect(!out && out.error().code == ErrorCode::kConflict,
              fmt::format("{} instead of conflict", out ? "success" : to_string(out.error().code)));
  const Observation seen = hand.observe();
  hand.expect(!seen.fresh || !seen.acknowledged || hand.same(seen.effective, before),
              "reported in force though it is not");
  hand.heal(Fault::kNoEffect);
  hand.put(target, "after it works again");
  hand.back();
}

void a_clamped_value_is_reported_as_it_is(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  const std::size_t knob = rig.fault_knob();
  const std::size_t at = hand.space().offset(knob);
  Config low = rig.engine().capabilities().boot;
  low[at] = hand.space()[knob].min;
  hand.put(low, "the lowest value");
  Config top = low;
  top[at] = hand.space()[knob].max;
  if (!hand.inject(Fault::kClamp)) return;
  const Result<Config> out = hand.apply(top);
  if (hand.expect(out.has_value(), out ? "" : "a clamp is an error: " + out.error().message)) {
    hand.expect((*out)[at] < top[at], "the clamp is hidden: answered as asked");
    hand.expect(hand.in_force(*out), "what was answered is not what is in force");
  }
  hand.heal(Fault::kClamp);
  hand.back();
}

void a_refusal_changes_nothing(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  const Config before = hand.values();
  if (!hand.inject(Fault::kRefuse)) return;
  const Result<Config> out = hand.apply(hand.other(rig.fault_knob(), before));
  hand.expect(!out && out.error().code == ErrorCode::kRefused,
              fmt::format("{} instead of refused", out ? "success" : to_string(out.error().code)));
  hand.drive(1);
  // Asking is allowed, so writes are not counted here.
  hand.unchanged(before, rig.writes(), "a refusal");
  hand.heal(Fault::kRefuse);
  hand.back();
}

// ---- Restarts

void counters_begin_again_under_a_new_epoch(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  hand.drive(4 * kFew);
  const Observation was = await_ended(hand, 4 * kFew);
  if (!hand.inject(Fault::kCounterReset)) return;
  Observation is;
  bool first_fell = false;
  const auto renewed = [&] {
    is = hand.observe();
    first_fell = first_fell || (is.epoch == was.epoch && arrived(is) < arrived(was));
    return is.fresh && is.epoch > was.epoch;
  };
  hand.expect(hand.await(renewed, rig.patience(), true), "the epoch did not rise");
  hand.expect(!first_fell, "counters fell before the epoch rose");
  const std::uint64_t base = arrived(is);
  // Nothing that looks like a difference taken below zero.
  hand.expect(base <= arrived(was) + kSlack && base < (1ull << 40),
              fmt::format("{} arrived at the beginning of an epoch", base));
  hand.drive(kFew);
  const Observation later = await_ended(hand, good(is) + bad(is) + kFew);
  hand.expect(later.epoch == is.epoch, "the epoch rose again by itself");
  hand.expect(arrived(later) <= base + kFew + kSlack, "counters of the old epoch came back");
  adds_up(hand, later);
  hand.heal(Fault::kCounterReset);
  hand.back();
}

// Unqualified, and nothing is written.
void is_left_alone(Hand& hand, std::string_view after) {
  const auto noticed = [&] {
    (void)hand.engine().observe();
    return hand.engine().health() == Health::kUnqualified;
  };
  hand.expect(hand.await(noticed, hand.rig().patience(), false),
              fmt::format("health is not unqualified after {}", after));
  const Config before = hand.rig().truth().value_or(Config{});
  const std::optional<std::uint64_t> writes = hand.rig().writes();
  const Capabilities& c = hand.engine().capabilities();
  const Result<Config> out = hand.apply(hand.other(hand.rig().fault_knob(), c.boot));
  hand.expect(!out && out.error().code == ErrorCode::kRefused,
              fmt::format("{} instead of refused after {}",
                          out ? "written" : to_string(out.error().code), after));
  hand.expect(hand.rig().writes() == writes && hand.rig().truth().value_or(Config{}) == before,
              fmt::format("something was written after {}", after));
}

void another_engine_is_not_written_until_requalified(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  hand.drive(kFew);
  if (!hand.inject(Fault::kOtherFlags)) return;
  is_left_alone(hand, "a restart with other flags");
  hand.expect(rig.engine().requalify(), "requalify, every domain holds");
  hand.expect(rig.engine().health() == Health::kOk, "requalified, but not in good health");
  const Config target = hand.other(rig.fault_knob(), rig.engine().capabilities().boot);
  hand.put(target, "after requalify");
  hand.heal(Fault::kOtherFlags);
  hand.back();
}

void a_smaller_engine_does_not_requalify(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  if (!hand.inject(Fault::kLessCapacity)) return;
  is_left_alone(hand, "a restart with less capacity");
  hand.expect(!rig.engine().requalify(), "requalified though the domain does not hold");
  is_left_alone(hand, "a failed requalify");
  hand.expect(rig.heal(Fault::kLessCapacity), "heal less capacity");
  const auto well = [&] {
    return (rig.engine().health() == Health::kOk || rig.engine().requalify()) &&
           rig.engine().observe().fresh;
  };
  hand.expect(hand.await(well, rig.patience(), false), "the former capacity is not taken up again");
  hand.back();
}

// ---- No answer, no sense

// Every call comes back in time, nothing is concluded, nothing counts as written.
void is_not_believed(Hand& hand, const Observation& last) {
  Rig& rig = hand.rig();
  const auto timed = [&](std::string_view what, const auto& call) {
    const TimePoint before = rig.clock().now();
    call();
    hand.expect(rig.clock().now() - before <= rig.deadline(),
                fmt::format("{} outlived its deadline", what));
  };
  const auto bad_health = [&] {
    timed("observe", [&] { (void)rig.engine().observe(); });
    return rig.engine().health() != Health::kOk;
  };
  hand.expect(hand.await(bad_health, rig.patience(), false), "health stays ok");
  for (int i = 0; i < 2; ++i) {
    const Observation seen = hand.observe();
    hand.expect(!seen.fresh, "fresh though nothing answers");
    hand.expect(
        arrived(seen) == arrived(last) && good(seen) == good(last) && bad(seen) == bad(last),
        "counters are not the last good ones");
    hand.expect(seen.epoch == last.epoch, "an epoch began though nothing answers");
  }
  const Result<Config> out =
      hand.apply(hand.other(rig.fault_knob(), rig.engine().capabilities().boot));
  hand.expect(!out && (out.error().code == ErrorCode::kUnavailable ||
                       out.error().code == ErrorCode::kRefused),
              fmt::format("apply: {} instead of unavailable or refused",
                          out ? "success" : to_string(out.error().code)));
  timed("health", [&] { (void)rig.engine().health(); });
  timed("confirm", [&] { (void)rig.engine().confirm(); });
  timed("renew", [&] { (void)rig.engine().renew(std::chrono::seconds(1)); });
  timed("requalify", [&] { (void)rig.engine().requalify(); });
}

void recovers_from(Rig& rig, Findings& findings, Fault fault) {
  Hand hand(rig, findings);
  hand.back();
  const Observation before = hand.observe();
  hand.drive(kFew);
  const Observation last = await_ended(hand, good(before) + bad(before) + kFew);
  if (!hand.inject(fault)) return;
  is_not_believed(hand, last);
  hand.heal(fault);
  hand.back();
  hand.put(hand.other(rig.fault_knob(), rig.engine().capabilities().boot), "after it came back");
  hand.back();
}

void a_hang_with_health_200_is_noticed(Rig& rig, Findings& findings) {
  recovers_from(rig, findings, Fault::kHang);
}

void a_dead_engine_is_noticed(Rig& rig, Findings& findings) {
  recovers_from(rig, findings, Fault::kDown);
}

void success_without_a_token_is_bad(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  const Observation was = hand.observe();
  if (!hand.inject(Fault::kNoTokens)) return;
  hand.drive(kFew);
  const Observation is = await_ended(hand, good(was) + bad(was) + kFew);
  hand.expect(bad(is) >= bad(was) + kFew && good(is) == good(was),
              fmt::format("{} requests without a token: {} bad, {} good", kFew, bad(is) - bad(was),
                          good(is) - good(was)));
  adds_up(hand, is);
  hand.heal(Fault::kNoTokens);
}

void telemetry_without_sense(Rig& rig, Findings& findings, Fault fault) {
  Hand hand(rig, findings);
  hand.back();
  const Observation before = hand.observe();
  hand.drive(kFew);
  const Observation last = await_ended(hand, good(before) + bad(before) + kFew);
  if (!hand.inject(fault)) return;
  for (int i = 0; i < 3; ++i) {
    const Observation seen = hand.observe();
    hand.expect(!seen.fresh, "fresh though telemetry makes no sense");
    hand.expect(
        arrived(seen) == arrived(last) && good(seen) == good(last) && bad(seen) == bad(last),
        "counters are not the last good ones");
    hand.expect(seen.epoch == last.epoch, "senseless telemetry began an epoch");
    hand.expect(hand.same(seen.effective, last.effective), "senseless telemetry moved effective");
    adds_up(hand, seen);
  }
  hand.heal(fault);
  hand.drive(kFew);
  const Observation after = await_ended(hand, good(last) + bad(last) + kFew);
  hand.expect(after.epoch == last.epoch, "an epoch began though nothing was restarted");
  for (std::size_t c = 0; c < last.classes.size() && c < after.classes.size(); ++c) {
    never_falls(hand, last.classes[c], after.classes[c]);
  }
  hand.back();
}

void garbage_telemetry_is_not_believed(Rig& rig, Findings& findings) {
  telemetry_without_sense(rig, findings, Fault::kGarbage);
}

void half_written_telemetry_is_not_believed(Rig& rig, Findings& findings) {
  telemetry_without_sense(rig, findings, Fault::kHalfWritten);
}

// ---- The way back

void confirm_renew_and_requalify_are_taken(Rig& rig, Findings& findings) {
  Hand hand(rig, findings);
  hand.back();
  const Config boot = rig.engine().capabilities().boot;
  hand.expect(rig.engine().confirm(), "confirm");
  hand.expect(rig.engine().renew(std::chrono::seconds(60)), "renew");
  hand.put(hand.other(rig.fault_knob(), boot), "under a lease");
  hand.expect(rig.engine().renew(std::chrono::seconds(60)), "renew with unproven values");
  hand.expect(rig.engine().confirm(), "confirm other values");
  hand.expect(rig.engine().requalify(), "requalify though nothing happened");
  hand.expect(rig.engine().health() == Health::kOk, "health after requalify");
  const Capabilities& c = rig.engine().capabilities();
  hand.expect(hand.space().first_violation(c.boot) == std::nullopt, "boot left its domain");
  hand.put(boot, "the values at attach");
  hand.expect(rig.engine().confirm(), "confirm the values at attach");
}

}  // namespace

const std::vector<EngineCheck>& engine_checks() {
#define ARQON_CHECK(name, needs) \
  { #name, needs, &name }
  static const std::vector<EngineCheck> checks = {
      ARQON_CHECK(capabilities_are_complete, std::nullopt),
      ARQON_CHECK(a_setting_in_the_domain_is_put_in_force, std::nullopt),
      ARQON_CHECK(only_what_differs_is_written, std::nullopt),
      ARQON_CHECK(a_setting_outside_the_domain_changes_nothing, std::nullopt),
      ARQON_CHECK(counters_rise_and_add_up, std::nullopt),
      ARQON_CHECK(one_replica_takes_a_setting_of_its_own, std::nullopt),
      ARQON_CHECK(confirm_renew_and_requalify_are_taken, std::nullopt),
      ARQON_CHECK(an_idle_engine_takes_it_at_its_next_request, Fault::kIdle),
      ARQON_CHECK(yes_without_effect_is_a_conflict, Fault::kNoEffect),
      ARQON_CHECK(a_clamped_value_is_reported_as_it_is, Fault::kClamp),
      ARQON_CHECK(a_refusal_changes_nothing, Fault::kRefuse),
      ARQON_CHECK(counters_begin_again_under_a_new_epoch, Fault::kCounterReset),
      ARQON_CHECK(another_engine_is_not_written_until_requalified, Fault::kOtherFlags),
      ARQON_CHECK(a_smaller_engine_does_not_requalify, Fault::kLessCapacity),
      ARQON_CHECK(a_hang_with_health_200_is_noticed, Fault::kHang),
      ARQON_CHECK(a_dead_engine_is_noticed, Fault::kDown),
      ARQON_CHECK(success_without_a_token_is_bad, Fault::kNoTokens),
      ARQON_CHECK(garbage_telemetry_is_not_believed, Fault::kGarbage),
      ARQON_CHECK(half_written_telemetry_is_not_believed, Fault::kHalfWritten),
  };
#undef ARQON_CHECK
  return checks;
}

}  // namespace arqon::testing
