// Any bytes: a value that survives a round trip, or a refusal that says why.
#include <cstddef>
#include <cstdint>

#include "arqon/base/assert.h"
#include "arqon/wire/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = arqon::wire::parse_json(text);
  if (!value) {
    ARQON_ASSERT(!value.error().message.empty());
    ARQON_ASSERT(!arqon::wire::to_string(value.error(), "fuzz.json").empty());
    return 0;
  }
  for (const int indent : {-1, 2}) {
    const auto again = arqon::wire::parse_json(arqon::wire::write_json(*value, indent));
    ARQON_ASSERT(again.has_value() && *again == *value);
  }
  return 0;
}
