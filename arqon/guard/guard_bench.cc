// One whole guard and apply, a refusal, and what readers pay. Target: guard + apply of 16 knobs in
// at most 150 ns.
#include <benchmark/benchmark.h>

#include <array>
#include <limits>
#include <optional>
#include <vector>

#include "arqon/guard/safety_executor.h"

namespace arqon::guard {
namespace {

// A mix as a serving stack has it: integers with steps, continuous, categories, weights.
struct Setup {
  explicit Setup(std::size_t knobs) {
    std::vector<Parameter> parameters;
    Guardrails guardrails{
        .limits = {}, .max_updates_per_second = 1e9, .reflex_updates_per_second = 1e9};
    for (std::size_t i = 0; i < knobs; ++i) {
      Parameter p{.name = "k", .min = 0, .max = 4096};
      if (i % 4 != 3) p.type = ParamType::kInt;
      if (i % 4 == 1) p.step = 64;
      parameters.push_back(p);
      guardrails.limits.push_back({0, 4096, 1024});
    }
    executor.emplace(*SafetyExecutor::create(Space(parameters), guardrails));
    settings[0].assign(knobs, 1024);
    settings[1].assign(knobs, 1088);
    executor->set_baseline(settings[0], time_at(0));
  }
  std::optional<SafetyExecutor> executor;
  std::array<std::vector<double>, 2> settings;
};

void propose_and_publish(benchmark::State& state) {
  Setup setup(static_cast<std::size_t>(state.range(0)));
  std::int64_t ns = 0;
  std::uint64_t applied = 0;
  for (auto _ : state) {
    ns += 1000;
    const auto& setting = setup.settings[static_cast<std::size_t>(ns / 1000) & 1];
    const Verdict v =
        setup.executor->propose(setting, Lane::kExperiment, TimePoint(Duration(ns)), true);
    applied += v.permitted ? 1U : 0U;
    benchmark::DoNotOptimize(v);
  }
  if (applied != static_cast<std::uint64_t>(state.iterations())) state.SkipWithError("refused");
}
BENCHMARK(propose_and_publish)->Arg(4)->Arg(16)->Arg(64);

void refuse_not_finite(benchmark::State& state) {
  Setup setup(16);
  setup.settings[0][15] = std::numeric_limits<double>::quiet_NaN();
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        setup.executor->propose(setup.settings[0], Lane::kExperiment, time_at(1)));
  }
}
BENCHMARK(refuse_not_finite);

void revert(benchmark::State& state) {
  Setup setup(16);
  for (auto _ : state) benchmark::DoNotOptimize(setup.executor->revert(time_at(1)));
}
BENCHMARK(revert);

void cell_read_full_copy(benchmark::State& state) {
  Setup setup(16);
  Snapshot snapshot;
  for (auto _ : state) {
    setup.executor->cell().read(snapshot);
    benchmark::DoNotOptimize(snapshot);
  }
}
BENCHMARK(cell_read_full_copy);

void reader_generation_check(benchmark::State& state) {
  Setup setup(16);
  ConfigReader reader(setup.executor->cell());
  for (auto _ : state) benchmark::DoNotOptimize(&reader.current());
}
BENCHMARK(reader_generation_check);

}  // namespace
}  // namespace arqon::guard
