// Recorded traces: text -> rows. Strict: anything odd is kInvalidConfig with "FILE:LINE: reason".
// Bounded: 1 GiB of text, 1 MiB a line, 20 million rows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/workload/request.h"

namespace arqon::workload {

struct TraceRow {
  Duration at{};  // since the first row; never falls
  std::uint32_t prompt_tokens = 1;
  std::uint32_t output_tokens = 1;
  std::int32_t request_class = -1;  // index into the classes given; -1 = the file does not say
  std::shared_ptr<const PromptHashes> hashes;  // null where the file has none
};
using TraceRows = std::vector<TraceRow>;

// Azure LLM inference traces (CC-BY-4.0): TIMESTAMP,ContextTokens,GeneratedTokens with timestamps
// like 2023-11-16 18:17:03.9799600, a trailing +00:00 allowed.
Result<TraceRows> parse_azure(std::string_view text, std::string_view file);
// Mooncake JSONL: {"timestamp": ms, "input_length", "output_length", "hash_ids": [...]}. hash_ids
// may be left out; an id stands for a block of 512 tokens and all before it.
Result<TraceRows> parse_mooncake(std::string_view text, std::string_view file);
// arrival_s,input_tokens,output_tokens[,class] with a class of `classes`.
Result<TraceRows> parse_csv(std::string_view text, std::string_view file,
                            std::span<const std::string> classes);

// Reads and parses; format "azure", "mooncake" or "csv". kUnavailable when it cannot be read.
Result<TraceRows> read_trace(std::string_view format, const std::filesystem::path& path,
                             std::span<const std::string> classes);

}  // namespace arqon::workload
