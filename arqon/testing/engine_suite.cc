#include "arqon/testing/engine_suite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/space/space.h"
#include "arqon/testing/engine_suite_hand.h"

namespace arqon::testing {

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::kIdle:
      return "idle";
    case Fault::kNoEffect:
      return "no effect";
    case Fault::kClamp:
      return "clamp";
    case Fault::kRefuse:
      return "refuse";
    case Fault::kCounterReset:
      return "counter reset";
    case Fault::kOtherFlags:
      return "other flags";
    case Fault::kLessCapacity:
      return "less capacity";
    case Fault::kHang:
      return "hang";
    case Fault::kDown:
      return "down";
    case Fault::kNoTokens:
      return "no tokens";
    case Fault::kGarbage:
      return "garbage";
    case Fault::kHalfWritten:
      return "half written";
  }
  return "";
}

const std::vector<Fault>& all_faults() {
  static const std::vector<Fault> faults = {
      Fault::kIdle,         Fault::kNoEffect,   Fault::kClamp,        Fault::kRefuse,
      Fault::kCounterReset, Fault::kOtherFlags, Fault::kLessCapacity, Fault::kHang,
      Fault::kDown,         Fault::kNoTokens,   Fault::kGarbage,      Fault::kHalfWritten};
  return faults;
}

double Rig::tolerance(std::size_t) const { return 1e-9; }

// ---- Hand: one check at work on one rig

Hand::Hand(Rig& rig, Findings& findings)
    : rig_(rig), findings_(findings), space_(rig.engine().capabilities().knobs) {}

bool Hand::expect(bool holds, std::string finding) {
  if (!holds) findings_.add(std::move(finding));
  return holds;
}

bool Hand::expect(const Status& status, std::string_view what) {
  return expect(status.has_value(),
                status ? "" : fmt::format("{}: {}", what, status.error().message));
}

bool Hand::drive(int requests) { return expect(rig_.drive(requests), "drive"); }

serving::Observation Hand::observe(serving::Scope scope) {
  const TimePoint before = rig_.clock().now();
  serving::Observation seen = rig_.engine().observe(scope);
  const TimePoint after = rig_.clock().now();
  expect(after - before <= rig_.deadline(), "observe outlived its deadline");
  expect(seen.at >= before && seen.at <= after,
         fmt::format("observed at {} s, called between {} and {} s", to_seconds(seen.at),
                     to_seconds(before), to_seconds(after)));
  expect(seen.classes.size() == rig_.engine().capabilities().classes.size(),
         "an observation does not have the classes of the capabilities");
  expect(seen.effective.size() == space_.slots(), "effective is not one setting");
  return seen;
}

Result<Config> Hand::apply(const Config& setting, serving::Scope scope) {
  Duration allowed = rig_.deadline();
  for (const serving::KnobFacts& f : rig_.engine().capabilities().facts) allowed += f.apply_cost;
  const TimePoint before = rig_.clock().now();
  Result<Config> out = rig_.engine().apply(setting, scope);
  expect(rig_.clock().now() - before <= allowed, "apply outlived its deadline");
  if (!out) expect(!out.error().message.empty(), "apply failed without a word");
  return out;
}

bool Hand::same(const Config& a, const Config& b) const {
  if (a.size() != space_.slots() || b.size() != space_.slots()) return false;
  for (std::size_t k = 0; k < space_.size(); ++k) {
    const double simplex = space_[k].type == ParamType::kSimplex ? 0.01 : 0;
    for (std::size_t s = 0; s < space_[k].slots(); ++s) {
      const std::size_t i = space_.offset(k) + s;
      if (!(std::abs(a[i] - b[i]) <= std::max(rig_.tolerance(k), simplex))) return false;
    }
  }
  return true;
}

bool Hand::await(const std::function<bool()>& condition, Duration at_most, bool driving) {
  const TimePoint end = rig_.clock().now() + at_most;
  while (!condition()) {
    if (rig_.clock().now() >= end) return false;
    if (driving && !rig_.drive(1)) return false;
    rig_.clock().wait_until(rig_.clock().now() + std::chrono::milliseconds(50));
  }
  return true;
}

Duration Hand::settle() const {
  Duration most = rig_.patience();
  for (const Duration d : rig_.engine().capabilities().settle) {
    most = std::max(most, d + rig_.patience());
  }
  return most;
}

bool Hand::in_force(const Config& setting, serving::Scope scope) {
  const auto seen = [&] {
    const serving::Observation o = rig_.engine().observe(scope);
    return o.fresh && o.acknowledged && same(o.effective, setting);
  };
  if (!await(seen, settle(), true)) return false;
  const std::optional<Config> truth = scope.replica < 0 ? rig_.truth() : std::nullopt;
  return expect(!truth || same(*truth, setting),
                fmt::format("{} reported, {} in force", text(setting), truth ? text(*truth) : ""));
}

bool Hand::put(const Config& setting, std::string_view what, serving::Scope scope) {
  const Result<Config> out = apply(setting, scope);
  if (!expect(out.has_value(), out ? "" : fmt::format("{}: {}", what, out.error().message))) {
    return false;
  }
  expect(same(*out, setting),
         fmt::format("{}: asked for {}, answered {}", what, text(setting), text(*out)));
  return expect(in_force(setting, scope),
                fmt::format("{}: {} was never observed in force", what, text(setting)));
}

Config Hand::other(std::size_t knob, const Config& from) const {
  const Parameter& p = space_[knob];
  const std::size_t at = space_.offset(knob);
  Config out = from;
  if (p.type == ParamType::kSimplex) {
    const double n = static_cast<double>(p.slots());
    for (std::size_t i = 0; i < p.slots(); ++i) {
      out[at + i] = (i == 0 ? 1.5 : (n - 1.5) / (n - 1)) / n;
    }
  } else {
    // The middle in the knob's own scale, or an end of the domain when it stands there.
    std::vector<double> unit = space_.encode(from);
    unit[at] = 0.5;
    for (const double value : {space_.decode(unit)[at], p.min, p.max}) {
      out[at] = value;
      if (std::abs(value - from[at]) > rig_.tolerance(knob)) break;
    }
  }
  return out;
}

bool Hand::movable(std::size_t knob) const {
  const Parameter& p = space_[knob];
  const bool moves = p.change_class == ChangeClass::kLive ||
                     p.change_class == ChangeClass::kReload ||
                     p.change_class == ChangeClass::kRestart;
  return moves && (p.type == ParamType::kSimplex ? p.slots() > 1 : p.max > p.min);
}

Config Hand::values() {
  if (const std::optional<Config> truth = rig_.truth()) return *truth;
  return observe().effective;
}

void Hand::unchanged(const Config& before, std::optional<std::uint64_t> writes,
                     std::string_view what) {
  const Config seen = observe().effective;
  expect(same(seen, before), fmt::format("{}: {} became {}", what, text(before), text(seen)));
  const std::optional<Config> truth = rig_.truth();
  expect(!truth || same(*truth, before), fmt::format("{}: written all the same", what));
  expect(rig_.writes() == writes, fmt::format("{}: something was written", what));
}

void Hand::back() {
  const Config boot = rig_.engine().capabilities().boot;
  const auto returned = [&] { return apply(boot).has_value(); };
  expect(await(returned, rig_.patience(), false), "the values at attach cannot be put back");
  expect(in_force(boot), "the values at attach were not in force again");
}

bool Hand::inject(Fault fault) {
  return expect(rig_.inject(fault), fmt::format("inject {}", to_string(fault)));
}

bool Hand::heal(Fault fault) {
  if (!expect(rig_.heal(fault), fmt::format("heal {}", to_string(fault)))) return false;
  const auto well = [&] {
    return rig_.engine().health() == serving::Health::kOk && rig_.engine().observe().fresh;
  };
  return expect(await(well, rig_.patience(), false),
                fmt::format("health was not ok again after {}", to_string(fault)));
}

std::string Hand::text(const Config& setting) {
  return fmt::format("[{}]", fmt::join(setting, " "));
}

// ---- Running

std::optional<std::string> skipped(const Rig& rig, const EngineCheck& check) {
  if (!check.needs || rig.supports().contains(*check.needs)) return std::nullopt;
  return fmt::format("fault \"{}\" ({} engine): {}", to_string(*check.needs), rig.kind(),
                     rig.why_not(*check.needs));
}

Findings run_engine_checks(const RigMaker& make) {
  Findings all;
  for (const EngineCheck& check : engine_checks()) {
    const Result<std::shared_ptr<Rig>> rig = make();
    if (!rig) {
      all.add(fmt::format("{}: {}", check.name, rig.error().message));
      continue;
    }
    if (skipped(**rig, check)) continue;
    Findings findings;
    check.run(**rig, findings);
    for (const std::string& text : findings.texts()) {
      all.add(fmt::format("{}: {}", check.name, text));
    }
  }
  return all;
}

std::vector<EngineSuiteCase> engine_suite_cases(const RigMaker& make) {
  std::vector<EngineSuiteCase> cases;
  for (const EngineCheck& check : engine_checks()) cases.push_back({make, check});
  return cases;
}

std::string engine_check_name(const ::testing::TestParamInfo<EngineSuiteCase>& info) {
  return std::string(info.param.check.name);
}

TEST_P(EngineSuite, holds) {
  const auto& [make, check] = GetParam();
  const Result<std::shared_ptr<Rig>> rig = make();
  if (!rig && rig.error().code == ErrorCode::kUnavailable) GTEST_SKIP() << rig.error().message;
  ASSERT_TRUE(rig.has_value()) << rig.error().message;
  if (const auto reason = skipped(**rig, check)) GTEST_SKIP() << "skipped: " << *reason;
  Findings findings;
  check.run(**rig, findings);
  for (const std::string& text : findings.texts()) ADD_FAILURE() << text;
}
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EngineSuite);

}  // namespace arqon::testing
