// Tunes a real Triton with the online solver and compares the end with an exhaustive grid.
//   bench_triton URL MODEL [--clients N] [--limit-ms MS] [--window-s S] [--repeats N] [--runs N]
//                [--changes N] [--grid full|short] [--quiet]
// URL is the HTTP port; gRPC and metrics are the two above. The model is expected to take a + b *
// batch ms. Exit 0 when enough runs end within 5 % of the grid's best, 1 when not, 2 on errors.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "arqon/adapters/adapter.h"
#include "arqon/base/rng.h"
#include "arqon/os/process.h"
#include "arqon/solver/solver.h"
#include "bench/triton_load.h"

namespace {

using namespace arqon;
using bench::LoadWindow;
using bench::TritonLoad;

struct Options {
  std::string url, model;
  int clients = 12;
  double limit_ms = 35;
  double window_s = 1.5;
  double settle_s = 0.3;
  int repeats = 3;
  int runs = 5;
  int changes = 25;
  bool full = true;
  bool noise = false;
};

constexpr double kNear = 0.95;
constexpr double kShareLate = 0.01;  // p99

std::optional<Options> parse(int argc, char** argv) {
  if (argc < 3) return std::nullopt;
  Options o{.url = argv[1], .model = argv[2]};
  for (int i = 3; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--noise") {
      o.noise = true;
      continue;
    }
    if (++i >= argc) return std::nullopt;
    const std::string value = argv[i];
    if (flag == "--clients")
      o.clients = std::atoi(value.c_str());
    else if (flag == "--limit-ms")
      o.limit_ms = std::atof(value.c_str());
    else if (flag == "--window-s")
      o.window_s = std::atof(value.c_str());
    else if (flag == "--repeats")
      o.repeats = std::atoi(value.c_str());
    else if (flag == "--runs")
      o.runs = std::atoi(value.c_str());
    else if (flag == "--changes")
      o.changes = std::atoi(value.c_str());
    else if (flag == "--grid")
      o.full = value == "full";
    else
      return std::nullopt;
  }
  return o;
}

struct Cell {
  Config setting;
  std::vector<double> rates, p99s;
};

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

std::vector<Cell> grid(bool full) {
  const std::vector<double> sizes =
      full ? std::vector<double>{1, 2, 4, 6, 8, 10, 12, 16} : std::vector<double>{2, 6, 12, 16};
  const std::vector<double> waits =
      full ? std::vector<double>{0, 2, 5, 10, 15, 20} : std::vector<double>{0, 5, 15};
  std::vector<Cell> cells;
  for (const double size : sizes) {
    for (const double wait : waits)
      cells.push_back({.setting = {size, wait}, .rates = {}, .p99s = {}});
  }
  return cells;
}

class Rig {
 public:
  Rig(const Options& options, serving::Engine& engine)
      : o_(options), engine_(engine), load_(options.url, options.model, options.clients) {}

  Result<LoadWindow> at(const Config& setting) {
    const auto effective = engine_.apply(setting);
    if (!effective) return tl::unexpected(effective.error());
    ++changes_;
    load_.wait(o_.settle_s);
    return load_.measure(o_.window_s, o_.limit_ms);
  }
  TritonLoad& load() { return load_; }

 private:
  const Options& o_;
  serving::Engine& engine_;
  TritonLoad load_;
  int changes_ = 0;
};

// Every cell once per repeat, each repeat in an order of its own.
Status sweep(Rig& rig, std::vector<Cell>& cells, int repeats, std::uint64_t seed) {
  Rng rng = Rng(seed).stream("order");
  for (int r = 0; r < repeats; ++r) {
    std::vector<std::size_t> order(cells.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1],
                order[static_cast<std::size_t>(rng.uniform() * static_cast<double>(i))]);
    }
    for (const std::size_t i : order) {
      const auto window = rig.at(cells[i].setting);
      if (!window) return tl::unexpected(window.error());
      cells[i].rates.push_back(window->per_second);
      cells[i].p99s.push_back(window->p99_ms);
    }
  }
  return {};
}

void print_cells(const std::vector<Cell>& cells, double limit_ms) {
  double size = -1;
  for (const Cell& cell : cells) {
    if (cell.setting[0] != size) fmt::print("\n  preferred {:>2.0f}:", cell.setting[0]);
    size = cell.setting[0];
    const double p99 = median(cell.p99s);
    fmt::print("  {:.0f} ms {:>4.0f}/s {:>3.0f} ms{}", cell.setting[1], median(cell.rates), p99,
               p99 > limit_ms ? "!" : " ");
  }
  fmt::print("\n");
}

const Cell* best_of(const std::vector<Cell>& cells, double limit_ms) {
  const Cell* best = nullptr;
  for (const Cell& cell : cells) {
    if (median(cell.p99s) > limit_ms) continue;
    if (best == nullptr || median(cell.rates) > median(best->rates)) best = &cell;
  }
  return best;
}

Result<Config> tune(Rig& rig, const Options& o, std::uint64_t seed) {
  solver::StudyConfig config{
      .space = Space({{.name = "preferred_batch_size",
                       .type = ParamType::kInt,
                       .scale = Scale::kLog,
                       .min = 1,
                       .max = 16},
                      {.name = "max_wait_ms", .min = 0, .max = 20, .step = 0.5}}),
      .seed = seed,
      .budget = static_cast<std::uint64_t>(o.changes),
      .objective = solver::Objective{.metric = "requests_per_second", .minimize = false},
      .constraints = {{.metric = "late", .min = {}, .max = kShareLate}}};
  auto solver = solver::Solver::create(config);
  if (!solver) return tl::unexpected(solver.error());
  while (const auto point = solver->ask_one()) {
    const auto window = rig.at(*point);
    if (!window) return tl::unexpected(window.error());
    solver::Trial trial{.params = *point};
    trial.metrics["requests_per_second"] = {.value = window->per_second};
    trial.metrics["late"] = {
        .value = static_cast<double>(window->over) /
                 static_cast<double>(std::max<std::uint64_t>(1, window->requests)),
        .n = window->requests,
        .over = window->over};
    trial.cost = window->seconds;
    fmt::print("   {:>2.0f} {:>4.1f} ms: {:>4.0f}/s p99 {:.0f} ms late {:.2f} %\n", (*point)[0],
               (*point)[1], window->per_second, window->p99_ms, 100 * trial.metrics["late"].value);
    std::fflush(stdout);
    if (const Status told = solver->seed({trial}); !told) return tl::unexpected(told.error());
  }
  const auto best = solver->best();
  if (!best) return fail(ErrorCode::kInconclusive, "no setting was allowed");
  return best->params;
}

Status noise(Rig& rig, const Options& o) {
  for (const Config& setting : {Config{4, 5}, Config{12, 20}, Config{8, 2}}) {
    std::string text;
    for (int i = 0; i < 8; ++i) {
      const auto window = rig.at(setting);
      if (!window) return tl::unexpected(window.error());
      text += fmt::format(
          " {:.0f}/{:.0f}/{:.2f}%", window->per_second, window->p99_ms,
          100.0 * static_cast<double>(window->over) / static_cast<double>(window->requests));
      const auto other = rig.at({2, 0});
      if (!other) return tl::unexpected(other.error());
    }
    fmt::print("  {:.0f} {:.0f} ms, window {} s:{}\n", setting[0], setting[1], o.window_s, text);
    std::fflush(stdout);
  }
  return {};
}

Result<int> run(const Options& o) {
  os::SystemClock clock;
  serving::Slo slo{.name = "all"};
  adapters::AttachRequest request{
      .target = wire::Object{{"engine", "triton"}, {"url", o.url}, {"model", o.model}},
      .knobs = {{.name = "main.preferred_batch_size", .type = ParamType::kInt, .min = 1, .max = 16},
                {.name = "main.max_wait_ms", .min = 0, .max = 50}},
      .classes = {slo},
      .clock = clock};
  const auto engine = adapters::find("triton")->attach(request);
  if (!engine) return tl::unexpected(engine.error());
  Rig rig(o, **engine);
  if (o.noise) {
    if (const Status s = noise(rig, o); !s) return tl::unexpected(s.error());
    return 0;
  }
  std::vector<Cell> cells = grid(o.full);
  if (const Status s = sweep(rig, cells, o.repeats, 1); !s) return tl::unexpected(s.error());
  fmt::print("grid, medians of {}: requests/s, p99; ! = above {} ms", o.repeats, o.limit_ms);
  print_cells(cells, o.limit_ms);
  const Cell* best = best_of(cells, o.limit_ms);
  if (best == nullptr) return fail(ErrorCode::kInconclusive, "no cell keeps the limit");
  fmt::print("best cell: {} {} ms\n", best->setting[0], best->setting[1]);
  int near = 0;
  for (int r = 0; r < o.runs; ++r) {
    const auto end = tune(rig, o, static_cast<std::uint64_t>(r + 1));
    if (!end) return tl::unexpected(end.error());
    // The end and the best cell again, interleaved: the machine may have changed meanwhile.
    std::vector<Cell> two = {{.setting = *end, .rates = {}, .p99s = {}},
                             {.setting = best->setting, .rates = {}, .p99s = {}}};
    if (const Status s =
            sweep(rig, two, std::max(o.repeats, 3), static_cast<std::uint64_t>(r + 10));
        !s)
      return tl::unexpected(s.error());
    const double ratio = median(two[0].rates) / median(two[1].rates);
    const bool ok = ratio >= kNear && median(two[0].p99s) <= o.limit_ms;
    near += ok ? 1 : 0;
    fmt::print(
        "run {}: ends at {:.0f}, {:.1f} ms: {:.0f}/s p99 {:.0f}; best cell now {:.0f}/s p99 "
        "{:.0f}: {:+.1f} % {}\n",
        r + 1, (*end)[0], (*end)[1], median(two[0].rates), median(two[0].p99s),
        median(two[1].rates), median(two[1].p99s), 100 * (ratio - 1), ok ? "ok" : "NOT");
    std::fflush(stdout);
  }
  fmt::print("{} of {} runs within {:.0f} % of the best of {} cells after {} changes\n", near,
             o.runs, 100 * (1 - kNear), cells.size(), o.changes);
  return near * 5 >= o.runs * 4 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    fmt::print(stderr, "usage: bench_triton URL MODEL [--clients N] ...\n");
    return 2;
  }
  const auto code = run(*options);
  if (!code) {
    fmt::print(stderr, "bench_triton: {}\n", code.error().message);
    return 2;
  }
  return *code;
}
