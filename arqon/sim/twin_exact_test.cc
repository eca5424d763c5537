// Exactness: run-length steps against single steps, conservation, same seed same bytes, and
// measured rows of real engines.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "arqon/base/rng.h"
#include "arqon/sim/mix_migration.h"
#include "arqon/sim/random_scene.h"
#include "arqon/sim/twin.h"
#include "arqon/sim/twin_fixture.h"

namespace arqon::sim {
namespace {

// The long form: bench/twin_equality.cc.
RC_GTEST_PROP(TwinExact, run_length_steps_equal_single_steps_to_the_last_digit, ()) {
  const Scene scene = random_scene(*rc::gen::arbitrary<std::uint32_t>());
  RC_ASSERT(same(play(scene, false), play(scene, true)));
}

TEST(TwinExact, two_hundred_fixed_scenes_are_equal_and_use_every_mechanism) {
  std::uint64_t preemptions = 0, rejected = 0, cut = 0;
  double hits = 0, drafts = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Scene scene = random_scene(seed);
    const Outcome fast = play(scene, false);
    ASSERT_TRUE(same(fast, play(scene, true))) << "seed " << seed;
    preemptions += fast.totals.preemptions;
    rejected += fast.totals.ledger.rejected;
    cut += fast.totals.ledger.cut;
    hits += fast.totals.prefix_hit_rate;
    drafts += fast.totals.tokens_per_step - 1;
  }
  EXPECT_GT(preemptions, 1000u);
  EXPECT_GT(rejected, 1000u);
  EXPECT_GT(cut, 100u);
  EXPECT_GT(hits, 5);
  EXPECT_GT(drafts, 20);
}

RC_GTEST_PROP(TwinExact, every_request_ends_in_one_row_and_after_it_began, ()) {
  const Scene scene = random_scene(*rc::gen::arbitrary<std::uint32_t>());
  const Outcome out = play(scene, false);
  const serving::Ledger& l = out.totals.ledger;
  RC_ASSERT(l.arrived == scene.options.trace->size());
  RC_ASSERT(l.arrived == l.good + l.late + l.cut + l.rejected + l.unfinished);
  serving::Ledger sum;
  for (const ClassResult& c : out.totals.classes) sum += c.ledger;
  RC_ASSERT(sum == l);
  RC_ASSERT(out.totals.kv_use_mean >= 0 && out.totals.kv_use_max <= 1);
  for (const RequestRow& row : out.rows) {
    if (row.e2e_ms == 0) continue;  // refused or unfinished
    RC_ASSERT(row.ttft_ms >= 4);
    RC_ASSERT(row.e2e_ms >= row.ttft_ms);
    RC_ASSERT(row.max_gap_ms <= row.e2e_ms - row.ttft_ms + 1e-3 * row.e2e_ms);
  }
}

// Counters never fall, and `good` plus `bad` never exceed what arrived.
RC_GTEST_PROP(TwinExact, counters_only_rise, ()) {
  const Scene scene = random_scene(*rc::gen::arbitrary<std::uint32_t>());
  const auto twin = make_twin(scene.options);
  std::vector<serving::ClassCounters> before(2);
  for (double t = 0.5; t < 20; t += 0.5) {
    twin->wait_until(time_at(t));
    const serving::Observation seen = twin->observe();
    RC_ASSERT(seen.kv_use >= 0 && seen.kv_use <= 1);
    for (std::size_t c = 0; c < 2; ++c) {
      const serving::ClassCounters& now = seen.classes[c];
      RC_ASSERT(now.arrived >= before[c].arrived && now.good >= before[c].good);
      RC_ASSERT(now.bad >= before[c].bad && now.good + now.bad <= now.arrived);
      std::uint64_t by = 0;
      for (const std::uint64_t n : now.bad_by) by += n;
      RC_ASSERT(by == now.bad);
      before[c] = now;
    }
  }
}

TEST(TwinExact, looking_often_changes_nothing) {
  const TwinOptions options = mix_migration(5, 120);
  const auto once = finished_twin(options);
  const auto often = make_twin(options);
  for (double t = 0.1; t < 120; t += 0.1) {
    often->wait_until(time_at(t));
    (void)often->observe();
  }
  often->drain();
  EXPECT_EQ(once->totals().ledger, often->totals().ledger);
  EXPECT_TRUE(same(once->totals().e2e_ms, often->totals().e2e_ms));
  // Judged early or at the end, the same requests are bad, by the same limit.
  const auto a = once->observe(), b = often->observe();
  for (std::size_t c = 0; c < 2; ++c) {
    EXPECT_EQ(a.classes[c].bad, b.classes[c].bad);
    EXPECT_EQ(a.classes[c].good, b.classes[c].good);
  }
}

TEST(TwinExact, same_seed_same_totals) {
  const TwinOptions options = mix_migration(5, 120);
  EXPECT_TRUE(same(finished_twin(options)->totals(), finished_twin(options)->totals()));
  TwinOptions other = options;
  other.seed = 6;
  EXPECT_FALSE(same(finished_twin(options)->totals(), finished_twin(other)->totals()));
}

// A small golden ledger. When a change of the twin moves it on purpose, raise kTwinSemantics:
// stored baselines name the number they were made with and are searched again.
TEST(TwinExact, behaviour_is_the_one_its_semantics_number_names) {
  ASSERT_EQ(kTwinSemantics, 1);
  const auto twin = make_twin(mix_migration(11, 300));
  ASSERT_TRUE(twin->apply({2048, 1024, 1}).has_value());
  twin->drain();
  const Totals totals = twin->totals();
  const serving::Ledger expected{.arrived = 10014, .good = 9982, .late = 32};
  EXPECT_EQ(totals.ledger, expected);
  EXPECT_EQ(totals.good_tokens, 1346901u);
  EXPECT_EQ(totals.steps, 110087u);
}

// Figures of the demo: a large budget breaks gap and TPOT limits of code, a small one does not, a
// very small one ruins TTFT.
TEST(TwinExact, the_demo_has_something_to_tune) {
  const auto bad_share = [](double budget, double k) {
    const TwinOptions options = mix_migration(3, 1800);
    const auto twin = make_twin(options);
    EXPECT_TRUE(twin->apply({budget, 1024, k}).has_value());
    twin->drain();
    const Totals totals = twin->totals();
    EXPECT_GT(totals.classes[0].ledger.attainment(), budget > 500 ? 0.985 : 0.5);
    return 1 - totals.attainment;
  };
  const double wide = bad_share(8192, 0), drafted = bad_share(1024, 1), narrow = bad_share(256, 0);
  EXPECT_GT(wide, 0.02);
  EXPECT_LT(drafted, 0.01);
  EXPECT_GT(narrow, 0.05);
}

struct Measured {
  int tp;
  std::uint32_t in, out;
  int concurrency;
  double ttft_ms, tpot_ms;
};

class ClosedLoop : public testing::TestWithParam<Measured> {};

// Llama-3.1-70B fp8 on H100 under vLLM, closed loop (AIConfigurator's measured rows).
TEST_P(ClosedLoop, tpot_is_near_what_was_measured) {
  const Measured& m = GetParam();
  TwinOptions options = small_twin();
  PoolSpec& pool = options.fleet.pools[0];
  pool.model = "llama-3.1-70b";
  pool.dtype = "fp8";
  pool.tp = m.tp;
  pool.engine.gpu_memory_utilization = 0.9;
  pool.engine.prefix_caching = false;  // as that bench ran
  options.closed_loop_concurrency = m.concurrency;
  Rng rng(1);
  workload::Trace trace;
  for (int i = 0; i < 10 * m.concurrency; ++i) {
    const auto length = [&](double nominal) {
      return static_cast<std::uint32_t>(nominal * rng.uniform(0.8, 1));
    };
    trace.push_back(request_at(0, length(m.in), length(m.out)));
  }
  set_trace(options, std::move(trace));
  const auto twin = make_twin(options);
  for (int i = 0; i < 40; ++i) twin->drain();
  const Totals totals = twin->totals();
  ASSERT_EQ(totals.ledger.good, totals.ledger.arrived);
  ASSERT_EQ(totals.ledger.arrived, static_cast<std::uint64_t>(10 * m.concurrency));
  EXPECT_NEAR(totals.tpot_ms.mean / m.tpot_ms, 1, 0.10);
  // KV-starved rows wait for tens of seconds, the others for one prefill or a few.
  EXPECT_NEAR(std::log(totals.ttft_ms.mean / m.ttft_ms), 0, std::log(1.5));
}

INSTANTIATE_TEST_SUITE_P(
    H100, ClosedLoop,
    testing::Values(Measured{2, 1024, 1024, 4, 121, 17.4}, Measured{2, 1024, 1024, 64, 415, 28.8},
                    Measured{2, 8192, 1024, 16, 1284, 34.6},
                    Measured{2, 8192, 1024, 64, 59175, 52.4},
                    Measured{2, 1024, 8192, 64, 30787, 41.7},
                    Measured{4, 1024, 1024, 16, 121, 13.2}, Measured{4, 8192, 1024, 4, 453, 13.3},
                    Measured{4, 8192, 1024, 64, 1745, 53.5}, Measured{8, 1024, 1024, 64, 185, 15.5},
                    Measured{8, 8192, 1024, 16, 483, 15.9}));

}  // namespace
}  // namespace arqon::sim
