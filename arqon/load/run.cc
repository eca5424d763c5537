// The run itself: sends what is due, waits for bytes, drains.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/base/rng.h"
#include "arqon/load/flight.h"
#include "arqon/load/load.h"
#include "arqon/load/prompt.h"
#include "arqon/os/cpu_time.h"

namespace arqon::load {
namespace {

constexpr double kSampleSeconds = 1;
constexpr Duration kPatienceMax = std::chrono::milliseconds(50);  // how soon a stop is seen
constexpr int kSendsPerRound = 16;  // then the answers get their turn
constexpr std::size_t kAnswerBytesMax = 64u << 20;

Error invalid(std::string message) { return {ErrorCode::kInvalidConfig, std::move(message)}; }

Status check(const Options& options) {
  const auto refuse = [](std::string why) -> Status { return tl::unexpected(invalid(why)); };
  if (!options.url.starts_with("http://") && !options.url.starts_with("https://")) {
    return refuse(fmt::format("the URL must start with http:// or https:// (got {})", options.url));
  }
  if (!options.trace || options.classes.empty()) return refuse("a trace and classes are needed");
  for (const workload::Request& request : *options.trace) {
    if (request.request_class >= options.classes.size()) return refuse("a request has no class");
  }
  if (options.token_id_first > options.token_id_last) {
    return refuse(fmt::format("token ids from {} to {} are none", options.token_id_first,
                              options.token_id_last));
  }
  if (options.endpoint == Endpoint::kChat && options.prompts == Prompts::kTokenIds) {
    return refuse("a chat endpoint takes words, not token ids");
  }
  if (!(options.warmup_s >= 0 && options.warmup_s <= 86400) ||
      !(options.drain_s >= 0 && options.drain_s <= 86400) || !(options.duration_s >= 0) ||
      !(options.request_timeout_s > 0 && options.request_timeout_s <= 86400)) {
    return refuse("warm-up, drain and time limit must lie within a day, none below 0");
  }
  if (options.streams_max == 0 || options.streams_max > 100'000) {
    return refuse("streams must be 1 to 100000");
  }
  return {};
}

std::string endpoint_url(const Options& options) {
  std::string base = options.url;
  while (base.ends_with('/')) base.pop_back();
  if (!base.ends_with("/v1")) base += "/v1";
  return base + (options.endpoint == Endpoint::kChat ? "/chat/completions" : "/completions");
}

class Run final : public Flight::Tower {
 public:
  Run(const Options& options, Clock& clock, const Hooks& hooks, net::Streams streams)
      : options_(options),
        clock_(clock),
        hooks_(hooks),
        streams_(std::move(streams)),
        url_(endpoint_url(options)),
        start_(clock.now() + from_seconds(options.warmup_s)),
        prompts_(Rng(options.seed).stream("prompts")),
        warmup_prompts_(Rng(options.seed).stream("warm-up prompts")) {
    plan();
  }

  Outcome fly();

  double now_s() const override { return to_seconds(clock_.now() - start_); }
  void first_token(std::size_t row) override;
  void send_again(Flight& flight) override;
  void landed(Flight& flight, std::string failure_text) override;

 private:
  bool closed() const { return options_.closed_loop_concurrency > 0; }
  void plan();
  void plan_row(double arrival_s, std::size_t trace_index, bool warmup);
  void book_slots();
  void send_due();
  bool send(std::size_t index);
  void launch(Flight& flight);
  void fail_at_once(Flight& flight, const Error& error);
  bool all_sent() const;
  void tick();
  void sample(double t_s);
  LoadSample sampled(double t_s) const;
  std::size_t due_by(double t_s) const;
  void tell(double t_s) const;
  Duration patience() const;
  Outcome finish();

  const Options& options_;
  Clock& clock_;
  const Hooks& hooks_;
  net::Streams streams_;
  const std::string url_;
  const TimePoint start_;
  const Rng prompts_, warmup_prompts_;

  std::vector<Row> rows_;
  std::vector<std::size_t> trace_index_;  // per row
  std::size_t next_ = 0;                  // first row that was not sent
  std::size_t closed_next_ = 0;           // closed loop: first request of the trace not booked
  std::size_t warmup_booked_ = 0;
  std::vector<std::unique_ptr<Flight>> flights_;
  std::vector<Flight*> idle_;
  std::vector<Flight*> again_;            // to be sent once more
  bool stopping_ = false;
  double arrivals_end_s_ = 0;             // no row is due from then on
  std::size_t ended_ = 0, failed_ = 0;
  std::size_t answered_ = 0;              // rows with a first token or an end without one
  double next_tick_s_ = 0;

  // Since the last sample.
  LoadSample current_;
  double lag_sum_ms_ = 0, e2e_sum_s_ = 0;
  std::vector<LoadSample> samples_;
  Outcome outcome_;
};

void Run::plan_row(double arrival_s, std::size_t trace_index, bool warmup) {
  const workload::Request& request = (*options_.trace)[trace_index];
  Row row;
  row.arrival_s = arrival_s;
  row.prompt_tokens = std::max<std::uint32_t>(1, request.prompt_tokens);
  row.output_asked = std::max<std::uint32_t>(1, request.output_tokens);
  row.request_class = request.request_class;
  row.warmup = warmup;
  rows_.push_back(row);
  trace_index_.push_back(trace_index);
}

void Run::plan() {
  const workload::Trace& trace = *options_.trace;
  next_tick_s_ = -options_.warmup_s;
  if (closed()) {
    arrivals_end_s_ = options_.duration_s;
    return book_slots();
  }
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const double at_s = to_seconds(trace[i].arrival);
    if (at_s >= std::min(options_.warmup_s, options_.duration_s)) break;
    plan_row(at_s - options_.warmup_s, i, true);
  }
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const double at_s = to_seconds(trace[i].arrival);
    if (at_s >= options_.duration_s) break;
    plan_row(at_s, i, false);
  }
  arrivals_end_s_ = rows_.empty() ? 0 : std::max(0.0, rows_.back().arrival_s);
}

// Closed loop: every free slot books the next request of the trace for now.
void Run::book_slots() {
  const workload::Trace& trace = *options_.trace;
  const auto slots = static_cast<std::size_t>(options_.closed_loop_concurrency);
  while (!trace.empty() && rows_.size() - ended_ < slots) {
    const double t_s = now_s();
    if (t_s >= arrivals_end_s_) return;
    if (t_s < 0) {
      plan_row(t_s, warmup_booked_++ % trace.size(), true);
    } else if (closed_next_ < trace.size()) {
      plan_row(t_s, closed_next_++, false);
    } else {
      arrivals_end_s_ = t_s;
      return;
    }
  }
}

void Run::first_token(std::size_t) { ++answered_; }

void Run::landed(Flight& flight, std::string failure_text) {
  Row& row = rows_[flight.index()];
  row = flight.row();
  row.broke = serving::judge(outcome_of(row), options_.classes[row.request_class]);
  if (row.pieces == 0) ++answered_;
  ++ended_;
  ++current_.ended;
  e2e_sum_s_ += row.end_s - row.arrival_s;
  outcome_.pieces += row.pieces;
  outcome_.tokens += row.output_tokens;
  if (row.failure != Failure::kNone) {
    ++failed_;
    const bool known =
        std::any_of(outcome_.examples.begin(), outcome_.examples.end(),
                    [&](const FailureExample& e) { return e.failure == row.failure; });
    if (!known) outcome_.examples.push_back({row.failure, std::move(failure_text)});
  }
  idle_.push_back(&flight);
  if (hooks_.ended) hooks_.ended(row);
}

void Run::fail_at_once(Flight& flight, const Error& error) {
  net::StreamEnd end;
  end.error = error.message;
  flight.on_end(end);
}

bool Run::send(std::size_t index) {
  if (streams_.active() >= options_.streams_max) {
    current_.streams_full = true;
    return false;
  }
  if (idle_.empty()) {
    flights_.push_back(std::make_unique<Flight>(*this, options_.ignore_eos));
    idle_.push_back(flights_.back().get());
  }
  Flight& flight = *idle_.back();
  idle_.pop_back();
  Row& row = rows_[index];
  row.sent_s = now_s();
  const double lag_ms = std::max(0.0, row.sent_s - row.arrival_s) * 1e3;
  lag_sum_ms_ += lag_ms;
  ++current_.sent;
  flight.take_off(index, row);
  launch(flight);
  return true;
}

void Run::launch(Flight& flight) {
  const Row& row = rows_[flight.index()];
  net::Request request;
  request.method = "POST";
  request.url = url_;
  request.headers = {{"Content-Type", "application/json"}};
  if (!options_.api_key.empty()) {
    request.headers.emplace_back("Authorization", "Bearer " + options_.api_key);
  }
  request.body = request_body(options_, row.warmup ? warmup_prompts_ : prompts_,
                              trace_index_[flight.index()], row.prompt_tokens, row.output_asked);
  request.timeout = from_seconds(options_.request_timeout_s);
  request.bytes_max = kAnswerBytesMax;
  const bool fresh = outcome_.resent > 0;
  if (Status started = streams_.start(std::move(request), flight, fresh); !started) {
    fail_at_once(flight, started.error());
  }
}

void Run::send_again(Flight& flight) {
  ++outcome_.resent;
  again_.push_back(&flight);
}

void Run::send_due() {
  for (Flight* flight : std::exchange(again_, {})) launch(*flight);
  if (stopping_) return;
  if (closed()) book_slots();
  const double t_s = now_s();
  for (int i = 0; i < kSendsPerRound; ++i) {
    if (next_ >= rows_.size() || rows_[next_].arrival_s > t_s) return;
    if (!send(next_)) return;
    ++next_;
  }
}

bool Run::all_sent() const {
  if (stopping_) return true;
  if (closed()) return next_ >= rows_.size() && now_s() >= arrivals_end_s_;
  return next_ >= rows_.size();
}

void Run::sample(double t_s) {
  if (t_s >= 0 && !all_sent()) samples_.push_back(sampled(t_s));
  current_ = {};
  lag_sum_ms_ = e2e_sum_s_ = 0;
}

std::size_t Run::due_by(double t_s) const {
  const auto due = std::upper_bound(rows_.begin(), rows_.end(), t_s,
                                    [](double t, const Row& row) { return t < row.arrival_s; });
  return static_cast<std::size_t>(due - rows_.begin());
}

LoadSample Run::sampled(double t_s) const {
  const auto arrived = static_cast<double>(due_by(t_s));
  LoadSample out = current_;
  out.t_s = t_s;
  out.in_flight = arrived - static_cast<double>(ended_);
  out.waiting = arrived - static_cast<double>(answered_);
  if (out.sent > 0) out.lag_ms_mean = lag_sum_ms_ / static_cast<double>(out.sent);
  if (out.ended > 0) out.e2e_s_mean = e2e_sum_s_ / static_cast<double>(out.ended);
  // Nothing could be sent although something was due: as late as the oldest of it.
  if (out.sent == 0 && next_ < rows_.size() && rows_[next_].arrival_s < t_s) {
    out.lag_ms_mean = (t_s - rows_[next_].arrival_s) * 1e3;
    out.sent = 1;
  }
  return out;
}

void Run::tell(double t_s) const {
  if (!hooks_.progress) return;
  Progress progress;
  progress.at_s = t_s;
  progress.arrivals_end_s = arrivals_end_s_;
  progress.arrived = next_;
  progress.ended = ended_;
  progress.failed = failed_;
  progress.in_flight = streams_.active();
  progress.draining = all_sent();
  hooks_.progress(progress);
}

void Run::tick() {
  const double t_s = now_s();
  if (t_s < next_tick_s_) return;
  sample(t_s);
  tell(t_s);
  next_tick_s_ = std::max(next_tick_s_ + kSampleSeconds, t_s);
}

Duration Run::patience() const {
  if (!again_.empty()) return {};
  if (stopping_ || next_ >= rows_.size()) return kPatienceMax;
  const double wait_s = rows_[next_].arrival_s - now_s();
  // Something is due that found no stream: an answer frees one.
  if (wait_s <= 0) return streams_.active() >= options_.streams_max ? kPatienceMax : Duration{};
  return std::min<Duration>(kPatienceMax, from_seconds(wait_s));
}

Outcome Run::fly() {
  const Duration cpu_begin = os::thread_cpu_time();
  while (true) {
    if (!stopping_ && (hooks_.stop.stop_requested() || hooks_.abort.stop_requested())) {
      stopping_ = outcome_.stopped = true;
      arrivals_end_s_ = std::min(arrivals_end_s_, std::max(0.0, now_s()));
    }
    send_due();
    if (all_sent()) {
      if ((streams_.active() == 0 && again_.empty()) || hooks_.abort.stop_requested()) break;
      arrivals_end_s_ = std::min(arrivals_end_s_, std::max(0.0, now_s()));
    }
    if (now_s() >= arrivals_end_s_ + options_.drain_s) break;
    streams_.poll(patience());
    tick();
  }
  outcome_.cpu_s = to_seconds(os::thread_cpu_time() - cpu_begin);
  return finish();
}

Outcome Run::finish() {
  streams_.cancel_all();
  const double end_s = std::max(0.0, now_s());
  rows_.resize(std::max(next_, due_by(arrivals_end_s_)));
  double last_end_s = 0, prompt_tokens = 0, output_tokens = 0;
  std::vector<float> lags;
  for (Row& row : rows_) {
    if (!row.ended) row.failure = Failure::kCancelled;
    last_end_s = std::max(last_end_s, row.ended ? row.end_s : end_s);
    if (row.warmup) {
      ++outcome_.warmup_requests;
      if (row.failure != Failure::kNone) ++outcome_.warmup_failures;
      continue;
    }
    prompt_tokens += row.prompt_tokens;
    if (row.failure == Failure::kNone) output_tokens += row.output_tokens;
    if (row.failure != Failure::kNone) {
      ++outcome_.failures[static_cast<std::size_t>(row.failure)];
    }
    if (row.sent_s == Row::kNever) continue;
    const double lag_ms = std::max(0.0, row.sent_s - row.arrival_s) * 1e3;
    lags.push_back(static_cast<float>(lag_ms));
    outcome_.lag_ms_max = std::max(outcome_.lag_ms_max, lag_ms);
  }
  outcome_.lag_ms = serving::quantiles_of(lags);
  outcome_.seconds = last_end_s;
  outcome_.arrivals_s = std::min(arrivals_end_s_, end_s);
  outcome_.totals =
      totals_of(rows_, options_.classes, 0, std::numeric_limits<double>::infinity());
  outcome_.totals.output_tokens_per_s = output_tokens / std::max(last_end_s, 1e-3);
  outcome_.totals.input_tokens_per_s = prompt_tokens / std::max(last_end_s, 1e-3);
  outcome_.saturation = find_saturation(samples_);
  outcome_.rows = std::move(rows_);
  return std::move(outcome_);
}

}  // namespace

Result<Outcome> run(const Options& options, Clock& clock, const Hooks& hooks) {
  if (Status good = check(options); !good) return tl::unexpected(good.error());
  Result<net::Streams> streams = net::Streams::create(options.streams_max);
  if (!streams) return tl::unexpected(streams.error());
  return Run(options, clock, hooks, std::move(*streams)).fly();
}

}  // namespace arqon::load
