// How fast the twin is on one core, and how its cost grows: docs/reference/simulator.md, "Speed".
//   twin_speed [REQUESTS_MAX] [PLOT.svg]
//   twin_speed --once MODE REQUESTS    one run of a mode, or `none`: only its traffic is made
//                                      for tests/e2e/twin_instructions_test.py
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arqon/base/assert.h"
#include "arqon/sim/twin.h"
#include "arqon/workload/generate.h"

namespace arqon::bench {
namespace {

struct Case {
  std::string key, name;
  int replicas = 1;
  double rate_per_s = 10;
  bool step_by_step = false;
  bool sessions = false;  // conversations behind shared system prompts, routed to their cache
};

sim::TwinOptions twin_of(const Case& c, double seconds) {
  sim::TwinOptions options;
  sim::PoolSpec pool{.name = "main", .model = "llama-3.1-8b", .gpu = "h100-sxm-80g"};
  pool.replicas = c.replicas;
  pool.engine.batch_size = 256;
  options.fleet.pools = {pool};
  options.fleet.router.policy = c.sessions ? "prefix_affine" : "least_request";
  options.classes = {{.name = "chat", .ttft_ms = 1000, .tpot_ms = 50}};
  options.step_by_step = c.step_by_step;
  workload::Spec spec;
  spec.source = workload::GeneratorSource{.name = "poisson", .rate_per_s = c.rate_per_s};
  if (c.sessions) spec.sessions = workload::Sessions{.system_prompts = 8, .system_tokens = 1024};
  auto trace = workload::generate({spec}, {.duration_s = seconds, .seed = 7, .classes = {"chat"}});
  ARQON_ASSERT(trace.has_value());
  options.trace = std::make_shared<const workload::Trace>(std::move(*trace));
  return options;
}

struct Run {
  double requests, seconds;
  std::uint64_t steps;
  double hit_rate;
};

// The best of `tries`: other work on the machine only ever adds time.
Run run(const sim::TwinOptions& options, int tries) {
  Run best{0, 1e300, 0, 0};
  for (int i = 0; i < tries; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    auto twin = sim::Twin::create(options);
    ARQON_ASSERT(twin.has_value());
    (*twin)->drain();
    const sim::Totals totals = (*twin)->totals();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (took.count() >= best.seconds) continue;
    best = {static_cast<double>(totals.ledger.arrived), took.count(), totals.steps,
            totals.prefix_hit_rate};
  }
  return best;
}

std::vector<Case> cases() {
  return {{.key = "run", .name = "run-length, 1 replica, 10 requests/s"},
          {.key = "step", .name = "step by step, the same", .step_by_step = true},
          {.key = "fleet",
           .name = "8 replicas, 80 requests/s, prefix caches and affine routing",
           .replicas = 8,
           .rate_per_s = 80,
           .sessions = true}};
}

// Prints steps, so that nothing can be left out.
int once(const std::string& mode, double requests) {
  for (const Case& c : cases()) {
    if (c.key != mode && mode != "none") continue;
    const sim::TwinOptions options = twin_of(c, requests / c.rate_per_s);
    if (mode == "none") {
      fmt::print("{} requests\n", options.trace->size());
    } else {
      const Run r = run(options, 1);
      fmt::print("{:.0f} requests, {} steps\n", r.requests, r.steps);
    }
    return 0;
  }
  fmt::print(stderr, "no mode {}\n", mode);
  return 2;
}

void print_modes() {
  for (const Case& c : cases()) {
    const Run r = run(twin_of(c, 20000 / c.rate_per_s * 5), 5);
    fmt::print("{:<60} {:9.0f} requests/s  ({:.0f} requests, {} steps, hit rate {:.2f})\n", c.name,
               r.requests / r.seconds, r.requests, r.steps, r.hit_rate);
  }
  const Run look = run(twin_of({}, 60), 50);
  fmt::print("60 s ahead at 10 requests/s: {:.2f} ms ({:.0f} requests)\n", look.seconds * 1e3,
             look.requests);
}

// Points (requests, seconds) on two logarithmic axes and a line of constant cost.
void write_plot(const char* file, const std::vector<Run>& runs) {
  std::FILE* out = std::fopen(file, "w");
  if (out == nullptr) return;
  const auto x = [](double n) { return 60 + 90 * (std::log10(n) - 3); };
  const auto y = [](double s) { return 260 - 45 * (std::log10(s) + 3); };
  fmt::print(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 460 300\" "
                  "font-family=\"sans-serif\" font-size=\"11\">\n"
                  "<rect width=\"460\" height=\"300\" fill=\"white\"/>\n");
  for (int e = 3; e <= 7; ++e) {
    fmt::print(out, "<text x=\"{:.0f}\" y=\"285\" text-anchor=\"middle\">10^{}</text>\n",
               x(std::pow(10, e)), e);
  }
  for (int e = -3; e <= 2; ++e) {
    const double at = y(std::pow(10, e));
    fmt::print(out, "<line x1=\"60\" x2=\"440\" y1=\"{0:.0f}\" y2=\"{0:.0f}\" stroke=\"#ddd\"/>"
                    "<text x=\"52\" y=\"{1:.0f}\" text-anchor=\"end\">{2:g} s</text>\n",
               at, at + 4, std::pow(10, e));
  }
  const double each = runs.back().seconds / runs.back().requests;
  fmt::print(out, "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#999\" "
                  "stroke-dasharray=\"4 3\"/>\n",
             x(1e3), y(1e3 * each), x(1e7), y(1e7 * each));
  for (const Run& r : runs) {
    fmt::print(out, "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"#1f6feb\"/>\n",
               x(r.requests), y(r.seconds));
  }
  fmt::print(out, "<text x=\"250\" y=\"298\" text-anchor=\"middle\">requests</text>\n</svg>\n");
  std::fclose(out);
}

}  // namespace
}  // namespace arqon::bench

int main(int argc, char** argv) {
  using namespace arqon::bench;
  if (argc > 3 && std::string(argv[1]) == "--once") {
    return once(argv[2], std::strtod(argv[3], nullptr));
  }
  const double most = argc > 1 ? std::strtod(argv[1], nullptr) : 1e6;
  print_modes();
  std::vector<Run> runs;
  for (double n = 1e3; n <= most * 1.01; n *= 10) {
    runs.push_back(run(twin_of({}, n / 10), n < 1e6 ? 3 : 1));
    const Run& r = runs.back();
    fmt::print("{:9.0f} requests: {:8.3f} s, {:.2f} us a request, {:.1f} steps a request\n",
               r.requests, r.seconds, r.seconds / r.requests * 1e6,
               static_cast<double>(r.steps) / r.requests);
  }
  if (argc > 2) write_plot(argv[2], runs);
  return 0;
}
