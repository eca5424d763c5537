// One event of an OpenAI-style stream, read without building values: the client sees thousands a
// second and must cost little. Completions and chat alike.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace arqon::load {

struct Chunk {
  bool valid = false;     // well-formed JSON as far as it was looked at
  // A piece of the answer: text, or a token whose text is held back (empty text without an end).
  // An event that only announces the role, or only the end, is none.
  bool piece = false;
  bool text = false;      // a piece with text in it
  bool finished = false;  // a finish_reason is there
  bool cut_by_length = false;  // finish_reason "length"
  bool aborted = false;        // finish_reason "abort" or "error"
  bool usage = false;          // the two below were given
  std::uint32_t prompt_tokens = 0, output_tokens = 0;
  bool error = false;
  std::string_view error_text;  // into the event, escapes as they are; may be empty
};

Chunk read_chunk(std::string_view json);

}  // namespace arqon::load
