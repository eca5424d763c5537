#include "arqon/os/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

namespace arqon::os {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Run, gives_output_and_exit_code_without_a_shell) {
  const ProcessResult result = run({"sh", "-c", "echo out; echo err >&2; exit 3"}).value();
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(run({"echo", "$HOME; ls"}).value().out, "$HOME; ls\n");
  EXPECT_EQ(run({"sh", "-c", "kill -9 $$"}).value().exit_code, 128 + SIGKILL);
}

TEST(Run, hands_on_input_and_environment) {
  EXPECT_EQ(run({"cat"}, {.input = "abc"}).value().out, "abc");
  const std::string large(1'000'000, 'i');
  EXPECT_EQ(run({"cat"}, {.input = large}).value().out, large) << "no deadlock of two full pipes";
  EXPECT_EQ(run({"sh", "-c", "echo $ARQON_X"}, {.environment = {{"ARQON_X", "7"}}}).value().out,
            "7\n");
  EXPECT_EQ(run({"sh", "-c", "[ -n \"$PATH\" ]"}).value().exit_code, 0) << "ours is kept";
  EXPECT_EQ(run({"true"}, {.input = large}).value().exit_code, 0) << "input nobody reads is fine";
}

TEST(Run, keeps_bounded_output_and_drops_the_rest) {
  const auto result = run({"sh", "-c", "yes | head -c 3000000"}, {.bytes_max = 1000}).value();
  EXPECT_EQ(result.out.size(), 1000u);
  EXPECT_EQ(result.exit_code, 0);
}

TEST(Run, kills_the_whole_group_at_the_timeout) {
  const auto result = run({"sh", "-c", "sleep 60 & sleep 60"}, {.timeout = milliseconds(100)});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(result.error().message.find("0.1 s"), std::string::npos) << result.error().message;
}

TEST(Run, does_not_wait_for_what_the_child_leaves_in_the_background) {
  const SystemClock clock;
  const TimePoint before = clock.now();
  const auto result = run({"sh", "-c", "sleep 20 & echo $!"}, {.timeout = seconds(15)});
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_LT(clock.now() - before, seconds(10));
  const pid_t left = static_cast<pid_t>(std::stol(result->out));
  EXPECT_EQ(::kill(left, SIGKILL), 0) << "it was still running";
}

TEST(Run, says_what_could_not_be_started) {
  const auto missing = run({"no-such-program-here"});
  EXPECT_EQ(missing.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(missing.error().message.find("no-such-program-here"), std::string::npos);
  EXPECT_EQ(run({}).error().code, ErrorCode::kUsage);
}

TEST(SystemClock, waits_at_least_until_its_moment) {
  SystemClock clock;
  const TimePoint until = clock.now() + milliseconds(20);
  clock.wait_until(until);
  EXPECT_GE(clock.now(), until);
  clock.wait_until(time_at(0));  // long past: returns at once
}

TEST(SystemClock, wake_ends_a_wait_early_also_when_it_comes_first) {
  SystemClock clock;
  const TimePoint far = clock.now() + seconds(30);
  clock.wake();
  clock.wait_until(far);
  std::thread waker([&] { clock.wake(); });
  clock.wait_until(far);
  waker.join();
  EXPECT_LT(clock.now(), far);
}

}  // namespace
}  // namespace arqon::os
