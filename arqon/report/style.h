// The report's style sheet and its one small script, as text.
#pragma once

#include <string_view>

namespace arqon::report {

std::string_view style_sheet();
// Reads values under the pointer from the plots; nothing depends on it.
std::string_view script();

}  // namespace arqon::report
