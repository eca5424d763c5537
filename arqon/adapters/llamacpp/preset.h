// The preset file of llama.cpp's router mode: an INI file whose sections are models and whose keys
// are flags. Only the named keys of one section change; everything else stays as it was written.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arqon/base/result.h"

namespace arqon::adapters::llamacpp {

// kInvalidConfig when the text has no such section, or has it or a key in it twice (which one
// counts would be anybody's guess).
Result<std::string> with_values(std::string_view text, std::string_view section,
                                const std::vector<std::pair<std::string, std::string>>& values);

}  // namespace arqon::adapters::llamacpp
