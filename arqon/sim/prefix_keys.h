// What a router can know of a prompt's beginning.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "arqon/workload/request.h"

namespace arqon::sim {

// Keys of prefixes, from the shortest to the longest; equal keys, equal text.
struct PrefixKeys {
  std::array<std::uint64_t, 2> keys{};
  std::size_t count = 0;
  std::span<const std::uint64_t> recorded;  // instead of keys, where a trace has them
  std::span<const std::uint64_t> span() const {
    return recorded.empty() ? std::span(keys).first(count) : recorded;
  }
};

// A recorded chain is what it is; without one, the system prompt and then the conversation. Keys of
// both kinds differ by their highest bits.
inline PrefixKeys prefix_keys(const workload::Request& request) {
  constexpr std::uint64_t kSystem = std::uint64_t{1} << 62, kSession = std::uint64_t{1} << 63;
  PrefixKeys out;
  if (request.hashes != nullptr) {
    out.recorded = request.hashes->chain;
    return out;
  }
  if (request.session == 0) return out;
  if (request.system_tokens > 0) out.keys[out.count++] = kSystem + request.system_prompt;
  out.keys[out.count++] = kSession + request.session;
  return out;
}

}  // namespace arqon::sim
