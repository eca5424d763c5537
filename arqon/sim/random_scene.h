// Small fleets with every mechanism in play, drawn from a seed: for the tests and the bench that
// hold run-length steps to single steps.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/sim/twin.h"
#include "arqon/sim/twin_fixture.h"

namespace arqon::sim {

// A twin, and settings to apply while it runs.
struct Scene {
  TwinOptions options;
  std::vector<std::pair<double, Config>> changes;
  double seconds = 0;
};

inline bool one_in(Rng& rng, double n) { return rng.uniform() * n < 1; }

// Pressure on KV, caps, chunks, drafts, shedding, caching, priorities; all three schedulers.
inline void draw_engine(Rng& rng, EngineSpec& engine) {
  engine.batch_size = 1 + static_cast<std::int64_t>(rng.below(40));
  engine.prefill_token_budget = 64 + static_cast<std::int64_t>(rng.below(1000));
  engine.kv_cache_blocks = 100 + static_cast<std::int64_t>(rng.below(200));
  if (one_in(rng, 3)) engine.queued_token_limit = 4000;
  if (one_in(rng, 3)) engine.long_prefill_threshold = 128;
  if (one_in(rng, 5)) engine.max_wait_ms = 20;
  if (one_in(rng, 4)) engine.deadline_shed = 2;
  if (one_in(rng, 4)) engine.watermark = 0.05;
  if (one_in(rng, 4)) engine.speculation_by_batch = {{1, 4}, {4, 2}, {12, 1}};
  engine.prefix_caching = !one_in(rng, 3);
  if (one_in(rng, 4)) engine.scheduler = "tensorrt-llm";
  if (engine.scheduler == "vllm-v1" && one_in(rng, 5)) {
    engine.scheduler = "triton";
    engine.preferred_batch_sizes = {2, 6};
  }
}

inline workload::Trace draw_trace(Rng& rng, double seconds) {
  const double rate = rng.uniform(2, 30);
  const bool sessions = !one_in(rng, 3), recorded = one_in(rng, 4);
  workload::Trace trace;
  for (double t = 0; t < seconds; t += rng.exponential() / rate) {
    workload::Request r = request_at(t, 1 + static_cast<std::uint32_t>(rng.below(900)),
                                     1 + static_cast<std::uint32_t>(rng.below(600)));
    r.request_class = static_cast<std::uint16_t>(rng.below(2));
    r.acceptance = static_cast<float>(rng.uniform());
    r.acceptance_row = static_cast<std::uint8_t>(rng.below(8));
    r.backfill = one_in(rng, 4);
    if (one_in(rng, 3)) r.retries = 1;
    if (sessions) {
      r.session = static_cast<std::uint32_t>(rng.below(30));
      r.system_prompt = r.session % 3;
      r.system_tokens = 64 * r.system_prompt;
    }
    if (recorded) {
      workload::PromptHashes hashes{.block_tokens = 128};
      const std::uint64_t family = rng.below(4);
      for (std::uint64_t i = 0; i * 128 < r.prompt_tokens; ++i) {
        hashes.chain.push_back(family * 1000 + i + (i > 2 ? rng.below(3) * 100000 : 0));
      }
      r.hashes = std::make_shared<const workload::PromptHashes>(std::move(hashes));
    }
    trace.push_back(r);
  }
  return trace;
}

inline Scene random_scene(std::uint64_t seed) {
  Rng rng = Rng(seed).stream("scene");
  Scene scene;
  TwinOptions& o = scene.options;
  o = small_twin();
  o.seed = seed;
  o.record_requests = true;
  o.fleet.noise = one_in(rng, 2);
  o.fleet.restart_load_s = 2;
  o.classes = {{.name = "a", .ttft_ms = 200, .tpot_ms = 20, .max_gap_ms = 100},
               {.name = "b", .ttft_ms = 100, .ttft_ms_per_prompt_token = 0.2, .e2e_ms = 4000}};
  PoolSpec& pool = o.fleet.pools[0];
  pool.replicas = 1 + static_cast<int>(rng.below(3));
  const char* policies[] = {"least_request", "round_robin", "random", "weighted", "prefix_affine"};
  o.fleet.router.policy = policies[rng.below(5)];
  o.fleet.router.state_age_ms = one_in(rng, 2) ? 0 : 250;
  draw_engine(rng, pool.engine);
  add_knob(o, "main.speculative_decoding_k", 0, 4);
  add_knob(o, "main.max_tokens", 0, 400);
  add_knob(o, "main.block_size", 8, 32);
  scene.seconds = 10;
  set_trace(o, draw_trace(rng, scene.seconds));
  for (double t = 1.5; t < scene.seconds; t += 2) {
    const double block = t > 5 && one_in(rng, 2) ? 32 : 16;
    const double k = static_cast<double>(rng.below(5));
    scene.changes.push_back({t, {k, one_in(rng, 2) ? 0.0 : 300.0, block}});
  }
  return scene;
}

struct Outcome {
  Totals totals;
  std::vector<RequestRow> rows;
  std::vector<serving::Observation> seen;
};

inline Outcome play(const Scene& scene, bool step_by_step) {
  TwinOptions options = scene.options;
  options.step_by_step = step_by_step;
  const auto twin = make_twin(options);
  Outcome out;
  for (const auto& [at, setting] : scene.changes) {
    twin->wait_until(time_at(at));
    const auto applied = twin->apply(setting);
    ARQON_ASSERT(applied.has_value());
    out.seen.push_back(twin->observe());
  }
  twin->wait_until(time_at(scene.seconds));
  twin->drain();
  out.seen.push_back(twin->observe());
  out.totals = twin->totals();
  out.rows = twin->requests();
  return out;
}

inline bool same(const Quantiles& a, const Quantiles& b) {
  return a.mean == b.mean && a.p50 == b.p50 && a.p90 == b.p90 && a.p95 == b.p95 && a.p99 == b.p99 &&
         a.n == b.n;
}

// Counts and integers exactly; times are sums of integers and therefore equal as well.
inline bool same(const Totals& a, const Totals& b) {
  return a.ledger == b.ledger && a.steps == b.steps && a.preemptions == b.preemptions &&
         a.recomputed_tokens == b.recomputed_tokens && a.good_tokens == b.good_tokens &&
         a.batch_histogram == b.batch_histogram && a.tokens_per_step == b.tokens_per_step &&
         a.prefix_hit_rate == b.prefix_hit_rate && a.busy_fraction == b.busy_fraction &&
         a.kv_use_mean == b.kv_use_mean && a.kv_use_max == b.kv_use_max &&
         a.simulated_s == b.simulated_s && a.worst_5_min_attainment == b.worst_5_min_attainment &&
         same(a.ttft_ms, b.ttft_ms) && same(a.tpot_ms, b.tpot_ms) &&
         same(a.max_gap_ms, b.max_gap_ms) && same(a.e2e_ms, b.e2e_ms);
}

inline bool same(const RequestRow& a, const RequestRow& b) {
  return a.ttft_ms == b.ttft_ms && a.tpot_ms == b.tpot_ms && a.max_gap_ms == b.max_gap_ms &&
         a.e2e_ms == b.e2e_ms && a.broke == b.broke && a.replica == b.replica &&
         a.output_tokens == b.output_tokens;
}

inline bool same(const Outcome& a, const Outcome& b) {
  bool equal = same(a.totals, b.totals) && a.rows.size() == b.rows.size();
  for (std::size_t i = 0; equal && i < a.rows.size(); ++i) equal = same(a.rows[i], b.rows[i]);
  for (std::size_t i = 0; equal && i < a.seen.size(); ++i) {
    equal = a.seen[i].running == b.seen[i].running && a.seen[i].waiting == b.seen[i].waiting;
    for (std::size_t c = 0; equal && c < a.seen[i].classes.size(); ++c) {
      equal = a.seen[i].classes[c].bad_by == b.seen[i].classes[c].bad_by;
    }
  }
  return equal;
}

}  // namespace arqon::sim
