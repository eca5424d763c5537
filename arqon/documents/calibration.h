// The calibration document (schema 1): what `arqonhpo calibrate` found out about a deployment, and
// what a scenario's pool names to make its twin that deployment. Format: docs/howto/calibrate.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "arqon/calibrate/fit.h"
#include "arqon/sim/calibration.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::documents {

struct CalibrationDocument {
  // Whose it is: constants expire with the engine's version (nothing checks it but people).
  std::string engine;  // e.g. "vllm 0.32.0"; may be empty
  std::string model, gpu, dtype;
  int tp = 1;
  calibrate::Fit fit;
  std::optional<std::int64_t> kv_cache_blocks;  // as the engine says, or as the windows tell
  std::optional<std::int64_t> block_size;
};

std::string to_json(const CalibrationDocument& document);
// Scalars that the document leaves out keep their default; everything beside "scalars" may be left
// out. Refuses unknown keys and scalars outside of their range.
tl::expected<CalibrationDocument, wire::Diagnostics> parse_calibration(std::string_view text);

}  // namespace arqon::documents
