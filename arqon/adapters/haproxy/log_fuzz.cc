// Any datagram: one of the three kinds, and what is read from a request makes sense.
#include <cstddef>
#include <cstdint>

#include "arqon/adapters/haproxy/log.h"
#include "arqon/base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using arqon::adapters::haproxy::Ended;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  arqon::adapters::haproxy::LogLine line;
  if (parse_log_line(text, line) != arqon::adapters::haproxy::LineKind::kRequest) {
    ARQON_ASSERT(line.pid == 0 && line.backend.empty());
    return 0;
  }
  for (const double ms : {line.request_ms, line.queue_ms, line.connect_ms, line.headers_ms,
                          line.total_ms, line.first_byte_ms}) {
    ARQON_ASSERT(ms >= -1 && ms <= 1e11);
  }
  ARQON_ASSERT(line.termination.size() == 2 && line.status >= -1 && line.status <= 999);
  const arqon::serving::Slo slo{.name = "chat", .ttft_ms = 100, .e2e_ms = 1000};
  const Ended ended = how_it_ended(line, slo);
  if (ended.kind == Ended::Kind::kCounted) {
    arqon::serving::ClassCounters counters;
    arqon::serving::count(ended.outcome, slo, counters);
    ARQON_ASSERT(counters.arrived == 1 && counters.good + counters.bad == 1);
  }
  return 0;
}
