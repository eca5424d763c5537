// Run-length steps against single steps on many random fleets; stops at the first difference.
//   twin_equality COUNT [FIRST_SEED]
// Every mechanism is in play (arqon/sim/random_scene.h): noise and stalls, chunks, caps, evictions,
// three schedulers, prefix caches, drafts at their mean, shedding, retries, priorities, restarts.
// Sampled speculation is left out: while it drafts every step is a single one in both modes.
#include <fmt/format.h>

#include <cstdlib>

#include "arqon/sim/random_scene.h"

int main(int argc, char** argv) {
  using namespace arqon::sim;
  const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10000;
  const std::uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
  std::uint64_t requests = 0, steps = 0, evictions = 0, rejected = 0, cached = 0, drafted = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Scene scene = random_scene(seed);
    const Outcome fast = play(scene, false);
    if (!same(fast, play(scene, true))) {
      fmt::print("seed {}: run-length steps and single steps differ\n", seed);
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
