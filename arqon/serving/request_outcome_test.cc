#include "arqon/serving/request_outcome.h"

#include <gtest/gtest.h>

namespace arqon::serving {
namespace {

const Slo kSlo{.name = "chat", .ttft_ms = 300, .ttft_ms_per_prompt_token = 0.5, .tpot_ms = 40,
               .max_gap_ms = 200, .e2e_ms = 5000};

RequestOutcome good_request() {
  return {.prompt_tokens = 100, .output_tokens = 20, .ttft_ms = 349, .tpot_ms = 40,
          .max_gap_ms = 200, .e2e_ms = 5000};
}

TEST(RequestOutcome, LimitsAreInclusiveAndTtftGrowsWithThePrompt) {
  EXPECT_EQ(judge(good_request(), kSlo), Limit::kNone);
  RequestOutcome late = good_request();
  late.ttft_ms = 351;
  EXPECT_EQ(judge(late, kSlo), Limit::kTtft);
}

TEST(RequestOutcome, EachLimitIsNamedAndWhatWasNotMeasuredIsNotJudged) {
  RequestOutcome r = good_request();
  r.max_gap_ms = 201;
  EXPECT_EQ(judge(r, kSlo), Limit::kGap);
  r = good_request(), r.tpot_ms = 41;
  EXPECT_EQ(judge(r, kSlo), Limit::kTpot);
  r = good_request(), r.e2e_ms = 5001;
  EXPECT_EQ(judge(r, kSlo), Limit::kE2e);
  r.e2e_ms = -1;
  EXPECT_EQ(judge(r, kSlo), Limit::kNone);
  r.end = RequestOutcome::End::kCut;
  EXPECT_EQ(judge(r, kSlo), Limit::kCap);
  r.end = RequestOutcome::End::kFailed;
  EXPECT_EQ(judge(r, kSlo), Limit::kRejected);
}

TEST(RequestOutcome, CountsKeepArrivedEqualToGoodPlusBad) {
  ClassCounters counters;
  EXPECT_EQ(count(good_request(), kSlo, counters), Limit::kNone);
  RequestOutcome rejected;
  rejected.end = RequestOutcome::End::kRejected;
  rejected.prompt_tokens = 7;
  EXPECT_EQ(count(rejected, kSlo, counters), Limit::kRejected);
  EXPECT_EQ(counters.arrived, 2u);
  EXPECT_EQ(counters.good, 1u);
  EXPECT_EQ(counters.bad_by[static_cast<std::size_t>(Limit::kRejected)], 1u);
  EXPECT_EQ(counters.prompt_tokens, 107u);
  EXPECT_EQ(counters.good_tokens, 20u);
}

}  // namespace
}  // namespace arqon::serving
