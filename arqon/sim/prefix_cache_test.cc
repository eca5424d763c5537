// The prefix cache against a naive model block by block, and what a replica makes of it.
#include "arqon/sim/prefix_cache.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/sim/twin_fixture.h"

namespace arqon::sim {
namespace {

constexpr std::int64_t kBlock = 16;

workload::Request turn_of(std::uint32_t session, std::uint32_t prompt, std::uint32_t output = 1) {
  workload::Request request;
  request.session = session;
  request.system_prompt = 7;
  request.system_tokens = 160;
  request.prompt_tokens = prompt;
  request.output_tokens = output;
  return request;
}

workload::Request recorded(std::vector<std::uint64_t> chain, std::uint32_t prompt) {
  workload::Request request;
  request.prompt_tokens = prompt;
  request.hashes = std::make_shared<const workload::PromptHashes>(
      workload::PromptHashes{.block_tokens = 512, .chain = std::move(chain)});
  return request;
}

std::int64_t found(const PrefixCache& cache, const workload::Request& request) {
  const PrefixWalk walk(&request, 0, request.prompt_tokens, kBlock);
  return cache.find(walk, (request.prompt_tokens - 1) / kBlock).hold.blocks;
}

// Computed and given back at once.
void serve(PrefixCache& cache, const workload::Request& request, std::int64_t tokens) {
  PrefixHold hold;
  cache.extend(hold, PrefixWalk(&request, 0, tokens, kBlock));
  cache.release(hold);
}

TEST(PrefixWalk, passes_the_system_prompt_then_the_conversation) {
  const workload::Request request = turn_of(3, 500);
  PrefixWalk walk(&request, 0, 500, kBlock);
  ASSERT_TRUE(walk.next());
  EXPECT_EQ(walk.begin(), 0);
  EXPECT_EQ(walk.end(), 10);
  const std::uint64_t system = walk.key();
  ASSERT_TRUE(walk.next());
  EXPECT_EQ(walk.begin(), 10);
  EXPECT_EQ(walk.end(), 31);
  EXPECT_NE(walk.key(), system);
  EXPECT_FALSE(walk.next());
}

TEST(PrefixWalk, passes_recorded_blocks_and_then_text_of_its_own) {
  const workload::Request request = recorded({11, 12}, 800);
  PrefixWalk walk(&request, 5, 1000, kBlock);
  ASSERT_TRUE(walk.next());
  EXPECT_EQ(walk.key(), 11u);
  EXPECT_EQ(walk.end(), 32);
  ASSERT_TRUE(walk.next());
  EXPECT_EQ(walk.key(), 12u);
  EXPECT_EQ(walk.end(), 50);  // 800 tokens
  ASSERT_TRUE(walk.next());   // the answer
  EXPECT_EQ(walk.end(), 62);
  EXPECT_FALSE(walk.next());
}

TEST(PrefixCache, a_later_turn_finds_what_was_said_before_and_nobody_else_does) {
  PrefixCache cache;
  EXPECT_EQ(found(cache, turn_of(1, 1000)), 0);
  serve(cache, turn_of(1, 500), 600);
  EXPECT_EQ(found(cache, turn_of(1, 1000)), 37);  // 600 tokens
  EXPECT_EQ(found(cache, turn_of(2, 1000)), 10);  // the system prompt
  EXPECT_EQ(cache.evictable(), 37);
  EXPECT_EQ(cache.pinned(), 0);
}

TEST(PrefixCache, one_token_is_always_left_to_compute) {
  PrefixCache cache;
  serve(cache, turn_of(1, 320), 320);
  EXPECT_EQ(found(cache, turn_of(1, 320)), 19);
  EXPECT_EQ(found(cache, turn_of(1, 321)), 20);
}

TEST(PrefixCache, shared_blocks_are_counted_once) {
  PrefixCache cache;
  const workload::Request a = turn_of(1, 400), b = turn_of(2, 400);
  PrefixHold one, two;
  cache.extend(one, PrefixWalk(&a, 0, 400, kBlock));
  EXPECT_EQ(cache.correction(), 0);
  cache.extend(two, PrefixWalk(&b, 1, 400, kBlock));
  EXPECT_EQ(cache.correction(), -10);
  EXPECT_EQ(cache.pinned(), 40);
  cache.release(one);
  EXPECT_EQ(cache.pinned(), 25);
  EXPECT_EQ(cache.evictable(), 15);
  cache.release(two);
  EXPECT_EQ(cache.correction(), 0);
  EXPECT_EQ(cache.evictable(), 40);
}

TEST(PrefixCache, the_oldest_text_goes_first_and_its_end_before_its_beginning) {
  PrefixCache cache;
  serve(cache, turn_of(1, 400), 400);
  serve(cache, turn_of(2, 400), 400);
  cache.shrink_to(30);
  EXPECT_EQ(found(cache, turn_of(1, 401)), 15);
  EXPECT_EQ(found(cache, turn_of(2, 401)), 25);
  cache.shrink_to(20);
  EXPECT_EQ(found(cache, turn_of(1, 401)), 10);
  EXPECT_EQ(found(cache, turn_of(2, 401)), 20);
  cache.shrink_to(0);
  EXPECT_EQ(found(cache, turn_of(2, 401)), 0);
}

TEST(PrefixCache, hashes_that_are_no_chain_share_nothing_and_break_nothing) {
  PrefixCache cache;
  serve(cache, recorded({1, 2}, 1024), 1024);
  serve(cache, recorded({3, 2}, 1024), 1024);
  EXPECT_EQ(found(cache, recorded({3, 2}, 1024)), 32);
  cache.shrink_to(0);
  EXPECT_EQ(cache.evictable(), 0);
}

// Sequences come, grow and go; every count is checked against sums over all of them.
RC_GTEST_PROP(PrefixCache, counts_add_up_whatever_happens, ()) {
  Rng rng(*rc::gen::arbitrary<std::uint32_t>());
  PrefixCache cache;
  struct Live {
    workload::Request request;
    std::uint32_t own;
    std::int64_t tokens;
    PrefixHold hold;
  };
  std::vector<std::unique_ptr<Live>> live;
  std::uint32_t own = 0;
  for (int i = 0; i < 400; ++i) {
    const std::uint64_t what = rng.below(10);
    if (what < 4 || live.empty()) {
      auto one = std::make_unique<Live>();
      one->request = turn_of(static_cast<std::uint32_t>(rng.below(6)),
                             1 + static_cast<std::uint32_t>(rng.below(900)));
      one->own = own++;
      const PrefixWalk walk(&one->request, one->own, one->request.prompt_tokens, kBlock);
      const auto hit = cache.find(walk, (one->request.prompt_tokens - 1) / kBlock);
      cache.acquire(hit);
      one->hold = hit.hold;
      one->tokens = hit.hold.blocks * kBlock;
      live.push_back(std::move(one));
    } else if (what < 7) {
      Live& one = *live[rng.below(live.size())];
      one.tokens += static_cast<std::int64_t>(rng.below(200));
      cache.extend(one.hold, PrefixWalk(&one.request, one.own, one.tokens, kBlock));
      RC_ASSERT(one.hold.blocks == one.tokens / kBlock);
    } else if (what < 9) {
      const std::size_t at = rng.below(live.size());
      cache.release(live[at]->hold);
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
    } else {
      cache.shrink_to(static_cast<std::int64_t>(rng.below(60)));
    }
    std::int64_t covered = 0;
    for (const auto& one : live) covered += one->hold.blocks;
    RC_ASSERT(cache.pinned() - cache.correction() == covered);
    RC_ASSERT(cache.pinned() <= covered + 64 && cache.evictable() >= 0);
    if (live.empty()) RC_ASSERT(cache.pinned() == 0);
  }
  for (const auto& one : live) cache.release(one->hold);
  RC_ASSERT(cache.pinned() == 0);
  cache.shrink_to(0);
  RC_ASSERT(cache.evictable() == 0);
}

// ---- in the twin ---------------------------------------------------------------------------

double hit_rate(const workload::Trace& trace, std::int64_t blocks, bool caching = true) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.kv_cache_blocks = blocks;
  options.fleet.pools[0].engine.prefix_caching = caching;
  set_trace(options, trace);
  return finished_twin(options)->totals().prefix_hit_rate;
}

TEST(PrefixCaching, a_hit_costs_no_computation) {
  TwinOptions options = small_twin();
  workload::Trace trace = {turn_of(1, 4000), turn_of(1, 4000)};
  trace[1].arrival = from_seconds(2);
  options.record_requests = true;
  set_trace(options, trace);
  const auto twin = finished_twin(options);
  const auto& rows = twin->requests();
  EXPECT_GT(rows[0].ttft_ms, 60);
  EXPECT_LT(rows[1].ttft_ms, 20);
  EXPECT_NEAR(twin->totals().prefix_hit_rate, 0.5, 0.01);
  EXPECT_EQ(hit_rate(trace, 1000, false), 0);
}

TEST(PrefixCaching, a_small_pool_forgets_and_a_large_one_remembers) {
  Rng rng(4);
  workload::Trace trace;
  for (int i = 0; i < 600; ++i) {
    workload::Request request = turn_of(1 + static_cast<std::uint32_t>(rng.below(40)), 2000, 20);
    request.arrival = from_seconds(i * 0.25);
    trace.push_back(request);
  }
  const double small = hit_rate(trace, 400), large = hit_rate(trace, 40 * 140);
  EXPECT_LT(small, 0.35);
  EXPECT_GT(large, 0.9);
}

TEST(PrefixCaching, an_evicted_request_finds_what_is_left_of_its_own_text) {
  TwinOptions options = small_twin();
  options.fleet.pools[0].engine.kv_cache_blocks = 40;  // 640 tokens
  set_trace(options, {request_at(0, 160, 400), request_at(0.001, 160, 300)});
  const Totals with = finished_twin(options)->totals();
  options.fleet.pools[0].engine.prefix_caching = false;
  const Totals without = finished_twin(options)->totals();
  EXPECT_EQ(with.preemptions, without.preemptions);
  EXPECT_LE(with.recomputed_tokens, without.recomputed_tokens);
  EXPECT_GT(without.recomputed_tokens, 160u);
}

}  // namespace
}  // namespace arqon::sim
