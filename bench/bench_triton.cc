// Tunes a real Triton with the online solver and compares the end with an exhaustive grid.
//   bench_triton URL MODEL [--clients N] [--limit-ms MS] [--part-s S] [--repeats N] [--runs N]
//                [--changes N] [--short] [--noise]
// --short: a grid of 12, one run, 10 % instead of 5. --noise: how steady windows are; no tuning.
// URL is the HTTP port; gRPC and metrics are the two above. The model is expected to take a + b *
// batch ms. Exit 0 when enough runs end within 5 % of the grid's best, 1 when not, 2 on errors.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "arqon/adapters/triton/triton.h"
#include "arqon/base/rng.h"
#include "arqon/os/process.h"
#include "bench/triton_load.h"
#include "bench/triton_search.h"

namespace {

using namespace arqon;
using bench::LoadWindow;
using bench::Seen;
using bench::TritonLoad;

struct Options {
  std::string url, model;
  int clients = 14;
  double limit_ms = 60;
  double part_s = 0.4;  // a window is the median of three parts: one hiccup of the machine is out
  double settle_s = 0.3;
  int repeats = 3;
  int runs = 5;
  int changes = 25;
  bool full = true;
  bool noise = false;
  double near = 0.95;
};

constexpr int kParts = 3;

bool set_number(Options& o, const std::string& flag, double value) {
  if (flag == "--clients") {
    o.clients = static_cast<int>(value);
  } else if (flag == "--limit-ms") {
    o.limit_ms = value;
  } else if (flag == "--part-s") {
    o.part_s = value;
  } else if (flag == "--repeats") {
    o.repeats = static_cast<int>(value);
  } else if (flag == "--runs") {
    o.runs = static_cast<int>(value);
  } else if (flag == "--changes") {
    o.changes = static_cast<int>(value);
  } else {
    return false;
  }
  return value > 0;
}

std::optional<Options> parse(int argc, char** argv) {
  if (argc < 3) return std::nullopt;
  Options o{.url = argv[1], .model = argv[2]};
  for (int i = 3; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--noise") {
      o.noise = true;
    } else if (flag == "--short") {
      o.full = false;
      o.repeats = o.runs = 1;
      o.near = 0.9;
    } else if (++i >= argc || !set_number(o, flag, std::atof(argv[i]))) {
      return std::nullopt;
    }
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

  Result<Seen> at(const Config& setting) {
    const auto effective = engine_.apply(setting);
    if (!effective) return tl::unexpected(effective.error());
    load_.wait(o_.settle_s);
    std::vector<double> rates, p99s;
    for (int part = 0; part < kParts; ++part) {
      const LoadWindow window = load_.measure(o_.part_s, o_.limit_ms);
      rates.push_back(window.per_second);
      p99s.push_back(window.p99_ms);
      failed_ += window.failed;
    }
    return Seen{.per_second = median(rates), .p99_ms = median(p99s)};
  }
  std::uint64_t failed() const { return failed_; }

 private:
  const Options& o_;
  serving::Engine& engine_;
  TritonLoad load_;
  std::uint64_t failed_ = 0;
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
  const auto shown = [&](const Config& point) -> Result<Seen> {
    const auto seen = rig.at(point);
    if (seen) {
      fmt::print("   {:>2.0f} {:>4.1f} ms: {:>4.0f}/s p99 {:.0f} ms\n", point[0], point[1],
                 seen->per_second, seen->p99_ms);
      std::fflush(stdout);
    }
    return seen;
  };
  return bench::search(shown, {.changes = o.changes,
                               .limit_ms = o.limit_ms,
                               .seed = seed,
                               .cost_s = kParts * o.part_s});
}

Status noise(Rig& rig, const Options& o) {
  for (const Config& setting : {Config{4, 5}, Config{12, 15}, Config{8, 2}}) {
    fmt::print("  {:.0f} {:.0f} ms, {} parts of {} s:", setting[0], setting[1], kParts, o.part_s);
    for (int i = 0; i < 8; ++i) {
      const auto seen = rig.at(setting);
      if (!seen) return tl::unexpected(seen.error());
      fmt::print(" {:.0f}/{:.0f}", seen->per_second, seen->p99_ms);
      if (const auto other = rig.at({2, 0}); !other) return tl::unexpected(other.error());
    }
    fmt::print("\n");
    std::fflush(stdout);
  }
  return {};
}

// The end of a run and the best cell again, interleaved: the machine may have changed meanwhile.
Result<bool> compare(Rig& rig, const Options& o, int run, const Config& end, const Config& best) {
  std::vector<Cell> two = {{.setting = end, .rates = {}, .p99s = {}},
                           {.setting = best, .rates = {}, .p99s = {}}};
  const auto seed = static_cast<std::uint64_t>(run + 10);
  if (const Status s = sweep(rig, two, std::max(o.repeats, 3), seed); !s) {
    return tl::unexpected(s.error());
  }
  const double ratio = median(two[0].rates) / median(two[1].rates);
  const bool ok = ratio >= o.near && median(two[0].p99s) <= o.limit_ms;
  fmt::print(
      "run {}: ends at {:.0f}, {:.1f} ms: {:.0f}/s p99 {:.0f} ms; best cell now {:.0f}/s p99 "
      "{:.0f} ms: {:+.1f} % {}\n",
      run, end[0], end[1], median(two[0].rates), median(two[0].p99s), median(two[1].rates),
      median(two[1].p99s), 100 * (ratio - 1), ok ? "ok" : "NOT");
  std::fflush(stdout);
  return ok;
}

Result<int> tune_and_compare(Rig& rig, const Options& o) {
  std::vector<Cell> cells = grid(o.full);
  if (const Status s = sweep(rig, cells, o.repeats, 1); !s) return tl::unexpected(s.error());
  fmt::print("grid, medians of {}: requests/s, p99; ! = above {} ms", o.repeats, o.limit_ms);
  print_cells(cells, o.limit_ms);
  const Cell* best = best_of(cells, o.limit_ms);
  if (best == nullptr) return fail(ErrorCode::kInconclusive, "no cell keeps the limit");
  fmt::print("best cell: {} {} ms\n", best->setting[0], best->setting[1]);
  std::fflush(stdout);
  int near = 0;
  for (int r = 1; r <= o.runs; ++r) {
    const auto end = tune(rig, o, static_cast<std::uint64_t>(r));
    if (!end) return tl::unexpected(end.error());
    const auto ok = compare(rig, o, r, *end, best->setting);
    if (!ok) return tl::unexpected(ok.error());
    near += *ok ? 1 : 0;
  }
  fmt::print(
      "{} of {} runs within {:.0f} % of the best of {} cells after {} changes; {} requests "
      "lost\n",
      near, o.runs, 100 * (1 - o.near), cells.size(), o.changes, rig.failed());
  return near * 5 >= o.runs * 4 && rig.failed() == 0 ? 0 : 1;
}

Result<int> run(const Options& o) {
  os::SystemClock clock;
  const wire::Object target{{"engine", "triton"}, {"url", o.url}, {"model", o.model}};
  const adapters::AttachRequest request{
      .target = target,
      .knobs = {{.name = "main.preferred_batch_size", .type = ParamType::kInt, .min = 1, .max = 16},
                {.name = "main.max_wait_ms", .min = 0, .max = 50}},
      .classes = {serving::Slo{.name = "all"}},
      .clock = clock};
  const auto engine = adapters::triton::attach(request);
  if (!engine) return tl::unexpected(engine.error());
  Rig rig(o, **engine);
  if (!o.noise) return tune_and_compare(rig, o);
  if (const Status s = noise(rig, o); !s) return tl::unexpected(s.error());
  return 0;
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
