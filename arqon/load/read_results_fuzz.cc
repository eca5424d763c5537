// Whatever a result file holds: runs whose ledgers add up, or one error that names the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "arqon/load/chunk.h"
#include "arqon/load/read_results.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(arqon::load::read_chunk(text));
  const auto runs = arqon::load::read_results(text, "file", {.name = "all", .ttft_ms = 10});
  if (!runs) {
    if (!runs.error().message.starts_with("file:")) std::abort();
    return 0;
  }
  for (const arqon::load::ForeignRun& run : *runs) {
    const arqon::serving::Ledger& l = run.totals.ledger;
    if (l.good + l.late + l.cut + l.rejected + l.unfinished != l.arrived) std::abort();
  }
  return 0;
}
