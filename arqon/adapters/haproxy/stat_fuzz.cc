// Any answer of the runtime socket: readings in their ranges, or a refusal that says why.
#include <cstddef>
#include <cstdint>

#include "arqon/adapters/haproxy/runtime.h"
#include "arqon/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto backends = arqon::adapters::haproxy::parse_stat(text);
  if (!backends) {
    ARQON_ASSERT(!backends.error().message.empty());
  } else {
    for (const auto& backend : *backends) {
      for (const auto& server : backend.servers) {
        ARQON_ASSERT(server.weight >= 0 && server.weight <= 256);
      }
    }
  }
  const auto process = arqon::adapters::haproxy::parse_info(text);
  ARQON_ASSERT(process.has_value() ? !process->version.empty() : !process.error().message.empty());
  return 0;
}
