#include "arqon/sim/speculation.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "arqon/base/rng.h"
#include "arqon/sim/twin_fixture.h"
#include "arqon/workload/acceptance_rows.h"

namespace arqon::sim {
namespace {

// E(1), E(2), E(3), E(5) as logged, in the order of the rows.
TEST(Speculation, measured_rows_give_their_measured_tokens_per_step) {
  constexpr std::array<std::array<double, 4>, 7> kLogged = {{{1.66, 2.04, 2.25, 2.48},
                                                             {1.70, 2.13, 2.39, 2.67},
                                                             {1.67, 2.08, 2.33, 2.58},
                                                             {1.68, 2.09, 2.35, 2.63},
                                                             {1.24, 1.34, 1.40, 1.45},
                                                             {1.11, 1.15, 1.16, 1.18},
                                                             {1.51, 1.82, 2.03, 2.29}}};
  for (std::size_t row = 0; row < kLogged.size(); ++row) {
    const double first = workload::kAcceptanceRows[row].conditional[0];
    const AcceptanceCurve curve(first, row + 1);
    const std::array<std::int64_t, 4> ks = {1, 2, 3, 5};
    for (std::size_t i = 0; i < ks.size(); ++i) {
      // Logged means include requests with fewer than k drafts, n-gram ones above all.
      EXPECT_NEAR(tokens_per_step(curve, ks[i]) / kLogged[row][i], 1, 0.20)
          << workload::kAcceptanceRows[row].name << " k " << ks[i];
    }
  }
}

TEST(Speculation, a_constant_chance_is_the_geometric_sum) {
  const AcceptanceCurve curve(0.5, 0);
  EXPECT_DOUBLE_EQ(tokens_per_step(curve, 3), 1.875);
  EXPECT_DOUBLE_EQ(tokens_per_step(curve, 0), 1);
  EXPECT_DOUBLE_EQ(tokens_per_step(AcceptanceCurve(1, 3), 4), 5);
  EXPECT_DOUBLE_EQ(tokens_per_step(AcceptanceCurve(0, 3), 4), 1);
}

TEST(Speculation, a_better_request_is_better_at_every_position) {
  for (std::size_t row = 1; row <= workload::kAcceptanceRows.size(); ++row) {
    const AcceptanceCurve worse(0.3, row), better(0.6, row);
    for (std::int64_t j = 1; j <= 8; ++j) EXPECT_LT(worse.at(j), better.at(j));
  }
}

TEST(Speculation, draws_have_the_mean_that_the_fast_mode_uses) {
  for (std::size_t row = 0; row <= workload::kAcceptanceRows.size(); ++row) {
    const double first = row == 0 ? 0.6 : workload::kAcceptanceRows[row - 1].conditional[0];
    const AcceptanceCurve curve(first, row);
    const Rng draws = Rng(9).stream(row);
    Match match = Match::kUnknown;
    double sum = 0;
    const int steps = 60000;
    for (int i = 0; i < steps; ++i) {
      sum += static_cast<double>(draw_tokens(curve, 3, draws, i, match));
    }
    EXPECT_NEAR(sum / steps / tokens_per_step(curve, 3), 1, 0.015) << row;
  }
}

// n-gram drafts come in stretches: lag-1 autocorrelation of having one.
TEST(Speculation, matches_persist_as_logged) {
  const std::size_t row = workload::find_acceptance_row("instructcoder-ngram");
  const AcceptanceCurve curve(0.26, row);
  const Rng draws(2);
  Match match = Match::kUnknown;
  double both = 0, one = 0;
  bool before = false;
  const int steps = 60000;
  for (int i = 0; i < steps; ++i) {
    draw_tokens(curve, 3, draws, i, match);
    const bool now = match == Match::kYes;
    one += now ? 1 : 0;
    both += now && before ? 1 : 0;
    before = now;
  }
  const double share = one / steps;
  EXPECT_NEAR(share, curve.match_share(), 0.01);
  EXPECT_NEAR((both / steps - share * share) / (share * (1 - share)), 0.53, 0.03);
}

TEST(Speculation, bands_draft_less_when_many_decode) {
  const std::array<SpeculationBand, 2> bands = {{{4, 5}, {32, 2}}};
  EXPECT_EQ(speculation_for(bands, 4, 5), 5);
  EXPECT_EQ(speculation_for(bands, 5, 5), 2);
  EXPECT_EQ(speculation_for(bands, 5, 1), 1);
  EXPECT_EQ(speculation_for(bands, 33, 5), 0);
  EXPECT_EQ(speculation_for({}, 1000, 3), 3);
}

// ---- in the twin ---------------------------------------------------------------------------

workload::Trace answers(int count, std::size_t row) {
  workload::Trace trace;
  for (int i = 0; i < count; ++i) {
    workload::Request request = request_at(i * 0.02, 100, 200);
    request.acceptance_row = static_cast<std::uint8_t>(row);
    request.acceptance = row == 0 ? 0.6F : 0.26F;
    trace.push_back(request);
  }
  return trace;
}

TEST(SpeculationInTwin, no_draft_equals_no_speculation) {
  TwinOptions options = small_twin();
  options.fleet.noise = true;
  set_trace(options, answers(50, 7));
  const Totals plain = finished_twin(options)->totals();
  options.fleet.pools[0].engine.speculative_decoding_k = 0;
  options.fleet.sampled_speculation = true;
  options.draft_ms_base = 100;
  const Totals none = finished_twin(options)->totals();
  EXPECT_EQ(plain.steps, none.steps);
  EXPECT_EQ(plain.e2e_ms.mean, none.e2e_ms.mean);
  EXPECT_EQ(plain.tokens_per_step, 1);
}

TEST(SpeculationInTwin, drawn_steps_agree_with_mean_steps_on_average) {
  for (const std::size_t row : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
    TwinOptions options = small_twin();
    options.fleet.pools[0].engine.speculative_decoding_k = 3;
    set_trace(options, answers(300, row));
    const Totals mean = finished_twin(options)->totals();
    options.fleet.sampled_speculation = true;
    const Totals drawn = finished_twin(options)->totals();
    EXPECT_NEAR(drawn.tokens_per_step / mean.tokens_per_step, 1, 0.02) << row;
    EXPECT_NEAR(drawn.tpot_ms.mean / mean.tpot_ms.mean, 1, 0.04) << row;
    // What a mean hides: some answers are luckier than others.
    EXPECT_GT(drawn.tpot_ms.p99 - drawn.tpot_ms.p50, mean.tpot_ms.p99 - mean.tpot_ms.p50) << row;
  }
}

TEST(SpeculationInTwin, k_follows_the_batch) {
  TwinOptions options = small_twin();
  EngineSpec& engine = options.fleet.pools[0].engine;
  engine.speculative_decoding_k = 3;
  engine.speculation_by_batch = {{.batch_max = 1, .k = 3}};
  set_trace(options, answers(1, 0));
  EXPECT_GT(finished_twin(options)->totals().tokens_per_step, 2);
  workload::Trace pair = answers(2, 0);
  pair[1].arrival = pair[0].arrival;
  set_trace(options, pair);
  EXPECT_LT(finished_twin(options)->totals().tokens_per_step, 1.2);
}

}  // namespace
}  // namespace arqon::sim
