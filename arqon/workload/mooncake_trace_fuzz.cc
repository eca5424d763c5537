// Any bytes: rows in time order with tokens, or a refusal that names the line.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "arqon/base/assert.h"
#include "arqon/workload/trace_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto rows = arqon::workload::parse_mooncake(
      std::string_view(reinterpret_cast<const char*>(data), size), "f");
  if (!rows.has_value()) {
    ARQON_ASSERT(rows.error().code == arqon::ErrorCode::kInvalidConfig);
    ARQON_ASSERT(rows.error().message.starts_with("f:"));
    return 0;
  }
  ARQON_ASSERT(!rows->empty() && rows->front().at.count() == 0);
  arqon::Duration last{};
  for (const arqon::workload::TraceRow& row : *rows) {
    ARQON_ASSERT(row.at >= last && row.prompt_tokens >= 1 && row.output_tokens >= 1);
    last = row.at;
  }
  return 0;
}
