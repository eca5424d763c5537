// One cycle of apply, confirm and revert, ended at every call of a disk or of the actuator: tuner,
// agent or the whole machine, with a tuner that comes back and one that never does.
#include <gtest/gtest.h>

#include "tests/campaign/world.h"

namespace arqon::campaign {
namespace {

constexpr double kCycleS = 260;
constexpr double kAfterS = 20;

WorldOptions options(int replicas) {
  return {.seed = 11, .replicas = replicas, .best = 3000, .requests_min = 60, .steep = 0.2,
          .cliff = true};
}

std::string told(const World& world) {
  std::string out;
  for (const Breach& b : world.breaches()) out += b.rule + ": " + b.what + "\n";
  return out;
}

struct Ending {
  const char* name;
  Victim victim;
  bool boots;    // the engine too
  bool returns;  // the tuner
};
constexpr Ending kEndings[] = {
    {"tuner, never back", Victim::kTuner, false, false},
    {"tuner, back", Victim::kTuner, false, true},
    {"agent", Victim::kAgent, false, false},
    {"power, tuner never back", Victim::kHost, false, false},
    {"power, tuner back", Victim::kHost, false, true},
    {"power and engine, tuner never back", Victim::kHost, true, false},
    {"power and engine, tuner back", Victim::kHost, true, true}};

// Runs a cycle that ends at `call`; false when it had no such call.
bool end_at(std::uint64_t call, const Ending& ending, int replicas) {
  World world(options(replicas));
  world.stop_at = call;
  world.stop = ending.victim;
  world.boot_on_power_loss = ending.boots;
  world.run_tuner(kCycleS);
  const bool ended = world.calls() >= call;
  if (ending.returns) world.run_tuner(world.now_s() + kAfterS);
  world.wait_until(world.now_s() + kAfterS);
  world.check_chain();
  EXPECT_TRUE(world.settled()) << ending.name << " at call " << call;
  if (!world.confirmed().empty()) {
    EXPECT_EQ(world.in_force(), world.confirmed()) << ending.name << " at call " << call;
  }
  EXPECT_EQ(told(world), "") << ending.name << " at call " << call;
  return ended;
}

TEST(CrashMatrix, the_cycle_holds_an_apply_a_confirmation_and_a_revert) {
  for (const int replicas : {1, 3}) {
    World world(options(replicas));
    ASSERT_TRUE(world.run_tuner(kCycleS));
    world.check_chain();
    EXPECT_GE(world.confirms, 1u) << replicas;
    EXPECT_GE(world.reverts, 1u) << replicas;
    EXPECT_EQ(told(world), "") << replicas;
    std::printf("%d replicas: %llu calls, %llu writes, %llu records\n", replicas,
                static_cast<unsigned long long>(world.calls()),
                static_cast<unsigned long long>(world.writes),
                static_cast<unsigned long long>(world.records));
  }
}

class Matrix : public ::testing::TestWithParam<int> {};

TEST_P(Matrix, whoever_ends_wherever_the_confirmed_set_stands_and_no_record_is_lost) {
  std::uint64_t stops = 0;
  for (const Ending& ending : kEndings) {
    for (std::uint64_t call = 1; end_at(call, ending, GetParam()); ++call) {
      ++stops;
      if (::testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(stops, 7u * 100u);
}
INSTANTIATE_TEST_SUITE_P(Replicas, Matrix, ::testing::Values(1, 3));

}  // namespace
}  // namespace arqon::campaign
