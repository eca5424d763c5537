// Any bytes as results of one study with every type of parameter: refused with a reason, or trials
// whose numbers are finite and whose settings lie in the space.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "arqon/base/assert.h"
#include "arqon/documents/study.h"

namespace {

constexpr std::string_view kStudy = R"({"bounds": {
  "batch_size": {"min": 1, "max": 64, "scale": "Log", "type": "int"},
  "max_wait_ms": {"min": 10, "max": 500},
  "policy": {"type": "categorical", "choices": ["fcfs", "sjf"]},
  "chunked": {"type": "bool"},
  "split": {"type": "simplex", "choices": ["a", "b"]}}})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace arqon;
  static const solver::StudyConfig config = documents::parse_study(kStudy).value().config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto trials = documents::parse_results(text, config);
  if (!trials) {
    ARQON_ASSERT(!trials.error().empty());
    return 0;
  }
  for (const solver::Trial& trial : *trials) {
    ARQON_ASSERT(config.space.contains(trial.params));
    ARQON_ASSERT(!trial.value || std::isfinite(*trial.value));
    ARQON_ASSERT(!trial.applied || trial.applied->size() == config.space.slots());
    ARQON_ASSERT(trial.cost >= 0);
    for (const auto& [name, metric] : trial.metrics) ARQON_ASSERT(std::isfinite(metric.value));
  }
  const std::string written = documents::to_json(config.space, *trials);
  const auto again = documents::parse_results(written, config);
  ARQON_ASSERT(again.has_value());
  ARQON_ASSERT(documents::to_json(config.space, *again) == written);
  return 0;
}
