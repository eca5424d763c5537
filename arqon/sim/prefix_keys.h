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

inline PrefixKeys prefix_keys(const workload::Request&) { return {}; }

}  // namespace arqon::sim
