#include "arqon/load/flight.h"

#include <fmt/format.h>

#include <algorithm>

namespace arqon::load {
namespace {

constexpr std::size_t kErrorBytesMax = 300;
constexpr std::size_t kEventBytesMax = 1u << 20;

// What a terminal can show of a server's words.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, kErrorBytesMax));
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

}  // namespace

void Flight::take_off(std::size_t index, Row row) {
  index_ = index;
  row_ = row;
  sse_ = wire::SseReader(kEventBytesMax);
  error_.clear();
  done_ = finished_ = by_length_ = aborted_ = garbage_ = told_ = usage_ = false;
}

void Flight::on_bytes(int status, std::string_view bytes) {
  if (status != 200) {
    if (error_.size() < kErrorBytesMax) error_ += bytes.substr(0, kErrorBytesMax);
    return;
  }
  const double now_s = tower_.now_s();
  sse_.feed(bytes, [this, now_s](std::string_view data) { event(data, now_s); });
}

void Flight::event(std::string_view data, double now_s) {
  if (done_) return;
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  const Chunk chunk = read_chunk(data);
  garbage_ = garbage_ || !chunk.valid;
  if (chunk.error && !told_) {
    told_ = true;
    error_ = chunk.error_text;
  }
  if (chunk.usage) {
    usage_ = true;
    row_.prompt_tokens = chunk.prompt_tokens;
    row_.output_tokens = chunk.output_tokens;
  }
  // The end of an answer comes with its last token, also where that token has no text to show.
  const bool ends = chunk.finished && row_.pieces > 0;
  if (chunk.piece || ends) {
    if (row_.pieces == 0) {
      row_.first_token_s = now_s;
      tower_.first_token(index_);
    } else {
      row_.max_gap_ms = std::max(row_.max_gap_ms, (now_s - row_.last_token_s) * 1e3);
    }
    row_.last_token_s = now_s;
    if (chunk.piece) ++row_.pieces;
  }
  finished_ = finished_ || chunk.finished;
  by_length_ = by_length_ || chunk.cut_by_length;
  aborted_ = aborted_ || chunk.aborted;
}

Failure Flight::verdict(const net::StreamEnd& end) const {
  if (end.timed_out) return Failure::kTimeout;
  if (end.status == 0) return Failure::kConnection;
  if (end.status == 429 || end.status == 503) return Failure::kRefused;
  if (end.status != 200) return Failure::kStatus;
  if (told_) return Failure::kError;
  // After the end mark nothing can be lost any more.
  if (!done_ && !end.error.empty()) return Failure::kBroken;
  if (garbage_ || aborted_ || sse_.dropped() > 0) return Failure::kBroken;
  if (row_.pieces == 0 || row_.output_tokens == 0) return Failure::kNoTokens;
  if (!done_ && !finished_) return Failure::kBroken;
  const bool whole = row_.output_tokens >= row_.output_asked || (!usage_ && by_length_);
  return ignore_eos_ && !whole ? Failure::kShort : Failure::kNone;
}

std::string Flight::failure_text(const net::StreamEnd& end) const {
  switch (row_.failure) {
    case Failure::kRefused:
    case Failure::kStatus: return fmt::format("status {}: {}", end.status, printable(error_));
    case Failure::kError: return fmt::format("error in the stream: {}", printable(error_));
    case Failure::kNoTokens: return "status 200 without a token (does the server stream?)";
    case Failure::kShort:
      return fmt::format("{} of {} tokens", row_.output_tokens, row_.output_asked);
    case Failure::kTimeout: return fmt::format("no end after {} pieces in time", row_.pieces);
    case Failure::kConnection: return end.error;
    case Failure::kBroken:
      if (garbage_) return "an event of the stream is not JSON of this protocol";
      if (aborted_) return "the server aborted the answer";
      return fmt::format("the stream ended in mid-answer after {} pieces{}{}", row_.pieces,
                         end.error.empty() ? "" : ": ", end.error);
    default: return "";
  }
}

void Flight::on_end(const net::StreamEnd& end) {
  if (end.lost_on_kept && !row_.resent) {
    row_.resent = true;
    return tower_.send_again(*this);
  }
  row_.end_s = tower_.now_s();
  row_.status = end.status;
  if (!usage_) row_.output_tokens = row_.pieces;
  row_.failure = verdict(end);
  row_.ended = true;
  tower_.landed(*this, failure_text(end));
}

}  // namespace arqon::load
