#include "arqon/adapters/haproxy/log.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace arqon::adapters::haproxy {
namespace {

using serving::RequestOutcome;

constexpr std::string_view kMark = "arqon1 ";
constexpr std::size_t kWordMax = 256;
constexpr double kTimeMaxMs = 1e10;  // about four months

// Takes words off the front of a text; every failure is remembered.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}

  std::string_view next() {
    const std::size_t end = std::min(rest_.find(' '), rest_.size());
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (word.empty() || word.size() > kWordMax) good_ = false;
    return word;
  }
  template <typename Number>
  Number number(Number min, Number max) {
    return convert<Number>(next(), min, max);
  }
  // The count of retries: a '+' in front says that the request went to another server in the end.
  int retries() {
    std::string_view word = next();
    if (word.starts_with('+')) word.remove_prefix(1);
    return convert<int>(word, 0, 1000);
  }
  // N numbers with slashes between them; "-" and an empty place are `absent`.
  template <std::size_t N>
  std::array<double, N> slashed(double absent) {
    std::array<double, N> out{};
    std::string_view word = next();
    for (std::size_t i = 0; i < N; ++i) {
      const std::size_t end = i + 1 < N ? word.find('/') : word.size();
      if (end == std::string_view::npos) good_ = false;
      const std::string_view part = word.substr(0, end);
      const bool none = part.empty() || part == "-";
      out[i] = none ? absent : convert<double>(part, -1, 1e15);
      word.remove_prefix(std::min(part.size() + 1, word.size()));
    }
    return out;
  }
  std::string_view rest() const { return rest_; }
  bool good() const { return good_; }

 private:
  template <typename Number>
  Number convert(std::string_view word, Number min, Number max) {
    Number value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    const bool whole = error == std::errc{} && end == word.data() + word.size();
    if (!whole || !(value >= min && value <= max)) {
      good_ = false;
      return min;
    }
    return value;
  }
  std::string_view rest_;
  bool good_ = true;
};

// The text between quotes; nothing when a quote is missing (the line was cut).
std::optional<std::string> unquoted(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == '\0')) {
    text.remove_suffix(1);
  }
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::nullopt;
  std::string out;
  for (std::size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '\\' && i + 2 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

bool is_time(double ms) { return ms >= -1 && ms <= kTimeMaxMs; }

// What of the wait is known to have passed before the first byte of the body.
double first_byte(double request_ms, double from, double first) {
  if (from < 0 || first < from || request_ms < 0) return -1;
  const double ms = request_ms + (first - from);
  return is_time(ms) ? ms : -1;
}

bool client_left(const LogLine& line) {
  return line.termination[0] == 'C' || line.termination[0] == 'c';
}

}  // namespace

LineKind parse_log_line(std::string_view datagram, LogLine& line) {
  // Only a syslog header of HAProxy's own making may stand in front.
  const std::size_t mark = datagram.find(kMark);
  if (mark == std::string_view::npos || mark > kWordMax) return LineKind::kOther;
  Words words(datagram.substr(mark + kMark.size()));
  LogLine out;
  out.pid = words.number<std::int64_t>(0, std::int64_t{1} << 40);
  out.accepted_s = words.number<double>(0, 1e11);
  out.frontend = words.next();
  if (out.frontend.ends_with('~')) out.frontend.pop_back();  // a TLS listener
  out.backend = words.next();
  out.server = words.next();
  out.status = words.number<int>(-1, 999);
  out.bytes = words.number<std::uint64_t>(0, std::uint64_t{1} << 60);
  out.termination = words.next();
  // A '+' in front of a time ("option logasap") is refused: that line is written before the end.
  const auto times = words.slashed<5>(-1);
  const auto marks = words.slashed<2>(-1);
  (void)words.slashed<2>(0);
  out.retries = words.retries();
  out.method = words.next();
  const auto header = unquoted(words.rest());
  if (!words.good() || !header || out.termination.size() != 2) return LineKind::kBroken;
  for (const double time : times) {
    if (!is_time(time) || time != std::floor(time)) return LineKind::kBroken;
  }
  out.request_ms = times[0];
  out.queue_ms = times[1];
  out.connect_ms = times[2];
  out.headers_ms = times[3];
  out.total_ms = times[4];
  out.first_byte_ms = first_byte(times[0], marks[0], marks[1]);
  out.header = *header;
  line = std::move(out);
  return LineKind::kRequest;
}

Ended how_it_ended(const LogLine& line, const serving::Slo& slo) {
  Ended ended;
  if (line.method != "POST" || line.termination.size() != 2) return ended;
  ended.outcome.ttft_ms = line.first_byte_ms;
  ended.outcome.e2e_ms = line.total_ms;
  if (client_left(line)) {
    // The client waited this long at least; what it had not seen by then came later still.
    if (ended.outcome.ttft_ms < 0) ended.outcome.ttft_ms = line.total_ms;
    const bool late = serving::judge(ended.outcome, slo) != serving::Limit::kNone;
    ended.kind = late ? Ended::Kind::kCounted : Ended::Kind::kCancelled;
    return ended;
  }
  if (line.status >= 400 && line.status < 500 && line.status != 429) return ended;
  ended.kind = Ended::Kind::kCounted;
  if (line.status == 429 || line.status == 503) {
    ended.outcome.end = RequestOutcome::End::kRejected;
  } else if (line.status < 200 || line.status >= 300 || line.termination[0] != '-') {
    ended.outcome.end = RequestOutcome::End::kFailed;
  }
  return ended;
}

}  // namespace arqon::adapters::haproxy
