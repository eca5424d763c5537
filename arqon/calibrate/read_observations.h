// Observations as people write them: CSV with a header row, or JSON
// {"schema": 1, "windows": [{...}, ...]}; the column and member names are those of Observation.
// Format and meaning: docs/howto/calibrate.md.
#pragma once

#include <string_view>
#include <tl/expected.hpp>

#include "arqon/calibrate/observation.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::calibrate {

// The format is told from the first character. Refuses, with line, column and the nearest known
// name: unknown or repeated columns, a missing column of those that every window needs (seconds,
// finished, prompt_tokens, output_tokens), numbers that are not finite or below 0, kv_use above 1,
// a window of no length, times that fall. Empty cells and absent members are "not told". At most
// 100,000 windows.
tl::expected<Observations, wire::Diagnostics> read_observations(std::string_view text);

}  // namespace arqon::calibrate
