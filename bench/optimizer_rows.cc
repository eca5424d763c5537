// Optimisers side by side, ours and, through a pipe, anybody's:
//   optimizer_rows run (functions|limited) STRATEGY FIRST_SEED SEEDS [EVALUATIONS] [ROW]
//   optimizer_rows serve (functions|limited) ROW SEED
// `run` prints one line a run: row, strategy, seed, then for functions the regret of the reported
// setting in units of an ordinary one, for limited rows whether it is truly allowed, its cost over
// the best, the share of evaluations beyond a limit, and ln (p99 / SLA) of it (9 when it crashes).
// `serve` prints the knobs, then answers one line a setting; bench/peers/run_peers.py drives it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/assert.h"
#include "arqon/solver/solver.h"
#include "arqon/testing/function_rows.h"
#include "arqon/testing/limited_rows.h"

namespace {

using arqon::Config;
using arqon::Rng;
using arqon::testing::TuningProblem;

std::vector<std::string> row_names(std::string_view suite) {
  if (suite == "functions") return arqon::testing::function_row_names();
  std::vector<std::string> out;
  for (const auto& row : arqon::testing::kLimitedRows) out.emplace_back(row.name);
  return out;
}

TuningProblem problem(std::string_view suite, const std::string& name, std::uint64_t seed) {
  if (suite == "functions") return arqon::testing::function_row(name, seed);
  for (const auto& row : arqon::testing::kLimitedRows) {
    if (row.name == name) return arqon::testing::limited_row(row, seed);
  }
  std::fprintf(stderr, "no row %s\n", name.c_str());
  std::exit(2);
}

Rng noise_of(std::uint64_t seed) { return Rng(seed).stream("measurement"); }

// What a run is judged by.
std::string verdict(std::string_view suite, const TuningProblem& p,
                    const std::optional<Config>& best, std::size_t broken,
                    std::size_t evaluations) {
  if (suite == "functions") {
    const double loss = best ? p.truth(*best).loss : p.ordinary;
    return fmt::format("{:.6g}", std::max(loss, 0.0) / p.ordinary);
  }
  const auto share = static_cast<double>(broken) / static_cast<double>(evaluations);
  if (!best) return fmt::format("0 9.9 {:.4f} 9", share);
  const auto truth = p.truth(*best);
  return fmt::format("{} {:.4f} {:.4f} {:.3f}", truth.allowed() ? 1 : 0, truth.loss / p.best,
                     share, truth.crashed ? 9.0 : truth.excess);
}

void run_one(std::string_view suite, const std::string& name, const std::string& strategy,
             std::uint64_t seed, std::size_t evaluations) {
  const TuningProblem p = problem(suite, name, seed);
  arqon::solver::StudyConfig study = p.study;
  study.seed = seed;
  study.budget = evaluations;
  study.strategy = strategy;
  auto solver = arqon::solver::Solver::create(study);
  ARQON_ASSERT(solver.has_value());
  Rng noise = noise_of(seed);
  std::size_t broken = 0;
  for (std::size_t n = 0; n < evaluations; ++n) {
    const std::vector<Config> asked = solver->ask(1);
    if (asked.empty()) break;
    broken += p.truth(asked[0]).allowed() ? 0U : 1U;
    if (std::getenv("ARQON_ROWS_TRACE") != nullptr) {
      const auto t = p.truth(asked[0]);
      fmt::print("  {:3} loss {:.5g} excess {:.3f} crashed {}\n", n, t.loss / p.ordinary, t.excess,
                 t.crashed);
    }
    const auto told = solver->tell({p.measure(asked[0], noise)});
    ARQON_ASSERT(told.has_value());
  }
  const auto best = solver->best();
  fmt::print("{} {} {} {}\n", name, strategy, seed,
             verdict(suite, p, best ? std::optional(best->params) : std::nullopt, broken,
                     evaluations));
  std::fflush(stdout);
}

int run(const std::vector<std::string>& args) {
  const std::uint64_t first = std::strtoull(args[3].c_str(), nullptr, 10);
  const std::uint64_t count = std::strtoull(args[4].c_str(), nullptr, 10);
  const std::size_t evaluations =
      args.size() > 5 ? std::strtoull(args[5].c_str(), nullptr, 10) : 100;
  for (const std::string& name : row_names(args[1])) {
    if (args.size() > 6 && args[6] != name) continue;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
      run_one(args[1], name, args[2], seed, evaluations);
    }
  }
  return 0;
}

void print_knobs(const TuningProblem& p) {
  for (const arqon::Parameter& k : p.study.space.parameters()) {
    fmt::print("knob {} {} {} {} {} {} {}\n", k.name, arqon::to_string(k.type),
               arqon::to_string(k.scale), k.min, k.max, k.choices.size(),
               k.default_value ? fmt::format("{}", (*k.default_value)[0]) : "-");
  }
  fmt::print("channel {}\nready\n", p.study.objective          ? "metrics"
                                    : p.study.maximize_value ? "reward"
                                                             : "loss");
  std::fflush(stdout);
}

// Lines "ask v1 v2 ..." and "best v1 v2 ..."; the answer to the first is value, excess of the
// measured p99 (metrics only, else 0) and whether it crashed.
int serve(const std::vector<std::string>& args) {
  const TuningProblem p = problem(args[1], args[2], std::strtoull(args[3].c_str(), nullptr, 10));
  Rng noise = noise_of(std::strtoull(args[3].c_str(), nullptr, 10));
  print_knobs(p);
  std::size_t asked = 0;
  std::size_t broken = 0;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream in(line);
    std::string verb;
    in >> verb;
    Config raw;
    for (double v = 0; in >> v;) raw.push_back(v);
    if (raw.size() != p.study.space.slots()) return 2;
    const Config x = p.study.space.snap(raw);
    if (verb == "best") {
      fmt::print("{}\n", verdict(args[1], p, x, broken, asked));
    } else {
      ++asked;
      broken += p.truth(x).allowed() ? 0U : 1U;
      const auto t = p.measure(x, noise);
      const bool crashed = t.outcome != arqon::solver::Outcome::kOk;
      if (p.study.objective && !crashed) {
        fmt::print("{} {} 0\n", t.metrics.at("cost").value,
                   t.metrics.at("p99_ms").value / 200 - 1);
      } else {
        fmt::print("{} 0 {}\n", t.value.value_or(-1000), crashed ? 1 : 0);
      }
    }
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() >= 5 && args[0] == "run") return run(args);
  if (args.size() == 4 && args[0] == "serve") return serve(args);
  std::fprintf(stderr, "usage: see the head of bench/optimizer_rows.cc\n");
  return 2;
}
