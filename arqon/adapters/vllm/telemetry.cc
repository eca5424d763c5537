#include "arqon/adapters/vllm/telemetry.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace arqon::adapters::vllm {
namespace {

double ms(std::int64_t us) { return us < 0 ? -1 : static_cast<double>(us) * 1e-3; }

// One sample per request each; the gaps' histogram has one per token and cannot judge a request.
HistogramSources histogram_sources() {
  return {.prefixes = {"vllm:"},
          .ttft = {"vllm:time_to_first_token_seconds"},
          .tpot = {"vllm:request_time_per_output_token_seconds"},
          .e2e = {"vllm:e2e_request_latency_seconds"},
          .failed = {"vllm:admission_rejections_total"},
          .prompt_tokens = {"vllm:prompt_tokens_total"},
          .output_tokens = {"vllm:generation_tokens_total"},
          .started = {"process_start_time_seconds"},
          .running = {"vllm:num_requests_running"},
          .waiting = {"vllm:num_requests_waiting"},
          .kv_use = {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"},
          .rank_label = "engine",
          .bucket_help = "vLLM's bounds are fixed; with the plugin every request's own times come"};
}

bool began_again(const Metrics& before, const Metrics& now) {
  return before.process_start_s != now.process_start_s || now.finished < before.finished ||
         now.generation_tokens < before.generation_tokens;
}

}  // namespace

Result<std::string> get_text(const Http& http, const std::string& url, Duration timeout) {
  net::Request request;
  request.url = url;
  request.timeout = timeout;
  auto response = http(request);
  if (!response) return tl::unexpected(response.error());
  if (response->status != 200) {
    return fail(ErrorCode::kUnavailable, fmt::format("GET {}: HTTP {}", url, response->status));
  }
  return std::move(response->body);
}

serving::RequestOutcome outcome_of(const Record& record) {
  using End = serving::RequestOutcome::End;
  serving::RequestOutcome out;
  out.prompt_tokens = static_cast<std::uint32_t>(record.prompt_tokens);
  out.output_tokens = static_cast<std::uint32_t>(record.output_tokens);
  out.ttft_ms = ms(record.ttft_us);
  out.max_gap_ms = ms(record.gap_us_max);
  out.e2e_ms = ms(record.e2e_us);
  if (record.output_tokens > 1 && record.decode_us >= 0) {
    out.tpot_ms = ms(record.decode_us) / static_cast<double>(record.output_tokens - 1);
  }
  // A client that left before its first token was not served; one that left later is judged by
  // what it got. A draining engine ends requests "well" without a token.
  const bool failed = record.end == Record::kError || record.output_tokens == 0;
  out.end = failed ? End::kFailed : End::kFinished;
  return out;
}

Telemetry::Telemetry(Http http, std::string url, const Classes& classes)
    : http_(std::move(http)), url_(std::move(url)), classes_(classes) {
  counters_.resize(classes_.slos.size());
}

Status Telemetry::open_ring(const std::filesystem::path& path) {
  ring_path_ = path;
  auto ring = Ring::open(path);
  if (!ring) return tl::unexpected(ring.error());
  ring_.emplace(std::move(*ring));
  return {};
}

Status Telemetry::use_histograms() {
  auto outcomes =
      HistogramOutcomes::create(classes_.slos, histogram_sources(), classes_.target.scraped.rules);
  if (!outcomes) return tl::unexpected(outcomes.error());
  histograms_.emplace(std::move(*outcomes));
  return {};
}

void Telemetry::begin_anew() {
  // Histograms tell of a restart by themselves and have begun anew.
  if (histograms_) return;
  counters_.assign(counters_.size(), {});
  rejected_left_ = 0;
}

void Telemetry::read_unless_newer(const Clock& clock, Duration age) {
  if (read_at_ && clock.now() - *read_at_ < age) return;
  read();
  read_at_ = clock.now();
}

void Telemetry::read() {
  trouble_ = read_metrics_text();
  if (trouble_.empty() && ring_) trouble_ = reopen_ring();
  if (trouble_.empty() && ring_) read_ring();
}

std::string Telemetry::reopen_ring() {
  if (ring_->still_there()) return "";
  auto again = Ring::open(ring_path_, Ring::From::kStart);
  if (!again) return again.error().message;
  *ring_ = std::move(*again);
  return "";
}

void Telemetry::read_ring() {
  const Ring::Batch batch = ring_->read();
  if (batch.restarted) ++api_starts_;
  lost_ += batch.lost;
  for (const Record& record : batch.records) take(record);
}

void Telemetry::take(const Record& record) {
  ++records_;
  const std::size_t c = class_of(classes_.target, record.prompt_tokens);
  serving::count(outcome_of(record), classes_.slos[c], counters_[c]);
}

std::string Telemetry::read_metrics_text() {
  const auto text = get_text(http_, url_ + "/metrics", classes_.target.scraped.timeout);
  if (!text) return text.error().message;
  const auto exposition = parse_metrics(*text);
  if (!exposition) return exposition.error().message;
  auto read = read_metrics(*exposition);
  if (!read) return read.error().message;
  take_metrics(*read);
  metrics_ = std::move(*read);
  if (!histograms_) return "";
  const std::uint64_t before = histograms_->epoch();
  const bool sure = histograms_->update(*exposition);
  api_starts_ += histograms_->epoch() - before;
  counters_.assign(1, histograms_->counters());
  return sure ? "" : histograms_->why();
}

void Telemetry::take_metrics(const Metrics& now) {
  if (!metrics_) return;
  if (!ring_ || now.rejected < 0) return;
  const bool again = began_again(*metrics_, now);
  count_rejected(again ? now.rejected : now.rejected - std::max(0.0, metrics_->rejected));
}

// Nobody says how long the refused prompts were: they are shared out as the arrivals are, so that
// an engine which refuses everything cannot look good.
void Telemetry::count_rejected(double more) {
  if (!(more > 0)) return;
  rejected_left_ += more;
  std::uint64_t arrived = 0;
  for (const serving::ClassCounters& c : counters_) arrived += c.arrived;
  const double all = std::floor(rejected_left_);
  double given = 0;
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    const bool last = i + 1 == counters_.size();
    const double part =
        arrived == 0 ? 1.0 / static_cast<double>(counters_.size())
                     : static_cast<double>(counters_[i].arrived) / static_cast<double>(arrived);
    const double mine = last ? all - given : std::floor(all * part);
    const auto n = static_cast<std::uint64_t>(std::max(0.0, mine));
    counters_[i].arrived += n;
    counters_[i].bad += n;
    counters_[i].bad_by[static_cast<std::size_t>(serving::Limit::kRejected)] += n;
    given += mine;
  }
  rejected_left_ -= all;
}

}  // namespace arqon::adapters::vllm
