// Texts with places for values: "{value}", "{max_batch_size}". Braces of anything else stay as they
// are, so that a JSON body is its own template.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace arqon::adapters {

using Filling = std::vector<std::pair<std::string, std::string>>;  // name, text

// `text` with every {name} replaced, once and from left to right: what is put in is not looked at
// again.
std::string filled(std::string_view text, const Filling& filling);
std::vector<std::string> filled(const std::vector<std::string>& words, const Filling& filling);
bool has_place(std::string_view text, std::string_view name);

// A number as people write it: 8, 0.5.
std::string number_text(double value);
// The inside of a JSON string: quotes, backslashes and control characters escaped.
std::string json_inside(std::string_view text);

}  // namespace arqon::adapters
