// Both files of a ServeGen client, one after the other with a zero byte between them.
#include <cstdint>
#include <string_view>

#include "arqon/base/assert.h"
#include "arqon/workload/servegen.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\0');
  const std::string_view trace = text.substr(0, cut);
  const std::string_view dataset =
      cut == std::string_view::npos ? std::string_view{} : text.substr(cut + 1);
  const auto client = arqon::workload::parse_servegen(trace, "t", dataset, "d");
  if (!client) {
    ARQON_ASSERT(client.error().code == arqon::ErrorCode::kInvalidConfig);
    ARQON_ASSERT(client.error().message.starts_with("t:") ||
                 client.error().message.starts_with("d:"));
    return 0;
  }
  ARQON_ASSERT(!client->windows.empty() && !client->hours.empty());
  double expected = 0;
  for (const auto& w : client->windows) expected += w.rate_per_s * 600;
  if (expected > 1e4) return 0;
  const auto rows = arqon::workload::servegen_rows({*client}, 3600, arqon::Rng(1));
  if (!rows) return 0;
  arqon::Duration last{};
  for (const arqon::workload::TraceRow& row : *rows) {
    ARQON_ASSERT(row.at >= last && row.prompt_tokens >= 1 && row.output_tokens >= 1);
    last = row.at;
  }
  return 0;
}
