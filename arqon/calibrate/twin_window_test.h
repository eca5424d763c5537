// Windows as a deployment would report them, taken from a twin with a calibration of its own.
#pragma once

#include <memory>

#include "arqon/calibrate/observation.h"
#include "arqon/sim/twin.h"
#include "arqon/workload/generate.h"

namespace arqon::calibrate {

struct ClosedLoop {
  int concurrency = 32;
  double prompt = 1024, output = 256, jitter = 0.5;
  int cap = 0;  // 0 = the pool's own
  int requests_per_slot = 20;
};

inline sim::PoolSpec h100_pool() {
  return {.name = "main", .model = "llama-3.1-8b", .gpu = "h100-sxm-80g"};
}

// The middle half of a closed-loop run of one replica of `pool`.
inline Observation observe_closed_loop(sim::PoolSpec pool, const ClosedLoop& loop, double t_s = 0) {
  if (loop.cap > 0) pool.engine.batch_size = loop.cap;
  workload::Spec spec{.source =
                          workload::ClosedLoopSource{.concurrency = loop.concurrency,
                                                     .input_tokens = loop.prompt,
                                                     .output_tokens = loop.output,
                                                     .requests_per_slot = loop.requests_per_slot,
                                                     .length_jitter = loop.jitter}};
  const auto trace = workload::generate({spec}, {.duration_s = 1e6, .classes = {"all"}});
  sim::TwinOptions options;
  options.fleet.pools = {pool};
  options.fleet.noise = false;
  options.classes = {{.name = "all"}};
  options.trace = std::make_shared<const workload::Trace>(trace.value());
  options.closed_loop_concurrency = loop.concurrency;
  const auto twin = std::move(sim::Twin::create(std::move(options)).value());
  const auto ended = [&] {
    const auto seen = twin->observe();
    return static_cast<double>(seen.classes[0].good + seen.classes[0].bad);
  };
  const auto total = static_cast<double>(trace->size());
  const auto run_to = [&](double share) {
    while (ended() < share * total) twin->wait_until(twin->now() + from_seconds(0.25));
  };
  run_to(0.25);
  const serving::Observation first = twin->observe();
  const double steps = static_cast<double>(twin->totals().steps);
  Observation out;
  double samples = 0;
  out.kv_use = 0;
  while (ended() < 0.75 * total) {
    twin->wait_until(twin->now() + from_seconds(0.25));
    const serving::Observation seen = twin->observe();
    out.running += seen.running;
    out.waiting += seen.waiting;
    out.kv_use += seen.kv_use;
    ++samples;
  }
  const serving::Observation last = twin->observe();
  const serving::ClassCounters &a = first.classes[0], &b = last.classes[0];
  out.t_s = t_s;
  out.seconds = to_seconds(last.at - first.at);
  out.batch_size = loop.cap;
  out.concurrency = loop.concurrency;
  out.running /= samples;
  out.waiting /= samples;
  out.kv_use /= samples;
  out.finished = static_cast<double>((b.good + b.bad) - (a.good + a.bad));
  out.prompt_tokens = static_cast<double>(b.prompt_tokens - a.prompt_tokens);
  out.output_tokens = static_cast<double>(b.output_tokens - a.output_tokens);
  out.steps = static_cast<double>(twin->totals().steps) - steps;
  out.gap_ms = b.tpot_ms.since(a.tpot_ms).mean();
  out.ttft_ms = b.ttft_ms.since(a.ttft_ms).mean();
  return out;
}

// Windows of open traffic on one replica of `pool`, noise on, as scrapes would show them.
inline Observations observe_open(const sim::PoolSpec& pool, const workload::Trace& trace,
                                 double seconds, double window_s, std::uint64_t seed = 1) {
  sim::TwinOptions options;
  options.fleet.pools = {pool};
  options.classes = {{.name = "all"}};
  options.trace = std::make_shared<const workload::Trace>(trace);
  options.seed = seed;
  const auto twin = std::move(sim::Twin::create(std::move(options)).value());
  Observations out;
  serving::Observation first = twin->observe();
  double steps = 0;
  for (double begin = 0; begin + window_s <= seconds; begin += window_s) {
    Observation window{.t_s = begin + window_s, .seconds = window_s, .kv_use = 0};
    constexpr int kSamples = 15;
    serving::Observation last;
    for (int i = 1; i <= kSamples; ++i) {
      twin->wait_until(time_at(begin + window_s * i / kSamples));
      last = twin->observe();
      window.running += last.running / kSamples;
      window.waiting += last.waiting / kSamples;
      window.kv_use += last.kv_use / kSamples;
    }
    const serving::ClassCounters &a = first.classes[0], &b = last.classes[0];
    const stats::Histogram ended = b.tpot_ms.since(a.tpot_ms);
    window.finished = static_cast<double>((b.good + b.bad) - (a.good + a.bad));
    window.prompt_tokens = static_cast<double>(b.prompt_tokens - a.prompt_tokens);
    window.output_tokens = static_cast<double>(b.output_tokens - a.output_tokens);
    window.steps = static_cast<double>(twin->totals().steps) - steps;
    window.gap_ms = ended.mean();
    window.ttft_ms = b.ttft_ms.since(a.ttft_ms).mean();
    steps += window.steps;
    out.push_back(window);
    first = last;
  }
  return out;
}

}  // namespace arqon::calibrate
