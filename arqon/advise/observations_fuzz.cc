// Windows and histories of any bytes: read or refused, never more.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "arqon/advise/flags.h"
#include "arqon/calibrate/history.h"
#include "arqon/calibrate/read_observations.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (arqon::calibrate::looks_like_history(text)) {
    if (const auto history = arqon::calibrate::read_history(text)) {
      arqon::calibrate::windows_of(*history, 1);
      arqon::calibrate::traffic_of(*history);
    }
  } else {
    static_cast<void>(arqon::calibrate::read_observations(text));
  }
  static_cast<void>(arqon::advise::parse_vllm_flags(text));
  return 0;
}
