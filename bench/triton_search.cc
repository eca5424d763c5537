#include "bench/triton_search.h"

#include <optional>

#include "arqon/solver/finals.h"
#include "arqon/solver/solver.h"

namespace arqon::bench {
namespace {

constexpr double kSpread = 0.3;       // of a window's p99, 95 %: measured with --noise
constexpr double kFinalsShare = 0.24;  // of the changes
constexpr std::size_t kFinalists = 3;

int finals_of(const Search& o) { return static_cast<int>(kFinalsShare * o.changes); }

solver::StudyConfig study(const Search& o) {
  return {.space = triton_space(),
          .seed = o.seed,
          .budget = static_cast<std::uint64_t>(o.changes - finals_of(o)),
          .objective = solver::Objective{.metric = "requests_per_second", .minimize = false},
          .constraints = {{.metric = "p99_ms", .min = {}, .max = o.limit_ms}},
          .probe_ratio = 0.4};
}

Result<solver::Trial> trial_at(const Config& setting, const Measure& measure, const Search& o) {
  const auto seen = measure(setting);
  if (!seen) return tl::unexpected(seen.error());
  solver::Trial trial{.params = setting};
  trial.metrics["requests_per_second"] = {.value = seen->per_second};
  trial.metrics["p99_ms"] = {.value = seen->p99_ms,
                             .lo = seen->p99_ms * (1 - kSpread),
                             .hi = seen->p99_ms * (1 + kSpread)};
  trial.cost = o.cost_s;
  return trial;
}

}  // namespace

Space triton_space() {
  return Space({{.name = "preferred_batch_size", .type = ParamType::kInt, .min = 1, .max = 16},
                {.name = "max_wait_ms", .min = 0, .max = 20, .step = 0.5}});
}

Result<Config> search(const Measure& measure, const Search& options) {
  auto solver = solver::Solver::create(study(options));
  if (!solver) return tl::unexpected(solver.error());
  while (const auto point = solver->ask_one()) {
    const auto trial = trial_at(*point, measure, options);
    if (!trial) return tl::unexpected(trial.error());
    if (const Status told = solver->tell({*trial}); !told) return tl::unexpected(told.error());
  }
  solver::Finals finals(*solver, kFinalists);
  for (int i = 0; i < finals_of(options); ++i) {
    const auto point = finals.next();
    if (!point) break;
    const auto trial = trial_at(*point, measure, options);
    if (!trial) return tl::unexpected(trial.error());
    finals.tell(*trial);
  }
  const auto best = finals.best();
  if (!best) return fail(ErrorCode::kInconclusive, "no setting was allowed");
  return *best;
}

}  // namespace arqon::bench
