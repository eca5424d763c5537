// Bodies of requests: prompts of a given length, the same for the same seed.
#pragma once

#include <cstdint>
#include <string>

#include "arqon/base/rng.h"
#include "arqon/load/load.h"

namespace arqon::load {

// The JSON body of request number `index` of `stream`. Lengths are at least 1.
std::string request_body(const Options& options, const Rng& stream, std::uint64_t index,
                         std::uint32_t prompt_tokens, std::uint32_t output_tokens);

}  // namespace arqon::load
