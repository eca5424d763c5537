// Any bytes: rows that survive a round trip, or a refusal that says why.
#include <cstddef>
#include <cstdint>

#include "arqon/base/assert.h"
#include "arqon/wire/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  arqon::wire::CsvReader reader(std::string_view(reinterpret_cast<const char*>(data), size));
  std::vector<std::string> fields;
  while (reader.next(fields)) {
    ARQON_ASSERT(!fields.empty());
    if (fields.size() == 1 && fields[0].empty()) continue;  // written as a blank line, skipped
    arqon::wire::CsvWriter writer;
    for (const std::string& field : fields) writer.field(field);
    writer.end_row();
    const std::string text = writer.take();
    arqon::wire::CsvReader again(text);
    std::vector<std::string> same;
    ARQON_ASSERT(again.next(same) && same == fields);
    ARQON_ASSERT(!again.next(same) && !again.error());
  }
  if (reader.error()) ARQON_ASSERT(!reader.error()->message.empty());
  return 0;
}
