// A signed statement of how long the chain was and what it ended with.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/audit/digest.h"
#include "arqon/base/result.h"

namespace arqon::audit {

struct Checkpoint {
  Hash chain{};
  std::uint64_t records = 0;  // the last of them has the hash `head`
  Hash head{};
  std::int64_t wall_ns = 0;
  std::string key, signature;  // hex
};

Result<Checkpoint> sign(const SigningKey& key, const Hash& chain, std::uint64_t records,
                        const Hash& head, std::int64_t wall_ns);
bool valid(const Checkpoint& checkpoint);
// One JSON object in one line, without its end.
std::string to_line(const Checkpoint& checkpoint);
// kInvalidConfig when it is none, or its signature is not that of its key.
Result<Checkpoint> read_checkpoint(std::string_view line);

// Every line of a file of checkpoints. A last line without its end, which a crash has torn, is left
// out; any other that is no checkpoint is kInvalidConfig, with its number.
Result<std::vector<Checkpoint>> read_checkpoints(std::string_view text);

}  // namespace arqon::audit
