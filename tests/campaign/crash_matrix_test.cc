// One cycle of apply, confirm and revert, ended at every call of a disk or of the actuator: tuner,
// agent or the whole machine, with a tuner that comes back and one that never does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "tests/campaign/world.h"

namespace arqon::campaign {
namespace {

constexpr double kCycleMaxS = 300;
// Of one ending; a longer cycle is sampled evenly.
constexpr std::uint64_t kStopsMax = 400;
constexpr double kAfterS = 20;

WorldOptions options(int replicas) {
  return {.seed = 11, .replicas = replicas, .best = 3000, .requests_min = 60, .steep = 0.5,
          .cliff = true};
}

std::string told(const World& world) {
  std::string out;
  for (const Breach& b : world.breaches()) out += b.rule + ": " + b.what + "\n";
  return out;
}

struct Cycle {
  double seconds = 0;
  std::uint64_t calls = 0;
};

// How long one apply, confirmation and revert take when nothing goes wrong.
Cycle undisturbed(int replicas) {
  World world(options(replicas));
  const Config found = world.in_force();
  double end = 0;
  bool moved = false;
  world.each_second = [&] {
    const Config back = world.confirmed();
    if (back.empty() || back == found || end > 0) return;
    bool open = false;
    for (int r = 0; r < replicas; ++r) {
      open = open || world.engine().observe(serving::Scope{r}).effective != back;
    }
    if (moved && !open) end = world.now_s() + 5;
    moved = moved || open;
  };
  world.run_tuner(kCycleMaxS);
  EXPECT_GT(end, 0) << "no revert after a confirmation";
  World again(options(replicas));
  again.run_tuner(end);
  EXPECT_GE(again.confirms, 1u);
  EXPECT_GE(again.reverts, 1u);
  EXPECT_EQ(told(again), "");
  std::printf("%d replicas: %.0f s, %llu calls, %llu writes\n", replicas, end,
              static_cast<unsigned long long>(again.calls()),
              static_cast<unsigned long long>(again.writes));
  return {end, again.calls()};
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

// Runs a cycle that ends at `call`.
void end_at(std::uint64_t call, const Ending& ending, int replicas, double seconds) {
  World world(options(replicas));
  world.stop_at = call;
  world.stop = ending.victim;
  world.boot_on_power_loss = ending.boots;
  world.run_tuner(seconds);
  EXPECT_GE(world.calls(), call);
  if (ending.returns) world.run_tuner(world.now_s() + kAfterS);
  world.wait_until(world.now_s() + kAfterS);
  world.check_chain();
  EXPECT_TRUE(world.settled()) << ending.name << " at call " << call;
  if (!world.confirmed().empty()) {
    EXPECT_EQ(world.in_force(), world.confirmed()) << ending.name << " at call " << call;
  }
  EXPECT_EQ(told(world), "") << ending.name << " at call " << call;
}

class Matrix : public ::testing::TestWithParam<int> {};

TEST_P(Matrix, whoever_ends_wherever_the_confirmed_set_stands_and_no_record_is_lost) {
  const Cycle cycle = undisturbed(GetParam());
  ASSERT_GT(cycle.calls, 100u);
  const std::uint64_t stride = std::max<std::uint64_t>(1, cycle.calls / kStopsMax);
  for (const Ending& ending : kEndings) {
    for (std::uint64_t call = 1; call <= cycle.calls; call += stride) {
      end_at(call, ending, GetParam(), cycle.seconds);
      if (::testing::Test::HasFailure()) return;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Replicas, Matrix, ::testing::Values(1, 3));

}  // namespace
}  // namespace arqon::campaign
