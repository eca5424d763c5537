// Any bytes as a study: refused with a reason, or an effective document that reads back the same
// and whose own settings, results and guardrails are accepted by it.
#include <cstddef>
#include <cstdint>

#include "arqon/base/assert.h"
#include "arqon/documents/study.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arqon;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto study = documents::parse_study(text);
  if (!study) {
    ARQON_ASSERT(!study.error().empty());
    for (const auto& d : study.error()) ARQON_ASSERT(!d.message.empty());
    return 0;
  }
  const std::string effective = documents::to_json(*study);
  const auto again = documents::parse_study(effective);
  ARQON_ASSERT(again.has_value());
  ARQON_ASSERT(documents::to_json(*again) == effective);
  const Space& space = study->config.space;
  const Config setting = space.default_config();
  ARQON_ASSERT(space.contains(setting));
  const auto params = documents::parse_params(documents::params_to_json(space, setting), space);
  ARQON_ASSERT(params.has_value() && *params == setting);
  for (const auto& limits : documents::default_guardrails(space).limits) {
    ARQON_ASSERT(limits.max_delta > 0 && limits.min < limits.max);
  }
  return 0;
}
