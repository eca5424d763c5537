// Server-sent events (WHATWG HTML 9.2) out of a byte stream, as OpenAI-style servers stream tokens.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace arqon::wire {

// Feed bytes as they come; each complete `data:` payload is handed on (several data lines of one
// event joined by \n). Bounded: an event longer than bytes_max is dropped and counted.
class SseReader {
 public:
  explicit SseReader(std::size_t bytes_max = 1u << 20) : bytes_max_(bytes_max) {}
  void feed(std::string_view bytes, const std::function<void(std::string_view data)>& on_event);
  std::size_t dropped() const { return dropped_; }

 private:
  void keep(std::string_view part);
  void line(std::string_view text, const std::function<void(std::string_view)>& on_event);
  std::size_t bytes_max_;
  std::string line_, data_;
  std::size_t line_bytes_ = 0;  // of the line so far, also when it is not kept
  bool have_data_ = false, too_long_ = false;
  bool first_line_ = true, skip_line_feed_ = false;
  std::size_t dropped_ = 0;
};

}  // namespace arqon::wire
