// One record of the chain as a value, and its one encoding. Format: docs/formats/audit.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "arqon/audit/digest.h"
#include "arqon/base/result.h"
#include "arqon/space/space.h"
#include "arqon/wire/json.h"

namespace arqon::audit {

inline constexpr std::size_t kLineBytesMax = 64u << 10;
// '\t' HASH '\n'
inline constexpr std::size_t kTailBytes = kHexBytes + 2;

struct Record {
  std::uint64_t epoch = 0;       // of the engine
  std::uint64_t generation = 0;  // of the tuner's writes
  std::int64_t mono_ns = 0, wall_ns = 0;
  std::string actor, action;
  int replica = -1;
  Config before, after;
  std::string reason;
  wire::Value note;  // an object, or null
};

// What the log adds to a record: where it stands, and what it was made from.
struct Stamp {
  std::uint64_t seq = 0, group = 0;
  Hash inputs{};
  std::uint64_t tape = 0;
};

// The JSON object, keys in their order, without hash or line end.
std::string encode(const Record& record, const Stamp& stamp);

struct Decoded {
  Record record;
  Stamp stamp;
};
// kInvalidConfig when the object is not one of ours. Everything is bounded by kLineBytesMax.
Result<Decoded> decode(std::string_view json);

// The numbers after {"seq": and "group": at the start of a line; false when they are not there.
// Cheap: for whoever looks at a million lines.
struct Place {
  std::uint64_t seq = 0, group = 0;
};
bool read_place(std::string_view json, Place& place);

}  // namespace arqon::audit
