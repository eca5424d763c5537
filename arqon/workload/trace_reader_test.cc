#include "arqon/workload/trace_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace arqon::workload {
namespace {

const std::string kAzure = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
const std::string kCsv = "arrival_s,input_tokens,output_tokens\n";

TEST(TraceReader, reads_azure_timestamps_to_the_last_digit) {
  const auto rows = parse_azure(kAzure +
                                    "2023-11-16 18:17:03.9799600,4808,10\n"
                                    "2023-11-16 18:17:04.0319600,3180,8\r\n"
                                    "2023-11-17 00:00:00+00:00,1,2\n",
                                "t.csv");
  ASSERT_TRUE(rows.has_value());
  ASSERT_EQ(rows->size(), 3u);
  EXPECT_EQ((*rows)[0].at.count(), 0);
  EXPECT_EQ((*rows)[1].at.count(), 52'000'000);
  EXPECT_EQ((*rows)[1].prompt_tokens, 3180u);
  EXPECT_EQ((*rows)[1].output_tokens, 8u);
  // 5 h 42 min 56.02004 s to midnight.
  EXPECT_EQ((*rows)[2].at.count(), 20'576'020'040'000);
}

TEST(TraceReader, reads_mooncake_and_ignores_what_it_does_not_know) {
  const auto rows = parse_mooncake(
      "{\"timestamp\": 3000, \"input_length\": 6755, \"output_length\": 500, \"hash_ids\": [0, "
      "1]}\n"
      "{\"output_length\": 7, \"input_length\": 5.0, \"timestamp\": 6000, \"more\": {\"a\": []}}\n",
      "m.jsonl");
  ASSERT_TRUE(rows.has_value());
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[1].at, std::chrono::seconds(3));
  EXPECT_EQ((*rows)[1].prompt_tokens, 5u);
  EXPECT_EQ((*rows)[0].output_tokens, 500u);
  EXPECT_EQ((*rows)[0].hashes->chain, (std::vector<std::uint64_t>{0, 1}));
  EXPECT_EQ((*rows)[1].hashes, nullptr);
}

TEST(TraceReader, reads_csv_with_classes) {
  const std::vector<std::string> classes = {"chat", "code"};
  const auto rows = parse_csv(
      "arrival_s,input_tokens,output_tokens,class\n10.5,3,4,code\n12,5,6,chat\n", "c.csv", classes);
  ASSERT_TRUE(rows.has_value());
  EXPECT_EQ((*rows)[0].request_class, 1);
  EXPECT_EQ((*rows)[1].request_class, 0);
  EXPECT_EQ((*rows)[1].at, std::chrono::milliseconds(1500));
  EXPECT_EQ(parse_csv(kCsv + "0,1,1\n", "c.csv", classes)->front().request_class, -1);
}

struct Bad {
  const char* format;
  std::string text;
  std::string place;  // expected in the message
  std::string reason;
};

class Malformed : public testing::TestWithParam<Bad> {};

TEST_P(Malformed, names_file_line_and_reason) {
  const Bad& bad = GetParam();
  const std::vector<std::string> classes = {"chat"};
  const std::string format = bad.format;
  const auto rows = format == "azure"      ? parse_azure(bad.text, "f")
                    : format == "mooncake" ? parse_mooncake(bad.text, "f")
                                           : parse_csv(bad.text, "f", classes);
  ASSERT_FALSE(rows.has_value());
  EXPECT_EQ(rows.error().code, ErrorCode::kInvalidConfig);
  EXPECT_EQ(rows.error().message.rfind(bad.place, 0), 0u) << rows.error().message;
  EXPECT_NE(rows.error().message.find(bad.reason), std::string::npos) << rows.error().message;
}

const std::string kGood = "2023-11-16 18:17:03.97,10,10\n";

INSTANTIATE_TEST_SUITE_P(
    Rows, Malformed,
    testing::Values(
        Bad{"azure", "", "f:0", "first line"}, Bad{"azure", kAzure, "f:1", "no rows"},
        Bad{"azure", "time,in,out\n", "f:1", "TIMESTAMP"},
        Bad{"azure", kAzure + "2023-11-16 18:17:03.97,10\n", "f:2", "3 fields"},
        Bad{"azure", kAzure + kGood + "2023-11-16 18:17:03.97,10,10,1\n", "f:3", "3 fields"},
        Bad{"azure", kAzure + kGood + "\n", "f:3", "3 fields"},
        Bad{"azure", kAzure + "2023-13-16 18:17:03.97,10,10\n", "f:2", "timestamp"},
        Bad{"azure", kAzure + "2023-11-16T18:17:03.97,10,10\n", "f:2", "timestamp"},
        Bad{"azure", kAzure + "2023-11-16 18:17:03.,10,10\n", "f:2", "timestamp"},
        Bad{"azure", kAzure + "2023-11-16 18:17:03.9x,10,10\n", "f:2", "timestamp"},
        Bad{"azure", kAzure + "2023-11-16 18:17:03.97,0,10\n", "f:2", "token"},
        Bad{"azure", kAzure + "2023-11-16 18:17:03.97,-5,10\n", "f:2", "token"},
        Bad{"azure", kAzure + "2023-11-16 18:17:03.97,10,1e3\n", "f:2", "token"},
        Bad{"azure", kAzure + "2023-11-16 18:17:03.97,10,99999999999\n", "f:2", "token"},
        Bad{"azure", kAzure + kGood + "2023-11-16 18:17:02.97,10,10\n", "f:3", "earlier"},
        Bad{"azure", kAzure + kGood + "2024-11-16 18:17:02.97,10,10\n", "f:3", "60 days"},
        Bad{"mooncake", "", "f:0", "no rows"}, Bad{"mooncake", "[1]\n", "f:1", "input_length"},
        Bad{"mooncake", "{\"timestamp\": 0, \"input_length\": 1", "f:1", "column"},
        Bad{"mooncake", "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1.5}\n", "f:1",
            "whole"},
        Bad{"mooncake", "{\"timestamp\": -1, \"input_length\": 1, \"output_length\": 1}\n", "f:1",
            "timestamp"},
        Bad{"mooncake", "{\"timestamp\": \"0\", \"input_length\": 1, \"output_length\": 1}\n",
            "f:1", "timestamp"},
        Bad{"mooncake", std::string(2 << 20, '['), "f:1", "1 MiB"},
        Bad{"mooncake",
            "{\"timestamp\": 0, \"input_length\": 513, \"output_length\": 1, \"hash_ids\": [1, "
            "2, 3]}",
            "f:1", "[1,2,3]"},
        Bad{"mooncake",
            "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [-1]}",
            "f:1",
            "hash_ids"},
        Bad{"mooncake",
            "{\"timestamp\": 0, \"input_length\": 1e9, \"output_length\": 1}", "f:1", "(got 1"},
        Bad{"csv", kCsv, "f:1", "no rows"}, Bad{"csv", kCsv + "0,nan,1\n", "f:2", "\"nan\""},
        Bad{"csv", kCsv + "0,1000000000,1\n", "f:2", "\"1000000000\""},
        Bad{"csv", kCsv + "-3.5,1,1\n", "f:2", "\"-3.5\""},
        Bad{"csv", kCsv + "1,1,1\n0.5,1,1\n", "f:3", "order of time"},
        Bad{"csv", "a,b,c\n1,2,3\n", "f:1", "arrival_s"},
        Bad{"csv", kCsv + "nan,1,1\n", "f:2", "arrival_s"},
        Bad{"csv", kCsv + "1e300,1,1\n", "f:2", "arrival_s"},
        Bad{"csv", kCsv + "-1,1,1\n", "f:2", "arrival_s"},
        Bad{"csv", kCsv + "1,1,1\n0.5,1,1\n", "f:3", "earlier"},
        Bad{"csv", "arrival_s,input_tokens,output_tokens,class\n0,1,1,poetry\n", "f:2", "poetry"}));

TEST(TraceReader, a_file_that_is_not_there_is_unavailable) {
  const auto rows = read_trace("azure", "/nonexistent/trace.csv", {});
  ASSERT_FALSE(rows.has_value());
  EXPECT_EQ(rows.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(read_trace("parquet", "x", {}).error().code, ErrorCode::kInvalidConfig);
}

}  // namespace
}  // namespace arqon::workload
