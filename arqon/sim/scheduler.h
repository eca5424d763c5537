// What kind of scheduler an engine has (equation page 2.3): fixed when it is built.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/sim/fleet.h"
#include "arqon/sim/speculation.h"

namespace arqon::sim {

enum class SchedulerKind : std::uint8_t {
  kVllmV1,       // a prompt enters when its tokens fit; the last one in leaves when they do not
  kTensorRtLlm,  // "guaranteed no evict": a prompt enters when its whole answer fits as well
  kTriton,       // dynamic batcher: a batch enters whole and ends whole before the next
};
std::optional<SchedulerKind> parse_scheduler(std::string_view name);

struct SchedulerOptions {
  SchedulerKind kind = SchedulerKind::kVllmV1;
  bool prefix_caching = true;
  double watermark = 0;  // share of the blocks that admission leaves free
  std::vector<std::int64_t> preferred_batch_sizes;  // kTriton: sent at once when reached; sorted
  std::vector<SpeculationBand> speculation;         // sorted by batch_max; empty = k for all
};

// kInvalidConfig names the flag that is out of its range.
Result<SchedulerOptions> scheduler_options(const EngineSpec& spec, std::string_view where);

}  // namespace arqon::sim
