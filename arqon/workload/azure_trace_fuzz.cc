// Any bytes: rows in time order with tokens, or a refusal that names the line.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/assert.h"
#include "arqon/workload/trace_reader.h"

namespace {

void check(const arqon::Result<arqon::workload::TraceRows>& rows) {
  if (!rows.has_value()) {
    ARQON_ASSERT(rows.error().code == arqon::ErrorCode::kInvalidConfig);
    ARQON_ASSERT(rows.error().message.starts_with("f:"));
    return;
  }
  ARQON_ASSERT(!rows->empty() && rows->front().at.count() == 0);
  arqon::Duration last{};
  for (const arqon::workload::TraceRow& row : *rows) {
    ARQON_ASSERT(row.at >= last && row.prompt_tokens >= 1 && row.output_tokens >= 1);
    last = row.at;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> classes = {"chat", "code"};
  check(arqon::workload::parse_azure(text, "f"));
  check(arqon::workload::parse_csv(text, "f", classes));
  return 0;
}
