#include "arqon/load/chunk.h"

#include <gtest/gtest.h>

#include <string>

#include "arqon/wire/json.h"

namespace arqon::load {
namespace {

// Recorded from vLLM 0.32 (/v1/completions and /v1/chat/completions) and llama.cpp's server b9000.
constexpr std::string_view kVllmToken =
    R"({"id":"cmpl-8d","object":"text_completion","created":1790000000,"model":"m","choices":)"
    R"([{"index":0,"text":" \"a\\","logprobs":null,"finish_reason":null,"stop_reason":null,)"
    R"("token_ids":null}],"usage":null})";
constexpr std::string_view kVllmHeldBack =
    R"({"id":"cmpl-8d","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null}]})";
constexpr std::string_view kVllmUsage =
    R"({"id":"cmpl-8d","choices":[],"usage":{"prompt_tokens":12,"total_tokens":60,)"
    R"("completion_tokens":48,"prompt_tokens_details":null}})";
constexpr std::string_view kChatRole =
    R"({"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},)"
    R"("logprobs":null,"finish_reason":null}],"prompt_token_ids":null})";
constexpr std::string_view kLlamaRole =
    R"({"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}]})";
constexpr std::string_view kLlamaEnd =
    R"({"choices":[{"finish_reason":"length","index":0,"delta":{}}],"usage":)"
    R"({"completion_tokens":8,"prompt_tokens":5,"total_tokens":13},"timings":{"prompt_n":5}})";

TEST(Chunk, ATokenIsAPiece) {
  const Chunk chunk = read_chunk(kVllmToken);
  EXPECT_TRUE(chunk.valid);
  EXPECT_TRUE(chunk.piece);
  EXPECT_TRUE(chunk.text);
  EXPECT_FALSE(chunk.finished);
  EXPECT_FALSE(chunk.usage);
  EXPECT_FALSE(chunk.error);
}

TEST(Chunk, ATokenWhoseTextIsHeldBackIsAPieceWithoutText) {
  const Chunk chunk = read_chunk(kVllmHeldBack);
  EXPECT_TRUE(chunk.piece);
  EXPECT_FALSE(chunk.text);
}

TEST(Chunk, UsageCountsAndIsNoPiece) {
  const Chunk chunk = read_chunk(kVllmUsage);
  EXPECT_TRUE(chunk.valid);
  EXPECT_FALSE(chunk.piece);
  EXPECT_TRUE(chunk.usage);
  EXPECT_EQ(chunk.prompt_tokens, 12U);
  EXPECT_EQ(chunk.output_tokens, 48U);
}

TEST(Chunk, TheRoleAloneIsNoPiece) {
  for (const std::string_view event : {kChatRole, kLlamaRole}) {
    const Chunk chunk = read_chunk(event);
    EXPECT_TRUE(chunk.valid);
    EXPECT_FALSE(chunk.piece) << event;
  }
}

TEST(Chunk, TheEndAloneIsNoPieceAndItsUsageCounts) {
  const Chunk chunk = read_chunk(kLlamaEnd);
  EXPECT_TRUE(chunk.valid);
  EXPECT_FALSE(chunk.piece);
  EXPECT_TRUE(chunk.finished);
  EXPECT_TRUE(chunk.cut_by_length);
  EXPECT_EQ(chunk.output_tokens, 8U);
}

TEST(Chunk, ReasoningAndToolCallsArePieces) {
  EXPECT_TRUE(
      read_chunk(R"({"choices":[{"delta":{"reasoning_content":"so"},"finish_reason":null}]})")
          .piece);
  EXPECT_TRUE(read_chunk(R"({"choices":[{"delta":{"tool_calls":[{"index":0}]}}]})").piece);
  EXPECT_FALSE(read_chunk(R"({"choices":[{"delta":{"tool_calls":[],"role":"assistant"}}]})").piece);
}

TEST(Chunk, AnErrorInTheStreamIsSeenWithItsWords) {
  const Chunk chunk = read_chunk(R"({"error":{"code":500,"message":"out of KV"}})");
  EXPECT_TRUE(chunk.error);
  EXPECT_EQ(chunk.error_text, "out of KV");
  EXPECT_TRUE(read_chunk(R"({"error":"busy"})").error);
  EXPECT_FALSE(read_chunk(R"({"error":null,"choices":[]})").error);
  EXPECT_TRUE(read_chunk(R"({"choices":[{"text":"","finish_reason":"abort"}]})").aborted);
}

TEST(Chunk, HalfAndGarbageEventsAreNotValid) {
  for (std::size_t cut = 0; cut < kVllmToken.size(); ++cut) {
    EXPECT_FALSE(read_chunk(kVllmToken.substr(0, cut)).valid) << cut;
  }
  for (const std::string_view event :
       {"", "null", "[]", "{]", R"({"a":})", R"({"a" 1})", R"({"a":1,})", R"({"choices":[{]})",
        R"({"a":"\)", "{\"a\":\"\n\"}", R"({} x)"}) {
    EXPECT_FALSE(read_chunk(event).valid) << event;
  }
  EXPECT_FALSE(read_chunk(std::string(100, '[') + std::string(100, ']')).valid);
  std::string deep = R"({"a":)";
  deep += std::string(200, '[') + std::string(200, ']') + "}";
  EXPECT_FALSE(read_chunk(deep).valid);
}

TEST(Chunk, CountsThatCannotBeAreNoUsage) {
  for (const std::string_view n : {"-1", "1.5", "99999999999", "\"7\"", "null", "true", "1e3"}) {
    const std::string event =
        R"({"usage":{"prompt_tokens":1,"completion_tokens":)" + std::string(n) + "}}";
    EXPECT_FALSE(read_chunk(event).usage) << event;
  }
}

// Whatever the strict reader takes, this one takes too.
TEST(Chunk, TakesWhatTheStrictReaderTakes) {
  for (const std::string_view event :
       {kVllmToken, kVllmHeldBack, kVllmUsage, kChatRole, kLlamaRole, kLlamaEnd,
        std::string_view(R"({"a":{"b":[1,2,{"c":null}]},"d":"é\u00e9","e":-1.5e3})")}) {
    ASSERT_TRUE(wire::parse_json(event)) << event;
    EXPECT_TRUE(read_chunk(event).valid) << event;
  }
}

}  // namespace
}  // namespace arqon::load
