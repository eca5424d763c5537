#include "arqon/testing/engine_suite.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "arqon/testing/lying_engine.h"

namespace arqon::testing {
namespace {

class ModelRig final : public Rig {
 public:
  explicit ModelRig(Lie lie) : server_(3, LyingEngine::boot()), engine_(server_, clock_, lie) {}

  serving::Engine& engine() override { return engine_; }
  Clock& clock() override { return clock_; }
  std::string_view kind() const override { return "simulated"; }
  Status drive(int requests) override {
    if (server_.has(Fault::kDown) || server_.has(Fault::kHang)) {
      return fail(ErrorCode::kUnavailable, "nobody answers");
    }
    for (int i = 0; i < requests; ++i) server_.request(next_++ % server_.fleet.size());
    clock_.wait_until(clock_.now() + std::chrono::milliseconds(10) * requests);
    return {};
  }
  std::set<Fault> supports() const override { return {all_faults().begin(), all_faults().end()}; }
  Status inject(Fault fault) override {
    if (fault == Fault::kCounterReset) server_.restart(now_in_force(), server_.version, 64);
    if (fault == Fault::kOtherFlags) server_.restart(LyingEngine::boot(), "model 2", 96);
    if (fault == Fault::kLessCapacity) {
      former_ = server_.version;
      server_.restart({16, 0.5}, server_.version, 16);
    }
    server_.faults.insert(fault);
    return {};
  }
  Status heal(Fault fault) override {
    server_.faults.erase(fault);
    if (fault == Fault::kLessCapacity) server_.restart(LyingEngine::boot(), former_, 64);
    if (fault == Fault::kDown) server_.restart(LyingEngine::boot(), server_.version, 64);
    if (fault == Fault::kIdle) return drive(static_cast<int>(server_.fleet.size()));
    return {};
  }
  std::optional<Config> truth() override { return server_.fleet[0].in_force; }
  std::optional<std::uint64_t> writes() override { return server_.writes; }

 private:
  Config now_in_force() const { return server_.fleet[0].in_force; }

  ManualClock clock_;
  ModelServer server_;
  LyingEngine engine_;
  std::string former_;
  std::size_t next_ = 0;
};

RigMaker maker(Lie lie) {
  return [lie]() -> Result<std::shared_ptr<Rig>> { return std::make_shared<ModelRig>(lie); };
}

std::string text(const Findings& findings) {
  std::string out;
  for (const std::string& finding : findings.texts()) out += finding + "\n";
  return out;
}

ARQON_ENGINE_SUITE(Honest, maker(Lie::kNone));

// Which check finds which lie; a lie may be found by others too.
const std::map<Lie, std::string_view>& found_by() {
  static const std::map<Lie, std::string_view> table = {
      {Lie::kClaimsSuccess, "yes_without_effect_is_a_conflict"},
      {Lie::kHidesClamp, "a_clamped_value_is_reported_as_it_is"},
      {Lie::kTakesAnything, "a_setting_outside_the_domain_changes_nothing"},
      {Lie::kSnaps, "a_setting_outside_the_domain_changes_nothing"},
      {Lie::kWritesBeforeCheck, "a_setting_outside_the_domain_changes_nothing"},
      {Lie::kWritesOnRefusal, "a_refusal_changes_nothing"},
      {Lie::kWritesAlways, "only_what_differs_is_written"},
      {Lie::kForgetsScope, "one_replica_takes_a_setting_of_its_own"},
      {Lie::kStarvesOthers, "one_replica_takes_a_setting_of_its_own"},
      {Lie::kAlwaysAcknowledged, "an_idle_engine_takes_it_at_its_next_request"},
      {Lie::kForgetsIdleWrite, "an_idle_engine_takes_it_at_its_next_request"},
      {Lie::kIdleIsFault, "an_idle_engine_takes_it_at_its_next_request"},
      {Lie::kCountersFall, "counters_rise_and_add_up"},
      {Lie::kBadIsLost, "success_without_a_token_is_bad"},
      {Lie::kGoodAboveArrived, "counters_rise_and_add_up"},
      {Lie::kLimitsDoNotAddUp, "counters_rise_and_add_up"},
      {Lie::kHugeDelta, "counters_begin_again_under_a_new_epoch"},
      {Lie::kNoEpoch, "counters_begin_again_under_a_new_epoch"},
      {Lie::kEpochOnGarbage, "garbage_telemetry_is_not_believed"},
      {Lie::kFreshOnGarbage, "half_written_telemetry_is_not_believed"},
      {Lie::kZerosOnGarbage, "garbage_telemetry_is_not_believed"},
      {Lie::kFreshWhenDown, "a_dead_engine_is_noticed"},
      {Lie::kHealthAlwaysOk, "a_hang_with_health_200_is_noticed"},
      {Lie::kWaitsForever, "a_hang_with_health_200_is_noticed"},
      {Lie::kWritesUnqualified, "another_engine_is_not_written_until_requalified"},
      {Lie::kNeverUnqualified, "another_engine_is_not_written_until_requalified"},
      {Lie::kRequalifiesAnything, "a_smaller_engine_does_not_requalify"},
      {Lie::kNeverRequalifies, "another_engine_is_not_written_until_requalified"},
      {Lie::kEmptyIsGood, "success_without_a_token_is_bad"},
      {Lie::kOwnTimeAxis, "counters_rise_and_add_up"},
      {Lie::kTimeStandsStill, "counters_rise_and_add_up"},
      {Lie::kNoSettle, "capabilities_are_complete"},
      {Lie::kBootOutside, "capabilities_are_complete"},
      {Lie::kMoreThanCapacity, "capabilities_are_complete"},
      {Lie::kNamesTwice, "capabilities_are_complete"},
      {Lie::kNoIdentity, "capabilities_are_complete"},
      {Lie::kConfirmFails, "confirm_renew_and_requalify_are_taken"},
  };
  return table;
}

TEST(EngineSuiteItself, an_engine_that_keeps_the_contract_passes_every_check) {
  EXPECT_EQ(text(run_engine_checks(maker(Lie::kNone))), "");
  const ModelRig rig(Lie::kNone);
  for (const EngineCheck& check : engine_checks()) EXPECT_FALSE(skipped(rig, check)) << check.name;
}

class EveryLie : public ::testing::TestWithParam<int> {};
TEST_P(EveryLie, is_found_by_the_check_that_looks_for_it) {
  const Lie lie = static_cast<Lie>(GetParam());
  ASSERT_TRUE(found_by().contains(lie)) << "no check is named for lie " << GetParam();
  const std::string found = text(run_engine_checks(maker(lie)));
  EXPECT_NE(found.find(fmt::format("{}: ", found_by().at(lie))), std::string::npos)
      << "lie " << GetParam() << ", findings:\n"
      << found;
}
INSTANTIATE_TEST_SUITE_P(Lies, EveryLie, ::testing::Range(1, static_cast<int>(Lie::kCount)));

TEST(EngineSuiteItself, every_fault_has_a_name_and_a_check) {
  for (const Fault fault : all_faults()) {
    EXPECT_NE(to_string(fault), "");
    bool checked = false;
    for (const EngineCheck& check : engine_checks()) checked = checked || check.needs == fault;
    EXPECT_TRUE(checked) << to_string(fault);
  }
}

// A rig that cannot cause anything still runs what needs no fault, and says what it leaves out.
class CalmRig final : public Rig {
 public:
  serving::Engine& engine() override { return rig_.engine(); }
  Clock& clock() override { return rig_.clock(); }
  std::string_view kind() const override { return "real"; }
  Status drive(int requests) override { return rig_.drive(requests); }
  std::set<Fault> supports() const override { return {}; }
  std::string why_not(Fault) const override { return "somebody else's engine"; }
  Status inject(Fault) override { return fail(ErrorCode::kInternal, "not asked for"); }
  Status heal(Fault) override { return fail(ErrorCode::kInternal, "not asked for"); }

 private:
  ModelRig rig_{Lie::kNone};
};

TEST(EngineSuiteItself, a_fault_that_the_rig_lacks_is_left_out_by_name_and_reason) {
  const CalmRig calm;
  std::size_t left_out = 0;
  for (const EngineCheck& check : engine_checks()) {
    const auto reason = skipped(calm, check);
    EXPECT_EQ(reason.has_value(), check.needs.has_value()) << check.name;
    if (!reason) continue;
    ++left_out;
    EXPECT_NE(reason->find("somebody else's engine"), std::string::npos);
    EXPECT_NE(reason->find(to_string(*check.needs)), std::string::npos);
  }
  EXPECT_EQ(left_out, all_faults().size());
  const Findings findings = run_engine_checks(
      []() -> Result<std::shared_ptr<Rig>> { return std::make_shared<CalmRig>(); });
  EXPECT_EQ(text(findings), "");
}

TEST(EngineSuiteItself, no_rig_is_a_finding_and_not_a_pass) {
  const Findings findings = run_engine_checks([]() -> Result<std::shared_ptr<Rig>> {
    return fail(ErrorCode::kInternal, "would not start");
  });
  EXPECT_EQ(findings.texts().size(), engine_checks().size());
}

}  // namespace
}  // namespace arqon::testing
