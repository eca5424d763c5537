#include "arqon/calibrate/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "arqon/wire/json.h"

namespace arqon::calibrate {
namespace {

constexpr std::size_t kScrapesMax = 100000;
constexpr std::size_t kBytesMax = 64u << 20;
constexpr std::string_view kMark = "# scraped ";

using Problem = tl::unexpected<wire::Diagnostics>;

Problem problem(int line, std::string value, std::string message, std::string hint = "") {
  return Problem(wire::Diagnostics{
      {"", line, 1, wire::shortened(value), std::move(message), std::move(hint)}});
}

// ---- Prometheus' query_range -------------------------------------------------------------------

// Every series' points, gathered by time.
using Points = std::map<double, std::vector<wire::Series>>;

tl::expected<void, wire::Diagnostics> gather(const wire::Value& answer, Points& points) {
  const wire::Value* data = answer.find("data");
  const wire::Value* result = data == nullptr ? nullptr : data->find("result");
  const wire::Value* type = data == nullptr ? nullptr : data->find("resultType");
  if (result == nullptr || result->as_array() == nullptr || type == nullptr ||
      type->as_string() == nullptr || *type->as_string() != "matrix") {
    return problem(answer.line, "", "is no answer of query_range: data.result must be a matrix",
                   "curl 'http://HOST/api/v1/query_range?query={__name__=~\"vllm:.*\"}&...'");
  }
  for (const wire::Value& entry : *result->as_array()) {
    const wire::Value* metric = entry.find("metric");
    const wire::Value* values = entry.find("values");
    if (metric == nullptr || metric->as_object() == nullptr || values == nullptr ||
        values->as_array() == nullptr) {
      return problem(entry.line, "", "a series needs \"metric\" and \"values\"");
    }
    wire::Series series;
    for (const auto& [key, value] : *metric->as_object()) {
      if (value.as_string() == nullptr) return problem(value.line, key, "a label must be text");
      if (key == "__name__") {
        series.name = *value.as_string();
      } else {
        series.labels.emplace_back(key, *value.as_string());
      }
    }
    if (series.name.empty()) {
      return problem(entry.line, "", "a series has no __name__", "query the series, not a rate()");
    }
    for (const wire::Value& point : *values->as_array()) {
      const wire::Array* pair = point.as_array();
      if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_number() ||
          (*pair)[1].as_string() == nullptr) {
        return problem(point.line, wire::write_json(point), "a point must be [time, \"value\"]");
      }
      const std::string& text = *(*pair)[1].as_string();
      const auto [end, error] =
          std::from_chars(text.data(), text.data() + text.size(), series.value);
      if (error != std::errc{} || end != text.data() + text.size()) {
        return problem(point.line, text, "is no number");
      }
      points[(*pair)[0].number()].push_back(series);
    }
  }
  return {};
}

tl::expected<History, wire::Diagnostics> read_matrix(std::string_view text) {
  const auto parsed = wire::parse_json(text, {.bytes_max = kBytesMax, .values_max = 1u << 22});
  if (!parsed) return Problem(wire::Diagnostics{parsed.error()});
  Points points;
  if (const wire::Array* answers = parsed->as_array()) {
    for (const wire::Value& answer : *answers) {
      if (auto done = gather(answer, points); !done) return Problem(done.error());
    }
  } else if (auto done = gather(*parsed, points); !done) {
    return Problem(done.error());
  }
  if (points.size() > kScrapesMax) {
    return problem(1, fmt::format("{}", points.size()), "holds too many points in time");
  }
  History out;
  for (auto& [at, series] : points) out.push_back({at, wire::Exposition(std::move(series))});
  return out;
}

// ---- Scrapes -----------------------------------------------------------------------------------

tl::expected<History, wire::Diagnostics> read_scrapes(std::string_view text) {
  History out;
  int line = 1;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end_of_mark = std::min(text.find('\n', at), text.size());
    const std::string_view mark = text.substr(at, end_of_mark - at);
    const std::string_view number = mark.substr(std::min(mark.size(), kMark.size()));
    double t_s = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), t_s);
    if (mark.substr(0, kMark.size()) != kMark || error != std::errc{} || !std::isfinite(t_s)) {
      return problem(line, std::string(mark), "each scrape must begin with \"# scraped SECONDS\"",
                     "(echo \"# scraped $(date +%s)\"; curl -s URL/metrics) >> history.txt");
    }
    if (!out.empty() && t_s <= out.back().t_s) {
      return problem(line, std::string(number), "the times of the scrapes must rise");
    }
    std::size_t next = text.find(std::string("\n").append(kMark), end_of_mark);
    next = next == std::string_view::npos ? text.size() : next + 1;
    const std::size_t begin = std::min(end_of_mark + 1, text.size());
    auto metrics = wire::parse_prometheus(text.substr(begin, next - begin));
    if (!metrics) {
      wire::Diagnostic found = metrics.error();
      found.line += line;
      return Problem(wire::Diagnostics{found});
    }
    out.push_back({t_s, std::move(*metrics)});
    if (out.size() > kScrapesMax) return problem(line, "", "holds too many scrapes");
    line += static_cast<int>(std::count(text.begin() + static_cast<std::ptrdiff_t>(at),
                                        text.begin() + static_cast<std::ptrdiff_t>(next), '\n'));
    at = next;
  }
  return out;
}

// ---- What vLLM's series mean -------------------------------------------------------------------

// The first of the names that is there: the present one comes first.
double sum_of(const wire::Exposition& metrics, std::initializer_list<const char*> names,
              double otherwise = 0) {
  for (const char* name : names) {
    if (metrics.has(name)) return metrics.sum(name);
  }
  return otherwise;
}

// How many engines report: one gauge each.
double engines_in(const wire::Exposition& metrics) {
  double count = 0;
  for (const wire::Series& series : metrics.series()) {
    count += series.name == "vllm:num_requests_running" ? 1 : 0;
  }
  return std::max(1.0, count);
}

constexpr const char* kGap = "vllm:inter_token_latency_seconds";
constexpr const char* kFormerGap = "vllm:time_per_output_token_seconds";

// Counters of one scrape, over all engines.
struct Counters {
  double finished, prompt_tokens, output_tokens, steps;
  double gap_s, gaps, ttft_s, ttfts, e2e_s, e2es;
};

Counters counters_of(const wire::Exposition& m) {
  const bool former = !m.has(std::string(kGap) + "_sum");
  const std::string gap = former ? kFormerGap : kGap;
  return {.finished = sum_of(m, {"vllm:request_success_total"}),
          .prompt_tokens = sum_of(m, {"vllm:prompt_tokens_total"}),
          .output_tokens = sum_of(m, {"vllm:generation_tokens_total"}),
          .steps = sum_of(m, {"vllm:iteration_tokens_total_count"}),
          .gap_s = m.sum(gap + "_sum"),
          .gaps = m.sum(gap + "_count"),
          .ttft_s = m.sum("vllm:time_to_first_token_seconds_sum"),
          .ttfts = m.sum("vllm:time_to_first_token_seconds_count"),
          .e2e_s = m.sum("vllm:e2e_request_latency_seconds_sum"),
          .e2es = m.sum("vllm:e2e_request_latency_seconds_count")};
}

double mean_ms(double sum_before, double sum, double count_before, double count) {
  return count > count_before ? 1e3 * (sum - sum_before) / (count - count_before) : 0;
}

bool fell(const Counters& a, const Counters& b) {
  return b.finished < a.finished || b.prompt_tokens < a.prompt_tokens ||
         b.output_tokens < a.output_tokens || b.steps < a.steps || b.gaps < a.gaps ||
         b.ttfts < a.ttfts || b.e2es < a.e2es;
}

Observation between(const Scrape& first, const Scrape& last, const Counters& a, const Counters& b,
                    double engines) {
  Observation out;
  out.t_s = last.t_s;
  out.seconds = last.t_s - first.t_s;
  out.finished = (b.finished - a.finished) / engines;
  out.prompt_tokens = (b.prompt_tokens - a.prompt_tokens) / engines;
  out.output_tokens = (b.output_tokens - a.output_tokens) / engines;
  out.steps = (b.steps - a.steps) / engines;
  out.gap_ms = mean_ms(a.gap_s, b.gap_s, a.gaps, b.gaps);
  out.ttft_ms = mean_ms(a.ttft_s, b.ttft_s, a.ttfts, b.ttfts);
  out.e2e_ms = mean_ms(a.e2e_s, b.e2e_s, a.e2es, b.e2es);
  return out;
}

// ---- Lengths -----------------------------------------------------------------------------------

// What was recorded between two scrapes, as shares per bucket; empty when that is nothing.
std::vector<LengthShare> lengths_between(const wire::Exposition& a, const wire::Exposition& b,
                                         const char* name) {
  const wire::Buckets before = a.buckets(name), after = b.buckets(name);
  std::vector<LengthShare> out;
  double below = 0, counted = 0;
  for (std::size_t i = 0; i < after.bounds.size(); ++i) {
    const double then = i < before.counts.size() ? before.counts[i] : 0;
    const double count = std::max(0.0, after.counts[i] - then - counted);
    counted += count;
    // The last bucket has no end: twice its beginning.
    const double to = std::isfinite(after.bounds[i]) ? after.bounds[i] : 2 * std::max(1.0, below);
    if (count > 0) out.push_back({below, to, count});
    below = to;
  }
  for (LengthShare& share : out) share.share /= counted;
  return out;
}

}  // namespace

bool looks_like_history(std::string_view text) {
  if (text.substr(0, kMark.size()) == kMark) return true;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (text[first] != '{' && text[first] != '[')) return false;
  return text.substr(0, 4096).find("resultType") != std::string_view::npos ||
         text.substr(0, 4096).find("\"__name__\"") != std::string_view::npos;
}

tl::expected<History, wire::Diagnostics> read_history(std::string_view text) {
  if (text.size() > kBytesMax) return problem(1, "", "is larger than 64 MiB");
  auto out = text.substr(0, kMark.size()) == kMark ? read_scrapes(text) : read_matrix(text);
  if (out && out->size() < 2) return problem(1, "", "needs at least two points in time");
  return out;
}

Observations windows_of(const History& history, double seconds_min) {
  Observations out;
  std::size_t begin = 0;
  for (std::size_t i = 1; i < history.size(); ++i) {
    const Scrape& first = history[begin];
    const Scrape& last = history[i];
    if (last.t_s - first.t_s < seconds_min) continue;
    const Counters a = counters_of(first.metrics), b = counters_of(last.metrics);
    const double engines = engines_in(last.metrics);
    if (!fell(a, b)) {
      Observation window = between(first, last, a, b, engines);
      double samples = 0, kv_use = 0;
      for (std::size_t s = begin; s <= i; ++s) {
        const wire::Exposition& m = history[s].metrics;
        window.running += sum_of(m, {"vllm:num_requests_running"}) / engines;
        window.waiting += sum_of(m, {"vllm:num_requests_waiting"}) / engines;
        kv_use += sum_of(m, {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"}) / engines;
        ++samples;
      }
      window.running /= samples;
      window.waiting /= samples;
      window.kv_use = kv_use / samples;
      out.push_back(window);
    }
    begin = i;
  }
  return out;
}

Traffic traffic_of(const History& history) {
  Traffic out;
  if (history.size() < 2) return out;
  const wire::Exposition& first = history.front().metrics;
  const wire::Exposition& last = history.back().metrics;
  const double engines = engines_in(last);
  for (const Observation& window : windows_of(history, 0)) {
    out.seconds += window.seconds;
    out.requests += window.finished;
    out.prompt_mean += window.prompt_tokens;
    out.output_mean += window.output_tokens;
    out.rate_by_window.push_back(window.finished / window.seconds);
  }
  if (out.seconds > 0) out.rate_per_s = out.requests / out.seconds;
  out.prompt_mean /= std::max(1.0, out.requests);
  out.output_mean /= std::max(1.0, out.requests);
  out.prompt = lengths_between(first, last, "vllm:request_prompt_tokens");
  out.output = lengths_between(first, last, "vllm:request_generation_tokens");
  const auto gained = [&](const char* name) {
    return std::max(0.0, last.sum(name) - first.sum(name));
  };
  const double queries = gained("vllm:prefix_cache_queries_total");
  if (queries > 0) out.prefix_hit = gained("vllm:prefix_cache_hits_total") / queries;
  const double drafted = gained("vllm:spec_decode_num_draft_tokens_total");
  if (drafted > 0) {
    out.acceptance = gained("vllm:spec_decode_num_accepted_tokens_total") / drafted;
  }
  out.preemptions = gained("vllm:num_preemptions_total") / engines;
  for (const wire::Series& series : last.series()) {
    if (series.name != "vllm:cache_config_info") continue;
    const auto number = [&](std::string_view key) {
      const std::string* text = series.label(key);
      double value = 0;
      if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), value);
      return value;
    };
    out.kv_blocks = number("num_gpu_blocks");
    out.block_size = number("block_size");
  }
  return out;
}

}  // namespace arqon::calibrate
