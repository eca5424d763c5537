// ask_one + tell on a serving study with a cliff, after 1,000 and 10,000 results.
#include <benchmark/benchmark.h>

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <vector>

#include "arqon/base/rng.h"
#include "arqon/solver/solver.h"

namespace arqon::solver {
namespace {

Space space_of(std::size_t knobs) {
  std::vector<Parameter> parameters = {
      {.name = "batch_size", .scale = Scale::kLog, .min = 1, .max = 64},
      {.name = "max_wait_ms", .min = 10, .max = 500}};
  for (std::size_t i = 2; i < knobs; ++i) parameters.push_back({.name = "x" + std::to_string(i)});
  return Space(parameters);
}

Trial measure(const Config& x, Rng& rng) {
  double p99 = 40 + 3 * x[0] + 0.4 * x[1];
  double cost = 9 / x[0] + 10 / x[1];
  for (std::size_t i = 2; i < x.size(); ++i) {
    p99 += 20 * x[i];
    cost += (x[i] - 0.4) * (x[i] - 0.4);
  }
  p99 *= 1 + 0.04 * rng.normal();
  const double limit = 200 + 10 * static_cast<double>(x.size());
  return {.params = x, .value = p99 > limit ? -1000 : -cost};
}

// Resident set in kB, from the kernel's own count.
double resident_kb() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double resident = 0;
  statm >> total >> resident;
  return resident * 4;
}

double percentile(std::vector<double>& sorted, double p) {
  const auto rank = static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1));
  return sorted[rank];
}

// CPU time of this thread: a shared machine preempts for longer than a decision takes.
double cpu_us() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
}

// Arguments: results told before, knobs.
void AskTell(benchmark::State& state) {
  const auto before = static_cast<std::size_t>(state.range(0));
  const double resident_before = resident_kb();
  StudyConfig config{.space = space_of(static_cast<std::size_t>(state.range(1))), .seed = 1};
  Solver solver = *Solver::create(config);
  Rng rng(2);
  // The loop's own points for the first hundreds, brought ones for the rest: what a long run holds.
  std::vector<Trial> brought;
  for (std::size_t i = 0; i < before; ++i) {
    if (i < 400) {
      (void)solver.tell({measure(*solver.ask_one(), rng)});
      continue;
    }
    brought.push_back(solver.history()[i % 400]);
    brought.back().params[1] = 10 + 490 * rng.uniform();
    brought.back() = measure(brought.back().params, rng);
  }
  (void)solver.tell(std::move(brought));
  std::vector<double> wall;
  std::vector<double> cpu;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    const double cpu_begin = cpu_us();
    const auto point = solver.ask_one();
    (void)solver.tell({measure(*point, rng)});
    cpu.push_back(cpu_us() - cpu_begin);
    const std::chrono::duration<double, std::micro> took =
        std::chrono::steady_clock::now() - begin;
    wall.push_back(took.count());
  }
  std::sort(wall.begin(), wall.end());
  std::sort(cpu.begin(), cpu.end());
  state.counters["p50_us"] = percentile(wall, 0.5);
  state.counters["p99_us"] = percentile(wall, 0.99);
  state.counters["cpu_p50_us"] = percentile(cpu, 0.5);
  state.counters["cpu_p99_us"] = percentile(cpu, 0.99);
  state.counters["resident_kb"] = resident_kb() - resident_before;
  state.counters["results"] = static_cast<double>(solver.history().size());
}
BENCHMARK(AskTell)
    ->ArgNames({"results", "knobs"})
    ->Args({1000, 2})
    ->Args({10000, 2})
    ->Args({1000, 8})
    ->Args({10000, 8})
    ->Iterations(1000)
    ->Unit(benchmark::kMicrosecond);

// ask(1) + tell of a smooth study without limits. Arguments: results told before, knobs.
void BatchAskTell(benchmark::State& state) {
  const auto knobs = static_cast<std::size_t>(state.range(1));
  StudyConfig config{.space = space_of(knobs), .seed = 1, .budget = 100000};
  Solver solver = *Solver::create(config);
  Rng rng(2);
  const auto smooth = [&](const Config& x) {
    Trial trial = measure(x, rng);
    trial.value = -9 / x[0] - 10 / x[1] - std::pow(x[0] / 20 - x.back(), 2);
    return trial;
  };
  while (solver.history().size() < static_cast<std::size_t>(state.range(0))) {
    (void)solver.tell({smooth(solver.ask(1).at(0))});
  }
  std::vector<double> cpu;
  for (auto _ : state) {
    const double begin = cpu_us();
    const Trial trial = smooth(solver.ask(1).at(0));
    (void)solver.tell({trial});
    cpu.push_back(cpu_us() - begin);
  }
  std::sort(cpu.begin(), cpu.end());
  state.counters["cpu_p50_us"] = percentile(cpu, 0.5);
  state.counters["cpu_p99_us"] = percentile(cpu, 0.99);
}
BENCHMARK(BatchAskTell)
    ->ArgNames({"results", "knobs"})
    ->Args({100, 5})
    ->Args({1000, 5})
    ->Iterations(40)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace arqon::solver
