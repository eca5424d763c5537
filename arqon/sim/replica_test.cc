#include "arqon/sim/replica.h"

#include <gtest/gtest.h>

#include <memory>

#include "arqon/base/rng.h"
#include "arqon/sim/twin_fixture.h"

namespace arqon::sim {
namespace {

// One replica without noise, fed by hand.
class ReplicaTest : public testing::Test {
 protected:
  static constexpr std::int64_t kBlocks = 120;

  explicit ReplicaTest(std::int64_t budget = 512)
      : account_({{.name = "any"}}, trace_, 1, false),
        replica_(options(budget), Noise(Rng(1), false), slab_, account_) {}

  static ReplicaOptions options(std::int64_t budget) {
    ReplicaOptions out;
    out.step_time = std::make_shared<const StepTime>(*find_model("llama-3.1-8b"),
                                                     *find_gpu("h100-sxm-80g"), StepTimeOptions{});
    out.settings.live = {.batch_size = 32, .prefill_token_budget = budget};
    out.blocks = kBlocks;
    return out;
  }
  void send(Ps at, std::uint32_t prompt, std::uint32_t output) {
    replica_.advance_to(at);
    Sequence sequence;
    sequence.arrival = at;
    sequence.trace_index = sent_++;
    sequence.prompt = sequence.prefill_target = prompt;
    sequence.output = output;
    replica_.enqueue(slab_.add(sequence), at);
  }

  workload::Trace trace_;
  std::uint32_t sent_ = 0;
  SequenceSlab slab_;
  Account account_;
  Replica replica_;
};

TEST_F(ReplicaTest, never_holds_more_blocks_than_there_are_and_gives_all_back) {
  Rng rng(21);
  Ps at = kPsPerMs;
  for (int i = 0; i < 2000; ++i) {
    at += static_cast<Ps>(rng.exponential() * 60 * static_cast<double>(kPsPerMs));
    send(at, 1 + static_cast<std::uint32_t>(rng.below(700)),
         1 + static_cast<std::uint32_t>(rng.below(400)));
    ASSERT_GE(replica_.blocks_used(), 0);
    ASSERT_LE(replica_.blocks_used() + replica_.blocks_cached(), kBlocks);
  }
  EXPECT_GT(replica_.stats().preemptions, 10u);
  EXPECT_EQ(slab_.live(), replica_.running() + replica_.waiting());
  replica_.advance_to(at + 3600 * kPsPerSecond);
  EXPECT_TRUE(replica_.empty());
  EXPECT_EQ(replica_.blocks_used(), 0);
  EXPECT_EQ(replica_.kv_use(), 0);
  EXPECT_EQ(slab_.live(), 0u);
  EXPECT_EQ(account_.ended(), 2000u);
}

TEST_F(ReplicaTest, admits_first_come_first_served_within_one_budget) {
  send(kPsPerMs, 500, 50);
  send(kPsPerMs, 300, 50);
  replica_.advance_to(kPsPerMs + 1);
  EXPECT_EQ(replica_.running(), 2u);  // 500 tokens of the first, 12 of the second
  send(2 * kPsPerMs, 600, 50);
  replica_.advance_to(2 * kPsPerMs + 1);
  EXPECT_EQ(replica_.waiting(), 1u);  // the step under way is not touched
  EXPECT_EQ(replica_.stats().steps, 1u);
  replica_.advance_to(replica_.busy_until() + 1);
  // One token for the decoding first, 288 for the second, the rest for the third.
  EXPECT_EQ(replica_.running(), 3u);
  EXPECT_EQ(replica_.waiting(), 0u);
}

TEST_F(ReplicaTest, a_held_replica_finishes_what_runs_and_admits_nothing) {
  send(kPsPerMs, 100, 20);
  replica_.advance_to(2 * kPsPerMs);
  replica_.hold(true);
  send(3 * kPsPerMs, 100, 20);
  replica_.advance_to(10 * kPsPerSecond);
  EXPECT_TRUE(replica_.empty());
  EXPECT_EQ(replica_.waiting(), 1u);
  EXPECT_EQ(replica_.take_queue().size(), 1u);
}

}  // namespace
}  // namespace arqon::sim
