#include "arqon/adapters/vllm/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <utility>

namespace arqon::adapters::vllm {
namespace {

// Resolves needs against one exposition and remembers what matched.
class Names {
 public:
  explicit Names(const wire::Exposition& text) : text_(text) {}

  // The first of `names` (the present one first) that the engine exports.
  std::string_view find(std::string_view need, std::initializer_list<std::string_view> names,
                        std::string_view suffix = "") {
    bool former = false;
    for (const std::string_view name : names) {
      if (text_.has(fmt::format("{}{}", name, suffix))) {
        matched.push_back({need, name, former});
        return name;
      }
      former = true;
    }
    matched.push_back({need, "", false});
    return {};
  }

  // A number that every vLLM exports.
  double required(std::string_view need, std::initializer_list<std::string_view> names,
                  const std::vector<std::pair<std::string, std::string>>& labels = {}) {
    const std::string_view name = find(need, names);
    if (name.empty()) {
      complain(fmt::format("no {} ({})", need, *names.begin()));
      return 0;
    }
    return checked(name, text_.sum(name, labels));
  }
  double optional(std::string_view need, std::initializer_list<std::string_view> names) {
    const std::string_view name = find(need, names);
    return name.empty() ? -1 : checked(name, text_.sum(name));
  }
  wire::Buckets buckets(std::string_view need, std::initializer_list<std::string_view> names) {
    const std::string_view name = find(need, names, "_bucket");
    if (name.empty()) return {};
    wire::Buckets out = text_.buckets(name);
    const bool rising = std::ranges::is_sorted(out.counts) && std::ranges::is_sorted(out.bounds);
    if (!rising || !(out.sum >= 0) || out.counts.empty() || out.counts.back() != out.count) {
      complain(fmt::format("{} is no histogram", name));
    }
    return out;
  }

  void complain(std::string what) {
    if (error.empty()) error = std::move(what);
  }

  std::vector<MatchedName> matched;
  std::string error;

 private:
  double checked(std::string_view name, double value) {
    if (!(value >= 0) || !std::isfinite(value)) complain(fmt::format("{} is {}", name, value));
    return value;
  }
  const wire::Exposition& text_;
};

double label_number(const wire::Series& series, std::string_view key) {
  const std::string* text = series.label(key);
  double value = -1;
  if (text == nullptr) return -1;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  return error == std::errc() && end == text->data() + text->size() ? value : -1;
}

// Counts over ranks; what is a share is averaged.
std::size_t ranks(const wire::Exposition& text, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text.series(), [&](const wire::Series& s) { return s.name == name; }));
}

void read_cache_config(const wire::Exposition& text, Metrics& out) {
  for (const wire::Series& series : text.series()) {
    if (series.name != "vllm:cache_config_info") continue;
    out.gpu_memory_utilization = label_number(series, "gpu_memory_utilization");
    out.kv_cache_bytes = label_number(series, "kv_cache_memory_bytes");
    out.kv_blocks = label_number(series, "num_gpu_blocks");
    return;
  }
}

}  // namespace

Result<wire::Exposition> parse_metrics(std::string_view text) {
  auto exposition = wire::parse_prometheus(text);
  if (exposition) return std::move(*exposition);
  return fail(ErrorCode::kUnavailable,
              fmt::format("/metrics is not what Prometheus reads: {}", exposition.error().message));
}

Result<Metrics> read_metrics(std::string_view text) {
  const auto exposition = parse_metrics(text);
  if (!exposition) return tl::unexpected(exposition.error());
  return read_metrics(*exposition);
}

Result<Metrics> read_metrics(const wire::Exposition& exposition) {
  Names names(exposition);
  Metrics out;
  out.running = names.required("requests running", {"vllm:num_requests_running"});
  out.waiting = names.required("requests waiting", {"vllm:num_requests_waiting"});
  const auto kv = {std::string_view("vllm:kv_cache_usage_perc"),
                   std::string_view("vllm:gpu_cache_usage_perc")};
  out.kv_use = names.required("KV use", kv);
  const auto parts = static_cast<double>(ranks(exposition, names.matched.back().name));
  if (parts > 1) out.kv_use /= parts;
  out.finished = names.required("requests finished", {"vllm:request_success_total"});
  out.finished_badly = exposition.sum("vllm:request_success_total", {{"finished_reason", "error"}});
  out.prompt_tokens = names.required("prompt tokens", {"vllm:prompt_tokens_total"});
  out.generation_tokens = names.required("generated tokens", {"vllm:generation_tokens_total"});
  out.preemptions = names.optional("preemptions", {"vllm:num_preemptions_total"});
  out.rejected = names.optional("rejected", {"vllm:admission_rejections_total"});
  out.process_start_s = names.optional("start of the process", {"process_start_time_seconds"});
  out.ttft_s = names.buckets("time to first token", {"vllm:time_to_first_token_seconds"});
  out.gap_s = names.buckets("gaps between tokens", {"vllm:inter_token_latency_seconds",
                                                    "vllm:time_per_output_token_seconds"});
  out.tpot_s = names.buckets("time per token", {"vllm:request_time_per_output_token_seconds"});
  out.e2e_s = names.buckets("whole answer", {"vllm:e2e_request_latency_seconds"});
  read_cache_config(exposition, out);
  if (out.kv_use > 1) names.complain(fmt::format("KV use is {}", out.kv_use));
  if (!names.error.empty()) {
    return fail(ErrorCode::kUnavailable, fmt::format("/metrics makes no sense: {}", names.error));
  }
  out.names = std::move(names.matched);
  return out;
}

}  // namespace arqon::adapters::vllm
