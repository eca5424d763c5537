// Run-length steps against single steps on many random fleets; stops at the first difference.
//   twin_equality COUNT [FIRST_SEED]
// Every mechanism is in play (arqon/sim/random_scene.h): noise and stalls, chunks, caps, evictions,
// three schedulers, prefix caches, drafts at their mean, shedding, retries, priorities, restarts.
// Sampled speculation is left out: while it drafts every step is a single one in both modes.
#include <fmt/format.h>

#include <cstdlib>

#include "arqon/sim/random_scene.h"

namespace {

using namespace arqon::sim;

void print_difference(const Scene& scene, const Outcome& fast, const Outcome& slow) {
  const EngineSpec& e = scene.options.fleet.pools[0].engine;
  fmt::print("  scheduler {}, batch {}, budget {}, blocks {}, caching {}, watermark {}, shed {}, "
             "wait {}, bands {}, replicas {}, policy {}, noise {}\n",
             e.scheduler, *e.batch_size, *e.prefill_token_budget, *e.kv_cache_blocks,
             e.prefix_caching, e.watermark, e.deadline_shed.value_or(0), e.max_wait_ms.value_or(0),
             e.speculation_by_batch.size(), scene.options.fleet.pools[0].replicas,
             scene.options.fleet.router.policy, scene.options.fleet.noise);
  const auto totals = [](const Totals& t) {
    fmt::print("  {} steps, {} evictions, {} recomputed, {} good, {} rejected, hits {:.9f}, KV "
               "{:.9f} / {:.9f}\n",
               t.steps, t.preemptions, t.recomputed_tokens, t.ledger.good, t.ledger.rejected,
               t.prefix_hit_rate, t.kv_use_mean, t.kv_use_max);
  };
  totals(fast.totals);
  totals(slow.totals);
  for (std::size_t i = 0; i < fast.rows.size(); ++i) {
    const RequestRow &a = fast.rows[i], &b = slow.rows[i];
    if (same(a, b)) continue;
    fmt::print("  request {} at {:.6f} s: first token {:.9f} / {:.9f} ms, end {:.9f} / {:.9f} ms, "
               "replica {} / {}\n",
               i, a.arrival_s, a.ttft_ms, b.ttft_ms, a.e2e_ms, b.e2e_ms, a.replica, b.replica);
    return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10000;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  std::uint64_t requests = 0, steps = 0, evictions = 0, rejected = 0, cached = 0, drafted = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Scene scene = random_scene(seed);
    const Outcome fast = play(scene, false);
    const Outcome slow = play(scene, true);
    if (!same(fast, slow)) {
      fmt::print("seed {}: run-length steps and single steps differ\n", seed);
      print_difference(scene, fast, slow);
      return 1;
    }
    requests += fast.totals.ledger.arrived;
    steps += fast.totals.steps;
    evictions += fast.totals.preemptions;
    rejected += fast.totals.ledger.rejected;
    cached += fast.totals.prefix_hit_rate > 0 ? 1 : 0;
    drafted += fast.totals.tokens_per_step > 1.01 ? 1 : 0;
  }
  fmt::print("{} scenes equal: {} requests, {} steps, {} evictions, {} rejected; {} scenes with "
             "prefix hits, {} with drafts\n",
             count, requests, steps, evictions, rejected, cached, drafted);
  return 0;
}
