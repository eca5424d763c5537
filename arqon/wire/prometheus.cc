#include "arqon/wire/prometheus.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "arqon/wire/utf8.h"

namespace arqon::wire {
namespace {

constexpr std::size_t kBytesMax = 8u << 20;
constexpr std::size_t kSeriesMax = 100'000;
constexpr std::size_t kLabelsMax = 128;  // of one series

using Labels = std::vector<std::pair<std::string, std::string>>;

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool blank(char c) { return c == ' ' || c == '\t'; }

bool includes(const Series& series, const Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    const std::string* value = series.label(label.first);
    return value != nullptr && *value == label.second;
  });
}

std::optional<double> number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.front() == '+') return std::nullopt;
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

// Reads one text; the first thing wrong ends it.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  tl::expected<Exposition, Diagnostic> parse() {
    if (text_.size() > kBytesMax) return refuse(fmt::format("more than {} bytes", kBytesMax));
    if (!text_.empty() && text_.back() != '\n') {
      return refuse_end("the last line has no newline: the answer was cut");
    }
    while (at_ < text_.size()) {
      if (!line()) return tl::unexpected<Diagnostic>(std::move(error_));
      ++at_;  // the newline
      ++line_;
      line_start_ = at_;
    }
    return Exposition(std::move(series_));
  }

 private:
  char peek() const { return text_[at_]; }  // never past the end: the text ends with a newline
  void skip_blanks() {
    while (blank(peek())) ++at_;
  }

  bool line() {
    skip_blanks();
    if (peek() == '#') {
      at_ = text_.find('\n', at_);
      return true;
    }
    if (peek() == '\n') return true;
    if (series_.size() == kSeriesMax) return wrong(fmt::format("more than {} series", kSeriesMax));
    Series series;
    if (!name(series.name, true)) return wrong("not a metric name");
    skip_blanks();
    if (peek() == '{' && !labels(series.labels)) return false;
    if (!value(series.value) || !rest_of_line()) return false;
    series_.push_back(std::move(series));
    return true;
  }

  bool name(std::string& out, bool colons) {
    const std::size_t start = at_;
    while (letter(peek()) || (colons && peek() == ':') || (at_ > start && digit(peek()))) ++at_;
    out = text_.substr(start, at_ - start);
    return !out.empty();
  }

  bool labels(Labels& out) {
    ++at_;
    while (true) {
      skip_blanks();
      if (peek() == '}') break;
      if (out.size() == kLabelsMax) return wrong(fmt::format("more than {} labels", kLabelsMax));
      auto& [key, text] = out.emplace_back();
      if (!name(key, false)) return wrong("not a label name");
      skip_blanks();
      if (peek() != '=') return wrong("a label needs =\"value\"");
      ++at_;
      skip_blanks();
      if (peek() != '"') return wrong("a label value begins with a quote");
      ++at_;
      if (!quoted(text)) return false;
      skip_blanks();
      if (peek() == ',') {
        ++at_;
      } else if (peek() != '}') {
        return wrong("a label is followed by , or }");
      }
    }
    ++at_;
    return true;
  }

  bool quoted(std::string& out) {
    while (peek() != '"') {
      if (peek() == '\n') return wrong("the label value does not end");
      if (peek() == '\\') {
        ++at_;
        const char c = peek();
        if (c != '\\' && c != '"' && c != 'n') return wrong("an escape other than \\\\, \\\", \\n");
        out += c == 'n' ? '\n' : c;
        ++at_;
        continue;
      }
      const std::size_t length = internal::utf8_length(text_, at_);
      if (length == 0) return wrong("the label value is not UTF-8");
      out += text_.substr(at_, length);
      at_ += length;
    }
    ++at_;
    return true;
  }

  std::string_view word() {
    skip_blanks();
    const std::size_t start = at_;
    while (!blank(peek()) && peek() != '\n') ++at_;
    return text_.substr(start, at_ - start);
  }

  bool value(double& out) {
    const std::size_t start = at_;
    const std::string_view text = word();
    const std::optional<double> read = number(text);
    if (!read) {
      at_ = start;
      skip_blanks();
      return wrong("not a number", text);
    }
    out = *read;
    return true;
  }

  // A timestamp and an exemplar may follow the value; neither is kept.
  bool rest_of_line() {
    skip_blanks();
    double timestamp = 0;
    if (peek() != '\n' && peek() != '#' && !value(timestamp)) return false;
    skip_blanks();
    if (peek() == '#') at_ = text_.find('\n', at_);
    return peek() == '\n' || wrong("text after the value");
  }

  bool wrong(std::string message, std::string_view value = {}) {
    if (value.empty()) value = text_.substr(at_, text_.find('\n', at_) - at_);
    error_.line = line_;
    error_.column = static_cast<int>(at_ - line_start_) + 1;
    error_.value = shortened(value);
    error_.message = std::move(message);
    return false;
  }

  tl::unexpected<Diagnostic> refuse(std::string message) {
    error_.message = std::move(message);
    return tl::unexpected<Diagnostic>(error_);
  }

  tl::unexpected<Diagnostic> refuse_end(std::string message) {
    line_ = 1 + static_cast<int>(std::count(text_.begin(), text_.end(), '\n'));
    line_start_ = text_.rfind('\n') == std::string_view::npos ? 0 : text_.rfind('\n') + 1;
    error_.line = line_;
    error_.column = static_cast<int>(text_.size() - line_start_) + 1;
    error_.value = shortened(text_.substr(line_start_));
    return refuse(std::move(message));
  }

  std::string_view text_;
  std::size_t at_ = 0, line_start_ = 0;
  int line_ = 1;
  std::vector<Series> series_;
  Diagnostic error_;
};

}  // namespace

const std::string* Series::label(std::string_view key) const {
  const auto it =
      std::find_if(labels.begin(), labels.end(), [&](const auto& l) { return l.first == key; });
  return it == labels.end() ? nullptr : &it->second;
}

bool Exposition::has(std::string_view name) const {
  return std::any_of(series_.begin(), series_.end(),
                     [&](const Series& series) { return series.name == name; });
}

double Exposition::sum(std::string_view name, const Labels& labels) const {
  double out = 0;
  for (const Series& series : series_) {
    if (series.name == name && includes(series, labels)) out += series.value;
  }
  return out;
}

Buckets Exposition::buckets(std::string_view name, const Labels& labels) const {
  const std::string buckets = std::string(name) + "_bucket";
  std::map<double, std::pair<double, std::size_t>> by_bound;  // count, series that have the bound
  for (const Series& series : series_) {
    if (series.name != buckets || !includes(series, labels)) continue;
    const std::string* le = series.label("le");
    const std::optional<double> bound = le == nullptr ? std::nullopt : number(*le);
    if (!bound || std::isnan(*bound)) continue;
    auto& [count, members] = by_bound[*bound];
    count += series.value;
    ++members;
  }
  Buckets out;
  const auto last = by_bound.find(std::numeric_limits<double>::infinity());
  if (last == by_bound.end()) return out;
  // Cumulative counts add up only at bounds that every histogram has.
  const std::size_t histograms = last->second.second;
  for (const auto& [bound, entry] : by_bound) {
    if (entry.second != histograms) continue;
    out.bounds.push_back(bound);
    out.counts.push_back(entry.first);
  }
  out.sum = sum(std::string(name) + "_sum", labels);
  out.count = sum(std::string(name) + "_count", labels);
  return out;
}

tl::expected<Exposition, Diagnostic> parse_prometheus(std::string_view text) {
  return Parser(text).parse();
}

}  // namespace arqon::wire
