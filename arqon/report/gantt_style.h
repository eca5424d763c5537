// Style sheet, controls and script of the step timeline, as text.
#pragma once

#include <string_view>

namespace arqon::report {

std::string_view gantt_style();
std::string_view gantt_controls();
// Expects `replicas`: [{name, runs: [[begin us, length us, steps, decodes, chunks, chunk tokens,
// waiting, KV per mille], ...]}, ...], runs in order of time.
std::string_view gantt_script();

}  // namespace arqon::report
