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
  workload::Spec spec{.source = workload::ClosedLoopSource{
                          .concurrency = loop.concurrency,
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

}  // namespace arqon::calibrate
