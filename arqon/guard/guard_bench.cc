// What the guard costs whoever proposes, and the cell whoever serves. Targets for 16 knobs: check
// 50 ns, publish 10, guard and apply 80, read 6 (a writer every 0.1 ms, two readers), generation
// check 1; read beside the yardstick of 64 dependent multiplications:
//   guard_bench --benchmark_repetitions=10 --benchmark_report_aggregates_only=true
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <optional>
#include <thread>
#include <vector>

#include "arqon/guard/safety_executor.h"

namespace arqon::guard {
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

enum class Lattice { kPlain, kWhole };

// A mix as a serving stack has it: integers with and without steps, continuous ones.
struct Setup {
  explicit Setup(std::size_t knobs, Lattice lattice = Lattice::kPlain) {
    std::vector<Parameter> parameters;
    Guardrails guardrails{
        .limits = {}, .max_updates_per_second = 1e9, .reflex_updates_per_second = 1e9};
    for (std::size_t i = 0; i < knobs; ++i) {
      Parameter p{.name = "k", .min = 0, .max = 4096};
      if (i % 4 != 3) p.type = ParamType::kInt;
      if (i % 4 == 1) p.step = 64;
      parameters.push_back(p);
      Limits limits{.min = 0, .max = 4096, .max_delta = 1024};
      if (lattice == Lattice::kWhole) limits.travel = 1e12, limits.flips = 1000;
      if (lattice == Lattice::kWhole) limits.dwell_s = 1e-7;
      guardrails.limits.push_back(limits);
    }
    if (lattice == Lattice::kWhole) {
      guardrails.window_s = 1e-3;
      guardrails.cool_down_s = 1;
      guardrails.constraints = {{.terms = {{1, 0, Constraint::kOne}, {1, 1, Constraint::kOne}},
                                 .limit = 8192,
                                 .text = "two knobs"}};
    }
    executor.emplace(*SafetyExecutor::create(Space(parameters), guardrails));
    // Up by one step of 64 at a time and down again.
    for (std::size_t i = 0; i < settings.size(); ++i) {
      const std::size_t rung = i < 48 ? i : 96 - i;
      settings[i].assign(knobs, 512 + 64 * static_cast<double>(rung));
    }
    executor->set_baseline(settings[0], time_at(0));
  }
  const std::vector<double>& next() { return settings[++at < settings.size() ? at : at = 0]; }

  std::optional<SafetyExecutor> executor;
  std::array<std::vector<double>, 96> settings;
  std::size_t at = 0;
};

void check(benchmark::State& state) {
  Setup setup(static_cast<std::size_t>(state.range(0)), static_cast<Lattice>(state.range(1)));
  const Proposal proposal{setup.settings[1], Lane::kExperiment, time_at(1), true, Owner::kAnyone};
  std::uint64_t refused = 0;
  for (auto _ : state) {
    const Violation v = setup.executor->check(proposal);
    refused += v.kind == ViolationKind::kNone ? 0U : 1U;
    benchmark::DoNotOptimize(v);
  }
  if (refused != 0) state.SkipWithError("refused");
}
BENCHMARK(check)->ArgNames({"knobs", "whole"})->Args({16, 0})->Args({16, 1})->Args({64, 1});

void publish(benchmark::State& state) {
  ConfigCell cell(16);
  std::array<double, 16> values{};
  std::int64_t ns = 0;
  for (auto _ : state) benchmark::DoNotOptimize(cell.publish(values, TimePoint(Duration(++ns))));
}
BENCHMARK(publish);

void guard_and_apply(benchmark::State& state) {
  Setup setup(static_cast<std::size_t>(state.range(0)), static_cast<Lattice>(state.range(1)));
  std::int64_t ns = 0;
  std::uint64_t applied = 0;
  for (auto _ : state) {
    ns += 1000;
    const Verdict v =
        setup.executor->propose(setup.next(), Lane::kExperiment, TimePoint(Duration(ns)), true);
    applied += v.permitted ? 1U : 0U;
    benchmark::DoNotOptimize(v);
  }
  if (applied != static_cast<std::uint64_t>(state.iterations())) state.SkipWithError("refused");
}
BENCHMARK(guard_and_apply)
    ->ArgNames({"knobs", "whole"})
    ->Args({4, 0})
    ->Args({16, 0})
    ->Args({16, 1})
    ->Args({64, 1});

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

// A writer every 0.1 ms while readers read. Pacing is not part of what is measured.
class Writer {
 public:
  explicit Writer(ConfigCell& cell) : thread_([this, &cell] { run(cell); }) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    stop_ = true;
    thread_.join();
  }

 private:
  void run(ConfigCell& cell) {
    std::array<double, 16> values{};
    while (!stop_) {
      values.fill(values[0] + 1);
      cell.publish(values, TimePoint(Duration(static_cast<std::int64_t>(values[0]))));
      // Wakes some 50 us late.
      std::this_thread::sleep_for(std::chrono::microseconds(50));  // tidy: allow sleep, its pace
    }
  }
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

ConfigCell& shared_cell() {
  static ConfigCell cell(16);
  return cell;
}

void read_beside_a_writer(benchmark::State& state) {
  std::optional<Writer> writer;
  if (state.thread_index() == 0) writer.emplace(shared_cell());
  Snapshot snapshot;
  for (auto _ : state) {
    shared_cell().read(snapshot);
    benchmark::DoNotOptimize(snapshot);
  }
}
BENCHMARK(read_beside_a_writer)->Threads(1)->Threads(2);

void generation_check_beside_a_writer(benchmark::State& state) {
  std::optional<Writer> writer;
  if (state.thread_index() == 0) writer.emplace(shared_cell());
  ConfigReader reader(shared_cell());
  for (auto _ : state) benchmark::DoNotOptimize(&reader.current());
}
BENCHMARK(generation_check_beside_a_writer)->Threads(1)->Threads(2);

}  // namespace
}  // namespace arqon::guard
