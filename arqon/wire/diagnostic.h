// One thing wrong with a document, said so that the reader can fix it at once.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace arqon::wire {

struct Diagnostic {
  std::string path;     // e.g. "knobs.main.batch_size.min"; "" = the document itself
  int line = 0;         // from 1; 0 = unknown
  int column = 0;       // from 1
  std::string value;    // the offending value as written, shortened to 80 characters
  std::string message;  // what is wrong and what would be right
  std::string hint;     // e.g. "did you mean \"batch_size\"?"; may be empty
};
using Diagnostics = std::vector<Diagnostic>;

// "FILE:LINE:COLUMN: PATH: MESSAGE (got VALUE); HINT"; what is unknown or empty is left out.
std::string to_string(const Diagnostic& diagnostic, std::string_view file);
// The known name nearest to `word` by edit distance (Damerau-Levenshtein, letter case ignored), or
// the first that begins with it, or "" when none is near. The first of equals wins.
std::string nearest_name(std::string_view word, const std::vector<std::string>& known);

// `text` cut to `characters` with "..." at the end, control bytes and broken UTF-8 shown as '?'.
std::string shortened(std::string_view text, std::size_t characters = 80);

}  // namespace arqon::wire
