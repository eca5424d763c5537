#include "arqon/workload/trace_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "arqon/wire/json.h"

namespace arqon::workload {
namespace {

constexpr std::uintmax_t kBytesMax = 1u << 30;
constexpr std::size_t kLineMax = 1u << 20;
constexpr std::size_t kRowsMax = 20'000'000;
constexpr std::uint32_t kTokensMax = 10'000'000;
constexpr double kSecondsMax = 60.0 * 86400;
constexpr std::int64_t kHashMax = std::int64_t{1} << 53;
constexpr std::int64_t kMsMax = 4'000'000'000'000;  // Unix time in ms fits

// Walks lines, remembers where it is, and words errors.
class Lines {
 public:
  Lines(std::string_view text, std::string_view file) : rest_(text), file_(file) {}

  // Next line without its end (CRLF tolerated); nothing at the end of the text.
  std::optional<std::string_view> next() {
    if (rest_.empty()) return std::nullopt;
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    ++number_;
    return line;
  }
  bool at_end() const { return rest_.empty(); }
  tl::unexpected<Error> error(std::string_view reason) const {
    return fail(ErrorCode::kInvalidConfig, fmt::format("{}:{}: {}", file_, number_, reason));
  }
  Status add(TraceRows& rows, TraceRow row) const {
    if (rows.size() >= kRowsMax) return error("more than 20 million rows");
    if (!rows.empty() && row.at < rows.back().at) {
      return error(fmt::format("{} s after the first row, which is earlier than the row before "
                               "({} s): "
                               "rows must be in the order of time",
                               to_seconds(row.at), to_seconds(rows.back().at)));
    }
    rows.push_back(row);
    return {};
  }

 private:
  std::string_view rest_, file_;
  std::size_t number_ = 0;
};

std::string shown(std::string_view value) {
  std::string out;
  for (const char ch : value.substr(0, 40)) {
    out += ch >= ' ' && ch <= '~' ? ch : '?';
  }
  return out;
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint32_t> tokens(std::string_view text) {
  const auto value = number<std::uint32_t>(text);
  if (!value || *value < 1 || *value > kTokensMax) return std::nullopt;
  return value;
}

// Splits at commas into exactly `out.size()` fields; false otherwise.
bool split(std::string_view line, std::span<std::string_view> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t comma = line.find(',');
    const bool last = i + 1 == out.size();
    if ((comma == std::string_view::npos) != last) return false;
    out[i] = line.substr(0, comma);
    if (!last) line.remove_prefix(comma + 1);
  }
  return true;
}

// Days since 1970-01-01 of a proleptic Gregorian date (Hinnant, days_from_civil).
std::int64_t days_from_civil(std::int64_t y, std::int64_t m, std::int64_t d) {
  y -= m <= 2;
  const std::int64_t era = y / 400, yoe = y - era * 400;
  const std::int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

// Nanoseconds since 1970 of "YYYY-MM-DD HH:MM:SS[.fraction][+00:00]".
std::optional<std::int64_t> timestamp_ns(std::string_view text) {
  if (text.ends_with("+00:00")) text.remove_suffix(6);
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || text[10] != ' ' || text[13] != ':' ||
      text[16] != ':') {
    return std::nullopt;
  }
  struct Field {
    std::size_t at, length;
    std::uint32_t min, max;
  };
  static constexpr std::array<Field, 6> kFields = {{{0, 4, 1970, 2200},
                                                    {5, 2, 1, 12},
                                                    {8, 2, 1, 31},
                                                    {11, 2, 0, 23},
                                                    {14, 2, 0, 59},
                                                    {17, 2, 0, 59}}};
  std::array<std::int64_t, 6> v{};
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    const auto value = number<std::uint32_t>(text.substr(kFields[i].at, kFields[i].length));
    if (!value || *value < kFields[i].min || *value > kFields[i].max) return std::nullopt;
    v[i] = *value;
  }
  std::int64_t fraction = 0;
  if (text.size() > 19) {
    const std::string_view digits = text.substr(20);
    if (text[19] != '.' || digits.empty() || digits.size() > 9) return std::nullopt;
    const auto value = number<std::uint32_t>(digits);
    if (!value) return std::nullopt;
    fraction = *value;
    for (std::size_t i = digits.size(); i < 9; ++i) fraction *= 10;
  }
  const std::int64_t seconds =
      ((days_from_civil(v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5];
  return seconds * 1'000'000'000 + fraction;
}

// Whole-numbered member `name` in [min, max]; 3.0 passes as 3.
std::optional<std::int64_t> whole_field(const wire::Value& object, std::string_view name,
                                        std::int64_t min, std::int64_t max) {
  const wire::Value* member = object.find(name);
  if (member == nullptr || !member->is_number()) return std::nullopt;
  const double n = member->number();
  if (!(n >= static_cast<double>(min) && n <= static_cast<double>(max)) || n != std::floor(n)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(n);
}

std::string shown_field(const wire::Value& object, std::string_view name) {
  const wire::Value* member = object.find(name);
  return member == nullptr ? "nothing" : shown(wire::write_json(*member));
}

// Of a Mooncake row; null when it has none, nothing when they are not what they should be.
std::optional<std::shared_ptr<const PromptHashes>> hash_ids(const wire::Value& row,
                                                            std::int64_t input) {
  const wire::Value* member = row.find("hash_ids");
  if (member == nullptr) return std::shared_ptr<const PromptHashes>();
  const wire::Array* ids = member->as_array();
  auto out = std::make_shared<PromptHashes>();
  const std::int64_t blocks = (input + out->block_tokens - 1) / out->block_tokens;
  if (ids == nullptr || static_cast<std::int64_t>(ids->size()) > blocks) return std::nullopt;
  for (const wire::Value& id : *ids) {
    if (!id.is_number()) return std::nullopt;
    const double n = id.number();
    if (!(n >= 0 && n <= static_cast<double>(kHashMax)) || n != std::floor(n)) return std::nullopt;
    out->chain.push_back(static_cast<std::uint64_t>(n));
  }
  return out;
}

Status check_size(std::string_view text, std::string_view file) {
  if (text.size() <= kBytesMax) return {};
  return fail(ErrorCode::kInvalidConfig, fmt::format("{}: larger than 1 GiB", file));
}

}  // namespace

Result<TraceRows> parse_azure(std::string_view text, std::string_view file) {
  if (Status s = check_size(text, file); !s) return tl::unexpected<Error>(s.error());
  Lines lines(text, file);
  constexpr std::string_view kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";
  const auto header = lines.next();
  if (!header || *header != kHeader)
    return lines.error(fmt::format("first line must be {}", kHeader));
  TraceRows rows;
  std::int64_t first = 0;
  while (const auto line = lines.next()) {
    std::array<std::string_view, 3> field;
    if (line->size() > kLineMax) return lines.error("line longer than 1 MiB");
    if (!split(*line, field)) return lines.error("expected 3 fields");
    const auto at = timestamp_ns(field[0]);
    if (!at) {
      return lines.error(
          fmt::format("timestamp must look like 2023-11-16 18:17:03.9799600 (got "
                      "\"{}\")",
                      shown(field[0])));
    }
    const auto in = tokens(field[1]), out = tokens(field[2]);
    if (!in || !out) {
      return lines.error(
          fmt::format("token counts must be whole numbers from 1 to {} (got "
                      "\"{}\", \"{}\")",
                      kTokensMax, shown(field[1]), shown(field[2])));
    }
    if (rows.empty()) first = *at;
    if (*at - first > static_cast<std::int64_t>(kSecondsMax * 1e9)) {
      return lines.error("more than 60 days after the first row");
    }
    if (Status s = lines.add(rows, {Duration(*at - first), *in, *out, -1, nullptr}); !s) {
      return tl::unexpected<Error>(s.error());
    }
  }
  if (rows.empty()) return lines.error("no rows: a trace needs at least one request");
  return rows;
}

Result<TraceRows> parse_mooncake(std::string_view text, std::string_view file) {
  if (Status s = check_size(text, file); !s) return tl::unexpected<Error>(s.error());
  Lines lines(text, file);
  TraceRows rows;
  std::int64_t first = 0;
  while (const auto line = lines.next()) {
    if (line->size() > kLineMax) return lines.error("line longer than 1 MiB");
    if (line->empty() && lines.at_end()) break;
    const auto value = wire::parse_json(*line, {.bytes_max = kLineMax, .depth_max = 8});
    if (!value) {
      return lines.error(fmt::format("column {}: {}", value.error().column, value.error().message));
    }
    const auto in = whole_field(*value, "input_length", 1, kTokensMax);
    const auto out = whole_field(*value, "output_length", 1, kTokensMax);
    if (!in || !out) {
      return lines.error(
          fmt::format("input_length and output_length must be whole numbers from 1 to {} "
                      "(got {}, {})",
                      kTokensMax, shown_field(*value, "input_length"),
                      shown_field(*value, "output_length")));
    }
    const auto at = whole_field(*value, "timestamp", 0, kMsMax);
    if (!at) {
      return lines.error(fmt::format("timestamp must be ms from 0 to {} (got {})", kMsMax,
                                     shown_field(*value, "timestamp")));
    }
    if (rows.empty()) first = *at;
    auto hashes = hash_ids(*value, *in);
    if (!hashes) {
      return lines.error(fmt::format("hash_ids must be whole numbers from 0 to {}, one for each "
                                     "block "
                                     "of {} tokens of the input and no more (got {})",
                                     kHashMax, PromptHashes{}.block_tokens,
                                     shown_field(*value, "hash_ids")));
    }
    const TraceRow row{std::chrono::milliseconds(*at - first), static_cast<std::uint32_t>(*in),
                       static_cast<std::uint32_t>(*out), -1, std::move(*hashes)};
    if (*at - first > static_cast<std::int64_t>(kSecondsMax * 1e3)) {
      return lines.error("more than 60 days after the first row");
    }
    if (Status s = lines.add(rows, row); !s) return tl::unexpected<Error>(s.error());
  }
  if (rows.empty()) return lines.error("no rows: a trace needs at least one request");
  return rows;
}

Result<TraceRows> parse_csv(std::string_view text, std::string_view file,
                            std::span<const std::string> classes) {
  if (Status s = check_size(text, file); !s) return tl::unexpected<Error>(s.error());
  Lines lines(text, file);
  constexpr std::string_view kHeader = "arrival_s,input_tokens,output_tokens";
  const auto header = lines.next();
  const bool classed = header && *header == fmt::format("{},class", kHeader);
  if (!header || (!classed && *header != kHeader)) {
    return lines.error(fmt::format("first line must be {} or {},class", kHeader, kHeader));
  }
  TraceRows rows;
  double first = 0;
  while (const auto line = lines.next()) {
    std::array<std::string_view, 4> field;
    if (line->size() > kLineMax) return lines.error("line longer than 1 MiB");
    if (!split(*line, std::span(field).first(classed ? 4 : 3))) {
      return lines.error(classed ? "expected 4 fields" : "expected 3 fields");
    }
    const auto at = number<double>(field[0]);
    if (!at || !(*at >= 0 && *at <= kSecondsMax)) {
      return lines.error(fmt::format("arrival_s must be seconds from 0 to {} (got \"{}\")",
                                     kSecondsMax, shown(field[0])));
    }
    const auto in = tokens(field[1]), out = tokens(field[2]);
    if (!in || !out) {
      return lines.error(
          fmt::format("token counts must be whole numbers from 1 to {} (got "
                      "\"{}\", \"{}\")",
                      kTokensMax, shown(field[1]), shown(field[2])));
    }
    if (rows.empty()) first = *at;
    TraceRow row{Duration(std::llround((*at - first) * 1e9)), *in, *out, -1, nullptr};
    if (classed) {
      const auto found = std::find(classes.begin(), classes.end(), field[3]);
      if (found == classes.end()) {
        return lines.error(fmt::format("unknown class \"{}\"", shown(field[3])));
      }
      row.request_class = static_cast<std::int32_t>(found - classes.begin());
    }
    if (Status s = lines.add(rows, row); !s) return tl::unexpected<Error>(s.error());
  }
  if (rows.empty()) return lines.error("no rows: a trace needs at least one request");
  return rows;
}

Result<TraceRows> read_trace(std::string_view format, const std::filesystem::path& path,
                             std::span<const std::string> classes) {
  if (format != "azure" && format != "mooncake" && format != "csv") {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("unknown trace format \"{}\"; known: azure, mooncake, csv", format));
  }
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: cannot be read", path.string()));
  }
  if (size > kBytesMax) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("{}: larger than 1 GiB", path.string()));
  }
  std::string text(static_cast<std::size_t>(size), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.gcount() != static_cast<std::streamsize>(text.size())) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: could not be read whole", path.string()));
  }
  if (format == "azure") return parse_azure(text, path.string());
  if (format == "mooncake") return parse_mooncake(text, path.string());
  return parse_csv(text, path.string(), classes);
}

}  // namespace arqon::workload
