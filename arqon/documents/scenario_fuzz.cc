// Any bytes as a scenario: refused with a reason, or an effective document that reads back the
// same.
#include <cstddef>
#include <cstdint>

#include "arqon/base/assert.h"
#include "arqon/documents/scenario.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arqon;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto scenario = documents::parse_scenario(text, "fuzz.json");
  if (!scenario) {
    ARQON_ASSERT(!scenario.error().empty());
    for (const auto& d : scenario.error()) ARQON_ASSERT(!d.message.empty());
    return 0;
  }
  const std::string effective = documents::to_json(*scenario);
  const auto again = documents::parse_scenario(effective, "fuzz.json");
  ARQON_ASSERT(again.has_value());
  ARQON_ASSERT(documents::to_json(*again) == effective);
  ARQON_ASSERT(documents::scenario_hash(*again) == documents::scenario_hash(*scenario));
  ARQON_ASSERT(scenario->guardrails.limits.size() == scenario->knobs.size());
  ARQON_ASSERT(scenario->protective.size() == scenario->knobs.size());
  ARQON_ASSERT(scenario->quality.size() == scenario->classes.size());
  ARQON_ASSERT(scenario->knobs.contains(scenario->knobs.default_config()));
  for (const auto& spec : scenario->workloads) ARQON_ASSERT(!spec.segments.empty());
  return 0;
}
