// Any bytes: an exposition whose every series can be asked for, or a refusal with its place.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "arqon/base/assert.h"
#include "arqon/wire/prometheus.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = arqon::wire::parse_prometheus(text);
  if (!parsed) {
    ARQON_ASSERT(!parsed.error().message.empty());
    return 0;
  }
  ARQON_ASSERT(text.empty() || text.back() == '\n');
  std::size_t asked = 0;
  for (const auto& series : parsed->series()) {
    ARQON_ASSERT(!series.name.empty());
    if (++asked > 100) break;
    ARQON_ASSERT(parsed->has(series.name));
    if (!series.name.ends_with("_bucket")) continue;
    const auto buckets = parsed->buckets(series.name.substr(0, series.name.size() - 7));
    ARQON_ASSERT(buckets.bounds.size() == buckets.counts.size());
    for (std::size_t i = 1; i < buckets.bounds.size(); ++i) {
      ARQON_ASSERT(buckets.bounds[i - 1] < buckets.bounds[i]);
    }
    if (!buckets.bounds.empty()) ARQON_ASSERT(std::isinf(buckets.bounds.back()));
  }
  return 0;
}
