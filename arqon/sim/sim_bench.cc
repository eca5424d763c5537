// Simulated requests per second on one core, on the shipped demo scenario built in code.
#include <benchmark/benchmark.h>

#include <memory>

#include "arqon/sim/mix_migration.h"
#include "arqon/sim/twin.h"

namespace arqon::sim {
namespace {

void run(benchmark::State& state, double budget, double k, bool step_by_step) {
  const double seconds = static_cast<double>(state.range(0));
  TwinOptions options = mix_migration(7, seconds);
  options.step_by_step = step_by_step;
  double requests = 0;
  for (auto _ : state) {
    auto twin = Twin::create(options);
    const auto applied = (*twin)->apply({budget, 1024, k});
    (*twin)->wait_until(time_at(seconds));
    (*twin)->drain();
    const Totals totals = (*twin)->totals();
    benchmark::DoNotOptimize(applied);
    benchmark::DoNotOptimize(totals.attainment);
    requests += static_cast<double>(totals.ledger.arrived);
  }
  state.counters["requests_per_s"] = benchmark::Counter(requests, benchmark::Counter::kIsRate);
}

void BM_MixMigrationDefault(benchmark::State& state) { run(state, 8192, 0, false); }
void BM_MixMigrationTuned(benchmark::State& state) { run(state, 1024, 1, false); }
void BM_MixMigrationStepByStep(benchmark::State& state) { run(state, 8192, 0, true); }
BENCHMARK(BM_MixMigrationDefault)->Arg(7200)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_MixMigrationTuned)->Arg(7200)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_MixMigrationStepByStep)->Arg(7200)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace arqon::sim
