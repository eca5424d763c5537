// One request as it will arrive, before anything serves it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arqon/base/time.h"

namespace arqon::workload {

// Chain hashes of a prompt's blocks as a trace records them: hash i stands for all tokens of blocks
// 0..i, so two prompts share a prefix exactly as far as their hashes agree.
struct PromptHashes {
  std::uint32_t block_tokens = 512;
  std::vector<std::uint64_t> chain;
};

struct Request {
  Duration arrival{};  // intended arrival since the start of the run
  std::uint32_t prompt_tokens = 1;
  std::uint32_t output_tokens = 1;
  std::uint16_t request_class = 0;  // index into the scenario's classes
  bool backfill = false;
  std::uint8_t retries = 0;  // how often its client tries again when it is turned away
  float acceptance = 0;  // conditional acceptance of this request's first draft token
  // How acceptance goes on with the position: 0 = constant, else 1 + a row of acceptance_rows().
  std::uint8_t acceptance_row = 0;

  // What the prompt shares with others, from recorded hashes or from the session model: its first
  // system_tokens are those of system prompt `system_prompt`, the rest is the conversation
  // `session`, which later turns of the same session repeat and extend (answers included).
  std::shared_ptr<const PromptHashes> hashes;  // goes before the session model; may be null
  std::uint32_t session = 0;                   // 0 = text that nobody repeats
  std::uint32_t system_prompt = 0;
  std::uint32_t system_tokens = 0;
};

// Sorted by arrival; shared by all strategies of a comparison so that they meet the same traffic.
using Trace = std::vector<Request>;

}  // namespace arqon::workload
