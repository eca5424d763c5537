#include "arqon/wire/sse.h"

namespace arqon::wire {

// Lines end with LF, CR or CR LF; a CR LF may be cut in two by the network.
void SseReader::feed(std::string_view bytes,
                     const std::function<void(std::string_view data)>& on_event) {
  while (!bytes.empty()) {
    if (skip_line_feed_ && bytes.front() == '\n') bytes.remove_prefix(1);
    skip_line_feed_ = false;
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    keep(part);
    if (end == std::string_view::npos) return;
    skip_line_feed_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    line(line_, on_event);
    line_.clear();
    line_bytes_ = 0;
  }
}

void SseReader::keep(std::string_view part) {
  line_bytes_ += part.size();
  if (line_.size() + data_.size() + part.size() > bytes_max_) {
    too_long_ = true;
    line_.clear();
    data_.clear();
  }
  if (!too_long_) line_ += part;
}

void SseReader::line(std::string_view text,
                     const std::function<void(std::string_view data)>& on_event) {
  const bool first = std::exchange(first_line_, false);
  if (line_bytes_ == 0) {
    if (too_long_) {
      ++dropped_;
    } else if (have_data_) {
      on_event(data_);
    }
    data_.clear();
    have_data_ = too_long_ = false;
    return;
  }
  if (too_long_) return;
  if (first && text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::size_t colon = text.find(':');
  if (text.substr(0, colon) != "data") return;
  std::string_view value;
  if (colon != std::string_view::npos) value = text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (have_data_) data_ += '\n';
  data_ += value;
  have_data_ = true;
}

}  // namespace arqon::wire
