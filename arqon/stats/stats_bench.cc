// What evidence costs per sample and per verdict. Targets: 5 ns and 1 us, with the yardstick of
// 64 dependent multiplications beside them.
#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "arqon/stats/drift.h"
#include "arqon/stats/testing/trial_sim.h"

namespace arqon::stats {
namespace {

void yardstick_64_multiplications(benchmark::State& state) {
  double factor = 1.0000001;
  benchmark::DoNotOptimize(factor);
  double x = 1;
  for (auto _ : state) {
    for (int i = 0; i < 64; ++i) x *= factor;
    benchmark::DoNotOptimize(x);
    x = 1;
  }
}
BENCHMARK(yardstick_64_multiplications);

struct Sample {
  Arm arm;
  std::size_t class_index;
  double latency;
  bool good;
};

std::vector<Sample> samples(std::size_t classes) {
  Rng rng(1);
  std::vector<Sample> out;
  for (int i = 0; i < 4096; ++i) {
    out.push_back({rng.uniform() < 0.5 ? Arm::kCanary : Arm::kControl, rng.below(classes),
                   std::exp(0.5 * rng.normal()), rng.uniform() > 0.01});
  }
  return out;
}

void observe_per_sample(benchmark::State& state) {
  Trial trial = *Trial::create({});
  const std::vector<Sample> stream = samples(1);
  for (auto _ : state) {
    for (const Sample& s : stream) trial.observe(s.arm, s.class_index, s.latency, s.good);
    trial.end_block();
  }
  benchmark::DoNotOptimize(trial.judge());
  state.counters["ns_per_sample"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * 4096 * 1e-9,
      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(observe_per_sample);

void judge(benchmark::State& state) {
  const auto classes = static_cast<std::size_t>(state.range(0));
  Trial trial = *Trial::create({.classes = classes});
  const std::vector<Sample> stream = samples(classes);
  for (std::size_t i = 0; i < 2000; ++i) {
    trial.observe(stream[i].arm, stream[i].class_index, stream[i].latency, stream[i].good);
    if (i % 50 == 49) trial.end_block();
  }
  for (auto _ : state) benchmark::DoNotOptimize(trial.judge());
}
BENCHMARK(judge)->Arg(1)->Arg(4);

void drift_per_sample(benchmark::State& state) {
  DriftDetector detector({0, 1});
  const std::vector<Sample> stream = samples(1);
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(detector.observe(stream[i++ & 4095].latency - 1));
}
BENCHMARK(drift_per_sample);

void compare_of_counts(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(compare({3000, 30}, {3000, 35}, 0.005));
}
BENCHMARK(compare_of_counts);

}  // namespace
}  // namespace arqon::stats
