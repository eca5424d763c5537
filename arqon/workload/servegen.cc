#include "arqon/workload/servegen.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>

#include "arqon/wire/json.h"
#include "arqon/workload/variates.h"

namespace arqon::workload {
namespace {

constexpr double kWindowS = 600;
constexpr double kRowsMax = 20e6;
constexpr double kSecondsMax = 60.0 * 86400;
constexpr double kRateMax = 1e5;
constexpr std::size_t kBytesMax = 64u << 20;
constexpr std::size_t kWindowsMax = 100'000;
constexpr double kTokensMax = 10'000'000;
constexpr std::size_t kClientsMax = 10'000;
constexpr std::string_view kTraceEnd = "-trace.csv", kDatasetEnd = "-dataset.json";

tl::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidConfig, std::move(message));
}

std::optional<double> number(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

// Nothing when the line is not a window.
std::optional<ServeGenWindow> window_of(std::string_view line) {
  std::array<std::string_view, 6> field;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const std::size_t comma = line.find(',');
    if ((comma == std::string_view::npos) != (i + 1 == field.size())) return std::nullopt;
    field[i] = line.substr(0, comma);
    if (comma != std::string_view::npos) line.remove_prefix(comma + 1);
  }
  const auto start = number(field[0]), rate = number(field[1]);
  const auto shape = number(field[4]), scale = number(field[5]);
  if (!start || !rate || !(*start >= 0 && *start <= kSecondsMax)) return std::nullopt;
  if (!(*rate >= 0 && *rate <= kRateMax)) return std::nullopt;
  ServeGenWindow out{.start_s = *start, .rate_per_s = *rate};
  if (*rate == 0) return out;
  out.weibull = field[3] == "Weibull";
  if (!out.weibull && field[3] != "Gamma") return std::nullopt;
  if (!shape || !scale || !(*shape >= 1e-3 && *shape <= 1e6 && *scale > 0)) return std::nullopt;
  out.shape = *shape;
  out.scale = *scale;
  return out;
}

Result<std::vector<ServeGenWindow>> windows_of(std::string_view text, std::string_view file) {
  std::vector<ServeGenWindow> out;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = text.find('\n');
    std::string_view row = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (!row.empty() && row.back() == '\r') row.remove_suffix(1);
    const auto window = window_of(row);
    if (!window) {
      return invalid(fmt::format("{}:{}: a window is start_s,rate,cv,family,shape,scale with "
                                 "rate 0 to "
                                 "{} and, unless it is 0, family Gamma or Weibull and shape and "
                                 "scale "
                                 "above 0",
                                 file, line, kRateMax));
    }
    if (!out.empty() && window->start_s <= out.back().start_s) {
      return invalid(fmt::format("{}:{}: starts at {} s, not after the window before it ({} s)",
                                 file,
                                 line, window->start_s, out.back().start_s));
    }
    if (out.size() >= kWindowsMax) return invalid(fmt::format("{}: too many windows", file));
    out.push_back(*window);
  }
  if (out.empty()) return invalid(fmt::format("{}: no windows", file));
  return out;
}

// "{45: 0.01, 46: 0.99}". Nothing when it is not that.
std::optional<ServeGenLengths> lengths_of(std::string_view text) {
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  ServeGenLengths out;
  double sum = 0;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view pair = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    const std::size_t colon = pair.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto tokens = number(pair.substr(0, colon)), share = number(pair.substr(colon + 1));
    if (!tokens || !share || !(*tokens >= 0 && *tokens <= kTokensMax) || !(*share >= 0)) {
      return std::nullopt;
    }
    sum += *share;
    out.tokens.push_back(static_cast<std::uint32_t>(std::max(1.0, *tokens)));
    out.share.push_back(sum);
  }
  if (!(sum > 0) || !std::isfinite(sum)) return std::nullopt;
  return out;
}

Result<std::vector<ServeGenHours>> hours_of(std::string_view text, std::string_view file) {
  const auto value = wire::parse_json(
      text, {.bytes_max = kBytesMax, .depth_max = 8, .values_max = 1u << 20,
             .string_bytes_max = 16u << 20});
  if (!value) {
    return invalid(fmt::format("{}:{}: {}", file, value.error().line, value.error().message));
  }
  const wire::Object* object = value->as_object();
  if (object == nullptr || object->empty()) {
    return invalid(fmt::format("{}: must be an object of lengths by second", file));
  }
  std::vector<ServeGenHours> out;
  for (const auto& [key, member] : *object) {
    const auto start = number(key);
    const auto part = [&](const char* name) -> std::optional<ServeGenLengths> {
      const wire::Value* lengths = member.find(name);
      const std::string* words = lengths == nullptr ? nullptr : lengths->as_string();
      return words == nullptr ? std::nullopt : lengths_of(*words);
    };
    auto input = part("input_tokens"), output = part("output_tokens");
    if (!start || !(*start >= 0 && *start <= kSecondsMax) || !input || !output) {
      return invalid(fmt::format("{}: \"{}\" must be a second with input_tokens and "
                                 "output_tokens like "
                                 "\"{{45: 0.5, 46: 0.5}}\", tokens 0 to {}, shares from 0, not "
                                 "all 0",
                                 file, key.substr(0, 40), kTokensMax));
    }
    out.push_back({*start, std::move(*input), std::move(*output)});
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.start_s < b.start_s; });
  return out;
}

std::uint32_t draw(const ServeGenLengths& lengths, double u) {
  const auto at = std::upper_bound(lengths.share.begin(), lengths.share.end(),
                                   u * lengths.share.back());
  const auto i = std::min<std::ptrdiff_t>(at - lengths.share.begin(),
                                          static_cast<std::ptrdiff_t>(lengths.share.size()) - 1);
  return lengths.tokens[static_cast<std::size_t>(i)];
}

void add_window(const ServeGenClient& client, const ServeGenWindow& window, double to_s, Rng rng,
                TraceRows& out) {
  if (window.rate_per_s <= 0) return;
  const auto hours = std::find_if(client.hours.rbegin(), client.hours.rend(),
                                  [&](const auto& h) { return h.start_s <= window.start_s; });
  const ServeGenHours& lengths = hours == client.hours.rend() ? client.hours.front() : *hours;
  const auto gap = [&] {
    return window.scale * (window.weibull ? std::pow(rng.exponential(), 1 / window.shape)
                                          : gamma_variate(window.shape, rng));
  };
  // What the family's mean says and what was counted may differ; the count holds.
  const double mean = window.scale * (window.weibull ? std::tgamma(1 + 1 / window.shape)
                                                     : window.shape);
  const double stretch = 1 / (mean * window.rate_per_s);
  if (!std::isfinite(stretch) || stretch <= 0) return;
  for (double t = window.start_s + rng.uniform() * gap() * stretch; t < to_s;
       t += std::max(1e-9, gap() * stretch)) {
    const std::uint32_t in = draw(lengths.input, rng.uniform());
    const std::uint32_t tokens_out = draw(lengths.output, rng.uniform());
    out.push_back({from_seconds(t), in, tokens_out, -1, nullptr});
  }
}

Result<std::string> text_of(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: cannot be read", path.string()));
  }
  if (size > kBytesMax) return invalid(fmt::format("{}: larger than 64 MiB", path.string()));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

Result<ServeGenClient> parse_servegen(std::string_view trace, std::string_view trace_file,
                                      std::string_view dataset, std::string_view dataset_file) {
  auto windows = windows_of(trace, trace_file);
  if (!windows) return tl::unexpected<Error>(windows.error());
  auto hours = hours_of(dataset, dataset_file);
  if (!hours) return tl::unexpected<Error>(hours.error());
  return ServeGenClient{std::move(*windows), std::move(*hours)};
}

Result<TraceRows> servegen_rows(const std::vector<ServeGenClient>& clients, double span_s,
                                const Rng& rng) {
  double expected = 0;
  for (const ServeGenClient& client : clients) {
    for (const ServeGenWindow& w : client.windows) {
      expected += w.rate_per_s * std::clamp(span_s - w.start_s, 0.0, kWindowS);
    }
  }
  if (!(expected < kRowsMax)) {
    return invalid(fmt::format("{:.3g} requests in {} s: more than 20 million; take fewer "
                               "clients or a "
                               "shorter run",
                               expected, span_s));
  }
  TraceRows out;
  for (std::size_t c = 0; c < clients.size(); ++c) {
    const ServeGenClient& client = clients[c];
    for (std::size_t w = 0; w < client.windows.size(); ++w) {
      const double start = client.windows[w].start_s;
      double end = std::min(span_s, start + kWindowS);
      if (w + 1 < client.windows.size()) end = std::min(end, client.windows[w + 1].start_s);
      if (start < end) add_window(client, client.windows[w], end, rng.stream(c).stream(w), out);
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const TraceRow& a, const TraceRow& b) { return a.at < b.at; });
  if (out.empty()) return invalid("no requests: no client is active in the time that is run");
  return out;
}

Result<TraceRows> read_servegen(const std::filesystem::path& path, double span_s, const Rng& rng) {
  std::vector<std::filesystem::path> traces{path};
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    traces.clear();
    for (std::filesystem::directory_iterator at(path, error), end; !error && at != end;
         at.increment(error)) {
      if (at->path().filename().string().ends_with(kTraceEnd)) traces.push_back(at->path());
    }
    std::sort(traces.begin(), traces.end());
  }
  if (traces.empty() || traces.size() > kClientsMax) {
    return invalid(
        fmt::format("{}: needs 1 to {} files NAME{}", path.string(), kClientsMax, kTraceEnd));
  }
  std::vector<ServeGenClient> clients;
  for (const std::filesystem::path& trace : traces) {
    std::string name = trace.string();
    if (!name.ends_with(kTraceEnd)) {
      return invalid(fmt::format("{}: a client's file is named NAME{}, with NAME{} beside it", name,
                                 kTraceEnd, kDatasetEnd));
    }
    name.replace(name.size() - kTraceEnd.size(), kTraceEnd.size(), kDatasetEnd);
    auto windows = text_of(trace);
    if (!windows) return tl::unexpected<Error>(windows.error());
    auto lengths = text_of(name);
    if (!lengths) return tl::unexpected<Error>(lengths.error());
    auto client = parse_servegen(*windows, trace.string(), *lengths, name);
    if (!client) return tl::unexpected<Error>(client.error());
    clients.push_back(std::move(*client));
  }
  return servegen_rows(clients, span_s, rng);
}

}  // namespace arqon::workload
