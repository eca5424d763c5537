// Any bytes as a segment, as checkpoints and as a record: a finding or an error, never a crash, and
// what is taken for good comes back the same.
#include <cstddef>
#include <cstdint>

#include "arqon/audit/record.h"
#include "arqon/audit/verify.h"
#include "arqon/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arqon::audit;  // NOLINT(google-build-using-namespace)
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const bool last : {true, false}) {
    Walk walk;
    const auto finding = walk.segment("fuzz.log", bytes, last, [&](auto, auto json, auto) {
      // A line whose hash fits may still be no record of ours; one that is has one encoding.
      const auto record = decode(json);
      if (record) (void)encode(record->record, record->stamp);
    });
    ARQON_ASSERT(walk.good_bytes() <= bytes.size());
    if (finding) ARQON_ASSERT(!to_text(*finding).empty());
    if (!finding) ARQON_ASSERT(walk.good_bytes() == bytes.size());
  }
  (void)read_checkpoints(bytes);
  if (const auto record = decode(bytes)) {
    const std::string text = encode(record->record, record->stamp);
    const auto again = decode(text);
    ARQON_ASSERT(again.has_value() && encode(again->record, again->stamp) == text);
  }
  return 0;
}
