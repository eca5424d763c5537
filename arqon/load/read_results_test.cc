// Samples in tests/corpora/load_results were recorded from vLLM 0.32 (vllm bench serve), AIPerf
// 0.13.0 and GuideLLM 0.8.1 on a llama.cpp server, then cut down; failed and cancelled requests
// were added as those programs write them.
#include "arqon/load/read_results.h"

#include <gtest/gtest.h>

#include "arqon/os/file.h"

namespace arqon::load {
namespace {

constexpr std::array<const char*, 5> kSamples = {"vllm_detailed.json", "vllm_summary.json",
                                                 "aiperf_records.jsonl", "aiperf_summary.json",
                                                 "guidellm.json"};

std::string sample(const std::string& name) {
  const auto text = os::read_file(
      std::string(ARQON_SOURCE_DIR) + "/tests/corpora/load_results/" + name, 1u << 20);
  EXPECT_TRUE(text) << name;
  return text.value_or("");
}

ForeignRun only_run(const std::string& text, const serving::Slo& slo = {.name = "all"}) {
  auto runs = read_results(text, "result", slo);
  EXPECT_TRUE(runs) << runs.error().message;
  EXPECT_EQ(runs->size(), 1U);
  return runs->front();
}

std::string error_of(const std::string& text) {
  const auto runs = read_results(text, "result.json", {.name = "all"});
  EXPECT_FALSE(runs);
  return runs ? "" : runs.error().message;
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(ReadResults, VllmRequestsAreJudged) {
  const ForeignRun run = only_run(sample("vllm_detailed.json"));
  EXPECT_EQ(run.tool, "vllm bench serve");
  EXPECT_EQ(run.totals.ledger.arrived, 8U);
  EXPECT_EQ(run.totals.ledger.good, 7U);
  EXPECT_EQ(run.totals.ledger.rejected, 1U);
  EXPECT_EQ(run.totals.good_tokens, 43U);
  EXPECT_EQ(run.totals.classes[0].name, "all");
  EXPECT_NEAR(run.rows[0].max_gap_ms, 117.68793900046148, 1e-9);
  EXPECT_NEAR(outcome_of(run.rows[0]).ttft_ms, 114.12115599887329, 1e-6);
  EXPECT_NEAR(run.seconds, 0.4147635, 1e-6);

  const ForeignRun strict =
      only_run(sample("vllm_detailed.json"), {.name = "chat", .ttft_ms = 100, .max_gap_ms = 50});
  EXPECT_EQ(strict.totals.ledger.good, 4U);
  EXPECT_EQ(strict.totals.ledger.late, 3U);
}

TEST(ReadResults, AVllmSummaryCountsAndSaysWhatItLacks) {
  const ForeignRun run = only_run(sample("vllm_summary.json"));
  EXPECT_TRUE(run.rows.empty());
  EXPECT_EQ(run.totals.ledger.good, 7U);
  EXPECT_EQ(run.totals.ledger.rejected, 1U);
  EXPECT_GT(run.totals.ttft_ms.mean, 1);
  EXPECT_GT(run.totals.ttft_ms.p99, run.totals.ttft_ms.p50);
  EXPECT_EQ(run.remarks.size(), 2U);
}

TEST(ReadResults, AppendedVllmRunsAreSeveral) {
  const std::string one = sample("vllm_detailed.json");
  const auto runs = read_results(one + "\n" + one, "result", {.name = "all"});
  ASSERT_TRUE(runs) << runs.error().message;
  EXPECT_EQ(runs->size(), 2U);
}

TEST(ReadResults, AiperfRecordsCountFromTheMomentTheyWereDue) {
  const ForeignRun run = only_run(sample("aiperf_records.jsonl"));
  EXPECT_EQ(run.totals.ledger.arrived, 7U);
  EXPECT_EQ(run.totals.ledger.good, 5U);
  EXPECT_EQ(run.totals.ledger.rejected, 1U);
  EXPECT_EQ(run.totals.ledger.unfinished, 1U);
  // Credit 1795419462.552774277 s, sent 1.373758 ms later, first token 22.409243 ms after that.
  EXPECT_NEAR(outcome_of(run.rows[0]).ttft_ms, 23.783001, 1e-3);
  EXPECT_NEAR(run.rows[0].max_gap_ms, 0.282249, 1e-9);
  EXPECT_EQ(run.rows[0].prompt_tokens, 35U) << "as the server counted";
}

TEST(ReadResults, AnAiperfSummaryHasItsQuantiles) {
  const ForeignRun run = only_run(sample("aiperf_summary.json"));
  EXPECT_EQ(run.tool, "aiperf 0.13.0");
  EXPECT_EQ(run.totals.ledger.good, 8U);
  EXPECT_NEAR(run.totals.ttft_ms.p99, 29.189257, 1e-5);
  EXPECT_NEAR(run.totals.tpot_ms.mean, 0.464536, 1e-5);
  EXPECT_NEAR(run.totals.output_tokens_per_s, 425.2, 0.1);
}

TEST(ReadResults, GuidellmCountsFromTheTarget) {
  const ForeignRun run = only_run(sample("guidellm.json"));
  EXPECT_EQ(run.tool, "guidellm 0.8.1");
  EXPECT_EQ(run.totals.ledger.good, 4U);
  // Target .5646427, first token .58302.
  EXPECT_NEAR(outcome_of(run.rows[0]).ttft_ms, 18.3773, 1e-3);
  EXPECT_LT(run.rows[0].max_gap_ms, 0) << "not in the file";
  ASSERT_EQ(run.remarks.size(), 2U);
  EXPECT_NE(run.remarks[0].find("4 of 6"), std::string::npos);
}

TEST(ReadResults, ACutFileIsOneClearError) {
  for (const char* name : kSamples) {
    const std::string whole = sample(name);
    // A .jsonl cut at the end of a line is a shorter file; everything else is refused.
    const bool lines = std::string_view(name).ends_with(".jsonl");
    for (std::size_t cut = 0; cut + 2 < whole.size(); cut += 37) {
      if (lines && (whole[cut] == '\n' || (cut > 0 && whole[cut - 1] == '\n'))) continue;
      const std::string error = error_of(whole.substr(0, cut));
      EXPECT_TRUE(error.starts_with("result.json:")) << name << " " << cut << " " << error;
      EXPECT_EQ(error.find('\n'), std::string::npos);
    }
  }
}

TEST(ReadResults, WrongTypesNameTheirPlace) {
  const std::string vllm = sample("vllm_detailed.json");
  EXPECT_NE(error_of(replaced(vllm, "\"input_lens\": [30", "\"input_lens\": [\"30\""))
                .find("input_lens[0]"),
            std::string::npos);
  EXPECT_NE(error_of(replaced(vllm, "\"input_lens\": [30, ", "\"input_lens\": ["))
                .find("must have 8 items"),
            std::string::npos);
  EXPECT_NE(error_of(replaced(vllm, "\"completed\": 7", "\"completed\": null")).find("completed"),
            std::string::npos);
  EXPECT_NE(error_of(replaced(vllm, "0.11768793900046148", "-1")).find("itls[0]"),
            std::string::npos);
  const std::string records = sample("aiperf_records.jsonl");
  const std::size_t second = records.find('\n') + 1;
  const std::string bad =
      records.substr(0, second) +
      replaced(records.substr(second), R"("request_end_ns": 1)", R"("request_end_ns": -1)");
  EXPECT_TRUE(error_of(bad).starts_with("result.json: 2:")) << error_of(bad);
  EXPECT_NE(error_of(replaced(records, R"("unit": "ms")", R"("unit": "furlongs")"))
                .find("unit of time"),
            std::string::npos);
  const std::string guide = sample("guidellm.json");
  EXPECT_NE(error_of(replaced(guide, "\"timings\": {", "\"timing\": {"))
                .find("benchmarks[0].requests.successful[0].info.timings"),
            std::string::npos);
}

TEST(ReadResults, AnythingElseIsNoResultFile) {
  for (const char* text : {"", "{}", "[]", "7", "{\"a\":1}\n{\"b\":2}\n", "not json",
                           "{\"benchmarks\":[],\"metadata\":{}}"}) {
    EXPECT_TRUE(error_of(text).starts_with("result.json:")) << text;
  }
}

}  // namespace
}  // namespace arqon::load
