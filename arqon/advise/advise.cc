#include "arqon/advise/advise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "arqon/advise/traffic.h"
#include "arqon/base/rng.h"
#include "arqon/calibrate/predict.h"
#include "arqon/sim/model_data.h"
#include "arqon/sim/settings.h"
#include "arqon/sim/twin.h"
#include "arqon/stats/paired.h"

namespace arqon::advise {
namespace {

constexpr double kReplayS = 600;
constexpr int kScreens = 2;  // replays a setting is screened with
constexpr int kReplays = 8;  // replays of those that are compared in earnest
constexpr std::size_t kFinalists = 4;
constexpr double kGoodShareMin = 0.005;  // a gain below is not worth a restart
constexpr double kLatencyMin = 0.05;
constexpr double kEnough = 0.9;  // of the best gain, reached with fewer flags, is enough
// Windows are joined until so many requests ended in one: fewer say little about the twin.
constexpr double kRequestsPerWindow = 150;
// The replay draws its own arrivals: even the right twin differs from what was seen by chance.
constexpr calibrate::TrustOptions kTrust{.half_life_s = 0, .error_max = 0.15, .bias_min = 0.15};

// Outcome of one replay.
struct Replayed {
  double good_share = 1, ttft_ms = 0, gap_ms = 0;
};

// Lower is better: first what is promised, then how fast.
double loss_of(const Replayed& r, const Replayed& base) {
  const auto ratio = [](double a, double b) { return a > 0 && b > 0 ? std::log(a / b) : 0; };
  const double latency = (ratio(r.ttft_ms, base.ttft_ms) + ratio(r.gap_ms, base.gap_ms)) / 2;
  return 20 * (1 - r.good_share) + std::clamp(latency, -3.0, 3.0);
}

// The calibration of replay `draw`: 0 is the fit itself, others lie within its width.
sim::PoolSpec drawn_pool(const Question& q, int draw) {
  sim::PoolSpec pool = q.pool;
  pool.replicas = 1;
  pool.calibration = q.fit.calibration;
  if (draw == 0) return pool;
  Rng rng = Rng(q.seed).stream("calibration").stream(static_cast<std::uint64_t>(draw));
  const auto shift = [&](const calibrate::Scalar& s) {
    const double sd = s.low > 0 && s.high > s.low ? std::log(s.high / s.low) / (2 * 1.96) : 0;
    return std::exp(sd * rng.normal());
  };
  sim::Calibration& c = pool.calibration;
  for (const calibrate::Scalar& s : q.fit.scalars) {
    const double factor = shift(s);
    if (s.name == "host_ms") c.host_ms *= factor;
    if (s.name == "host_ms_per_sequence") c.host_ms_per_sequence *= factor;
    if (s.name == "front_end_ms") c.front_end_ms *= factor;
    if (s.name == "linear_memory") c.linear_memory *= factor;
    if (s.name == "linear_compute") c.linear_compute *= factor;
    if (s.name == "decode_kv") c.decode_kv *= factor;
  }
  return pool;
}

Result<std::unique_ptr<sim::Twin>> twin_of(const Question& q, const sim::PoolSpec& pool,
                                           std::shared_ptr<const workload::Trace> trace) {
  sim::TwinOptions options;
  options.fleet.pools = {pool};
  options.classes = {q.promised};
  options.trace = std::move(trace);
  options.seed = q.seed;
  return sim::Twin::create(std::move(options));
}

class Replays {
 public:
  explicit Replays(const Question& q) : q_(q) {
    for (int i = 0; i < kReplays; ++i) {
      traces_.push_back(std::make_shared<const workload::Trace>(
          draw_traffic(q.traffic, kReplayS, static_cast<double>(q.flags.max_model_len),
                       Rng(q.seed).stream("replay").at(static_cast<std::uint64_t>(i)))));
    }
  }

  bool empty() const { return traces_.front()->empty(); }

  Result<Replayed> run(const sim::EngineSpec& engine, int number) const {
    sim::PoolSpec pool = drawn_pool(q_, number);
    pool.engine = engine;
    auto twin = twin_of(q_, pool, traces_[static_cast<std::size_t>(number)]);
    if (!twin) return tl::unexpected<Error>(twin.error());
    (*twin)->wait_until(time_at(kReplayS));
    (*twin)->drain();
    const sim::Totals totals = (*twin)->totals();
    return Replayed{totals.attainment, totals.ttft_ms.p90, totals.max_gap_ms.p90};
  }

  Result<std::vector<Replayed>> run_all(const sim::EngineSpec& engine, int count) const {
    std::vector<Replayed> out;
    for (int i = 0; i < count; ++i) {
      auto one = run(engine, i);
      if (!one) return tl::unexpected<Error>(one.error());
      out.push_back(*one);
    }
    return out;
  }

 private:
  const Question& q_;
  std::vector<std::shared_ptr<const workload::Trace>> traces_;
};

struct Candidate {
  sim::EngineSpec engine;
  double loss = 0;  // mean over its replays
};

// The effective values of the three flags that are moved.
struct Now {
  std::int64_t batch_size, budget, threshold;
};

Now now_of(const sim::PoolSpec& pool) {
  const sim::GpuData* gpu = sim::gpu_of(pool);
  const sim::EngineSettings settings = sim::initial_settings(pool.engine, *gpu);
  return {settings.live.batch_size, settings.live.prefill_token_budget,
          settings.live.long_prefill_threshold};
}

// Halves and doubles around what is, as operators would try them.
std::vector<sim::EngineSpec> settings_around(const sim::PoolSpec& pool) {
  const Now now = now_of(pool);
  std::vector<std::int64_t> batches, budgets;
  for (const double factor : {0.125, 0.25, 0.5, 1.0, 2.0, 4.0}) {
    const auto batch = static_cast<std::int64_t>(factor * static_cast<double>(now.batch_size));
    if (batch >= 4 && batch <= 2048) batches.push_back(batch);
  }
  for (std::int64_t budget = 256; budget <= 16384; budget *= 2) budgets.push_back(budget);
  if (std::find(budgets.begin(), budgets.end(), now.budget) == budgets.end()) {
    budgets.push_back(now.budget);
  }
  std::vector<sim::EngineSpec> out;
  for (const std::int64_t batch : batches) {
    for (const std::int64_t budget : budgets) {
      // vLLM refuses a budget below the number of sequences.
      if (budget < batch) continue;
      for (const std::int64_t threshold : {std::int64_t{0}, budget / 4, now.threshold}) {
        if (threshold == 0 || threshold >= 128 || threshold == now.threshold) {
          sim::EngineSpec engine = pool.engine;
          engine.batch_size = batch;
          engine.prefill_token_budget = budget;
          engine.long_prefill_threshold = threshold;
          out.push_back(engine);
        }
      }
    }
  }
  return out;
}

int changed(const sim::EngineSpec& engine, const Now& now) {
  return (engine.batch_size != now.batch_size) + (engine.prefill_token_budget != now.budget) +
         (engine.long_prefill_threshold.value_or(0) != now.threshold);
}

std::vector<FlagChange> changes_to(const sim::EngineSpec& engine, const Now& now) {
  std::vector<FlagChange> out;
  const auto add = [&](const char* flag, std::int64_t from, std::int64_t to) {
    if (from != to) out.push_back({flag, fmt::format("{}", from), fmt::format("{}", to)});
  };
  add("--max-num-seqs", now.batch_size, *engine.batch_size);
  add("--max-num-batched-tokens", now.budget, *engine.prefill_token_budget);
  add("--long-prefill-token-threshold", now.threshold, *engine.long_prefill_threshold);
  return out;
}

Interval interval_of(const std::vector<double>& differences) {
  const stats::PairedMean mean = stats::paired_mean(differences);
  return {mean.mean, mean.low, mean.high};
}

bool limited(const serving::Slo& slo) {
  return std::isfinite(slo.ttft_ms) || std::isfinite(slo.tpot_ms) ||
         std::isfinite(slo.max_gap_ms) || std::isfinite(slo.e2e_ms);
}

calibrate::Observations joined(const calibrate::Observations& windows) {
  calibrate::Observations out;
  calibrate::Observation sum;
  double gaps = 0;
  const auto weigh = [](double& total, double value, double seconds) { total += value * seconds; };
  for (const calibrate::Observation& o : windows) {
    if (sum.seconds == 0) sum.kv_use = 0;
    sum.t_s = o.t_s;
    weigh(sum.running, o.running, o.seconds);
    weigh(sum.waiting, o.waiting, o.seconds);
    weigh(sum.kv_use, o.kv_use, o.seconds);
    sum.gap_ms += o.gap_ms * o.output_tokens;
    gaps += o.gap_ms > 0 ? o.output_tokens : 0;
    sum.seconds += o.seconds;
    sum.finished += o.finished;
    sum.prompt_tokens += o.prompt_tokens;
    sum.output_tokens += o.output_tokens;
    sum.steps += o.steps;
    if (sum.finished < kRequestsPerWindow) continue;
    for (double* mean : {&sum.running, &sum.waiting, &sum.kv_use}) *mean /= sum.seconds;
    sum.gap_ms = gaps > 0 ? sum.gap_ms / gaps : 0;
    out.push_back(sum);
    sum = {};
    gaps = 0;
  }
  return out;
}

// The windows' own rates and mean lengths, one after the other.
workload::Trace traffic_again(const Question& q, const calibrate::Observations& windows, int draw) {
  workload::Trace out;
  double begin = 0;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    calibrate::Traffic traffic = traffic_of_windows({windows[i]});
    traffic.prompt = q.traffic.prompt;
    traffic.output = q.traffic.output;
    const Rng rng = Rng(q.seed).stream("windows").stream(static_cast<std::uint64_t>(draw));
    for (workload::Request request : draw_traffic(
             traffic, windows[i].seconds, static_cast<double>(q.flags.max_model_len), rng.at(i))) {
      request.arrival += from_seconds(begin);
      out.push_back(request);
    }
    begin += windows[i].seconds;
  }
  return out;
}

// Means of the gauges over the whole history, replayed a few times: near the knee the queue of one
// minute is chance, that of an hour is not.
Result<serving::Forecast> replay_history(const Question& q,
                                         const calibrate::Observations& windows) {
  constexpr int kDraws = 4;
  double seconds = 0;
  for (const calibrate::Observation& window : windows) seconds += window.seconds;
  const int samples = static_cast<int>(std::clamp(std::ceil(seconds), 1.0, 10000.0));
  const double share = 1.0 / (samples * kDraws);
  serving::Forecast out{.horizon_s = seconds};
  for (int draw = 0; draw < kDraws; ++draw) {
    auto made = twin_of(q, drawn_pool(q, 0),
                        std::make_shared<const workload::Trace>(traffic_again(q, windows, draw)));
    if (!made) return tl::unexpected<Error>(made.error());
    for (int s = 1; s <= samples; ++s) {
      (*made)->wait_until(time_at(seconds * s / samples));
      const serving::Observation seen = (*made)->observe();
      out.running += share * seen.running;
      out.waiting += share * seen.waiting;
      out.kv_use += share * seen.kv_use;
    }
  }
  return out;
}

serving::Forecast means_of(const calibrate::Observations& windows) {
  serving::Forecast out;
  bool kv_told = true;
  for (const calibrate::Observation& o : windows) out.horizon_s += o.seconds;
  for (const calibrate::Observation& o : windows) {
    out.running += o.running * o.seconds / out.horizon_s;
    out.waiting += o.waiting * o.seconds / out.horizon_s;
    out.kv_use += o.kv_use * o.seconds / out.horizon_s;
    kv_told = kv_told && o.kv_use >= 0;
  }
  if (!kv_told) out.kv_use = 0;
  return out;
}

}  // namespace

Result<calibrate::Verdict> check_twin(const Question& q) {
  const calibrate::Observations windows = joined(q.windows);
  calibrate::Trust trust(kTrust);
  if (windows.empty()) return trust.verdict();
  const auto replayed = replay_history(q, windows);
  if (!replayed) return tl::unexpected<Error>(replayed.error());
  const auto predictor = calibrate::Predictor::create(drawn_pool(q, 0));
  if (!predictor) return tl::unexpected<Error>(predictor.error());
  const serving::Forecast means = means_of(windows);
  for (const calibrate::Observation& o : windows) {
    serving::Forecast model = *replayed, seen = means;
    const calibrate::Pace pace = predictor->predict(o);
    model.tpot_ms_p50 = pace.gap_ms;
    // With a queue the engine was never idle, and its throughput is the model's to tell; without
    // one it is what arrived, and proves nothing.
    if (o.waiting >= 1) {
      model.output_tokens_per_s = pace.output_tokens_per_s;
      seen.output_tokens_per_s = o.output_tokens / o.seconds;
    }
    seen.tpot_ms_p50 = o.gap_ms;
    trust.add(o.t_s, model, seen);
  }
  return trust.verdict();
}

namespace {

Result<std::vector<Candidate>> screened(const Question& q, const Replays& replays,
                                        const std::vector<Replayed>& base) {
  std::vector<Candidate> out;
  const std::vector<sim::EngineSpec> settings = settings_around(q.pool);
  double done = 0;
  for (const sim::EngineSpec& engine : settings) {
    if (q.keep_going && !q.keep_going(0.9 * ++done / static_cast<double>(settings.size()))) {
      return fail(ErrorCode::kInterrupted, "interrupted");
    }
    const auto replayed = replays.run_all(engine, kScreens);
    // A setting whose cache cannot hold one request is no candidate.
    if (!replayed) continue;
    Candidate candidate{engine, 0};
    for (std::size_t i = 0; i < replayed->size(); ++i) {
      candidate.loss += loss_of((*replayed)[i], base[i]) / kScreens;
    }
    out.push_back(candidate);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Candidate& a, const Candidate& b) { return a.loss < b.loss; });
  return out;
}

// The best by screening, and the best that move one flag only.
std::vector<sim::EngineSpec> finalists_of(const std::vector<Candidate>& screened, const Now& now) {
  std::vector<sim::EngineSpec> out;
  std::size_t single = 0;
  for (const Candidate& candidate : screened) {
    const bool one = changed(candidate.engine, now) == 1;
    if (changed(candidate.engine, now) == 0) continue;
    if (out.size() - single < kFinalists && !one) out.push_back(candidate.engine);
    if (one && single < kFinalists) {
      out.push_back(candidate.engine);
      ++single;
    }
  }
  return out;
}

void compare(const std::vector<Replayed>& base, const std::vector<Replayed>& then, Advice& out) {
  std::vector<double> good, ttft, gap;
  out.good_share_now = out.good_share_then = 0;
  for (std::size_t i = 0; i < base.size(); ++i) {
    const auto gain = [](double a, double b) { return a > 0 ? 1 - b / a : 0; };
    good.push_back(then[i].good_share - base[i].good_share);
    ttft.push_back(gain(base[i].ttft_ms, then[i].ttft_ms));
    gap.push_back(gain(base[i].gap_ms, then[i].gap_ms));
    out.good_share_now += base[i].good_share / static_cast<double>(base.size());
    out.good_share_then += then[i].good_share / static_cast<double>(base.size());
  }
  out.good_share = interval_of(good);
  out.ttft = interval_of(ttft);
  out.gap = interval_of(gap);
}

// More good requests beyond doubt; or as many, with a latency that falls beyond doubt and none that
// rises by as much.
bool pays(const Advice& a) {
  if (a.good_share.low > 0 && a.good_share.mean >= kGoodShareMin) return true;
  if (a.good_share.low < -kGoodShareMin) return false;
  const bool ttft = a.ttft.low > 0 && a.ttft.mean >= kLatencyMin;
  const bool gap = a.gap.low > 0 && a.gap.mean >= kLatencyMin;
  return (ttft && a.gap.low > -kLatencyMin) || (gap && a.ttft.low > -kLatencyMin);
}

}  // namespace

Result<Advice> advise(const Question& q) {
  if (!limited(q.promised)) {
    return fail(ErrorCode::kUsage, "say what users were promised: at least one limit in ms");
  }
  Advice out;
  const auto trust = check_twin(q);
  if (!trust) return tl::unexpected<Error>(trust.error());
  out.trust = *trust;
  if (!out.trust.believe) {
    out.finding = Finding::kNoTrust;
    out.reason = "the twin does not reproduce what was seen: " + out.trust.reason;
    return out;
  }
  const Replays replays(q);
  if (replays.empty()) return fail(ErrorCode::kInvalidConfig, "nothing arrived in this history");
  const auto base = replays.run_all(q.pool.engine, kReplays);
  if (!base) return tl::unexpected<Error>(base.error());
  const auto candidates = screened(q, replays, *base);
  if (!candidates) return tl::unexpected<Error>(candidates.error());
  out.settings_tried = candidates->size();
  const Now now = now_of(q.pool);
  std::optional<Advice> best;
  double best_loss = 0;
  for (const sim::EngineSpec& engine : finalists_of(*candidates, now)) {
    const auto then = replays.run_all(engine, kReplays);
    if (!then) continue;
    Advice found = out;
    compare(*base, *then, found);
    if (!pays(found)) continue;
    found.changes = changes_to(engine, now);
    double loss = 0;
    for (std::size_t i = 0; i < base->size(); ++i) {
      loss += (loss_of((*then)[i], (*base)[i]) - loss_of((*base)[i], (*base)[i])) / kReplays;
    }
    // Fewer flags win when they reach most of it.
    const bool fewer = best && found.changes.size() < best->changes.size();
    const bool more = best && found.changes.size() > best->changes.size();
    const double needed = fewer ? kEnough * best_loss : more ? best_loss / kEnough : best_loss;
    if (best && loss >= needed) continue;
    best = std::move(found);
    best_loss = loss;
  }
  if (q.keep_going) q.keep_going(1);
  if (!best) {
    out.reason = fmt::format("none of {} settings is better beyond doubt", out.settings_tried);
    compare(*base, *base, out);
    return out;
  }
  best->finding = Finding::kChange;
  best->reason = fmt::format("the best of {} settings tried", best->settings_tried);
  return *best;
}

}  // namespace arqon::advise
