// arqonhpo simulate: the twin with one fixed setting.
#include "arqon/compare/simulate.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>

#include "apps/arqonhpo/interrupt.h"
#include "apps/arqonhpo/progress.h"
#include "apps/arqonhpo/scenario_file.h"
#include "apps/arqonhpo/settings.h"
#include "apps/arqonhpo/totals_text.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/documents/results.h"
#include "arqon/os/file.h"
#include "arqon/report/gantt.h"
#include "arqon/report/words.h"
#include "arqon/sim/model_data.h"

namespace arqon::app {
namespace {

using Clock = std::chrono::steady_clock;

// Runs shorter than this say nothing about their progress.
constexpr double kQuietS = 1;
// Steps drawn at most: a page of 20 MB is of no use to anybody.
constexpr std::size_t kGanttRunsMax = 100'000;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Outcome {
  compare::Simulation run;
  double wall_s = 0;
};

Result<Outcome> run(const documents::Scenario& scenario, compare::SimulateOptions options,
                    const SimulateArgs& args, Console& console) {
  const std::atomic<bool>& interrupted = install_interrupt();
  const auto begin = Clock::now();
  std::optional<Progress> progress;
  options.keep_going = [&](double done) {
    if (!progress && seconds_since(begin) > kQuietS) progress.emplace(console, args.quiet);
    if (progress) progress->update(done, scenario.name);
    return !interrupted;
  };
  auto simulation = compare::simulate(scenario, options);
  if (progress) progress->finish();
  if (!simulation) return tl::unexpected(simulation.error());
  return Outcome{std::move(*simulation), seconds_since(begin)};
}

std::string human(const documents::Scenario& scenario, const Outcome& outcome,
                  const Console& console) {
  const sim::Totals& t = outcome.run.totals;
  const auto arrived = static_cast<double>(t.ledger.arrived);
  std::string text = fmt::format(
      "{}  seed {}, {} simulated\n\n{}\n{}\n"
      "cost                {} per million good tokens ({} for {} good tokens)\n"
      "worst five minutes  {} good\n"
      "throughput          {} output and {} input tokens per second\n"
      "KV cache in use     {} on average, {} at most; {} preemptions\n"
      "tokens per step     {:.2f} per sequence\n"
      "simulated in        {:.2f} s: {} requests per second\n",
      console.bold(scenario.name), scenario.seed, report::duration_text(scenario.duration_s),
      ledger_table(scenario.classes, t), latency_table(t),
      report::dollars(t.dollars_per_million_good_tokens), report::dollars(t.paid_dollars),
      report::short_count(static_cast<double>(t.good_tokens)),
      report::percent(t.worst_5_min_attainment), report::count(t.output_tokens_per_s),
      report::count(t.input_tokens_per_s), report::percent(t.kv_use_mean, 1),
      report::percent(t.kv_use_max, 1), report::count(static_cast<double>(t.preemptions)),
      t.tokens_per_step, outcome.wall_s, report::count(arrived / std::max(outcome.wall_s, 1e-9)));
  if (outcome.run.partial) {
    text += fmt::format("PARTIAL: stopped after {} of {}\n",
                        report::duration_text(outcome.run.simulated_s),
                        report::duration_text(scenario.duration_s));
  }
  return text;
}

// The files are tried first: a run whose rows cannot be kept is not worth its wait.
Status try_files(const SimulateArgs& args, const documents::Scenario& scenario) {
  if (!args.requests.empty()) {
    const Status tried = os::write_file(args.requests, compare::requests_csv(scenario, {}));
    if (!tried) return tried;
  }
  return args.gantt.empty() ? Status{} : os::write_file(args.gantt, "");
}

Status write_files(const SimulateArgs& args, const documents::Scenario& scenario,
                   const compare::SimulateOptions& options, const Outcome& outcome) {
  if (!args.requests.empty()) {
    const Status written =
        os::write_file(args.requests, compare::requests_csv(scenario, outcome.run.requests));
    if (!written) return written;
  }
  if (args.gantt.empty()) return {};
  return os::write_file(args.gantt, report::gantt_html(*options.step_log, scenario));
}

Status simulate(const SimulateArgs& args, Console& console) {
  auto scenario = load_scenario(args.scenario, console);
  if (!scenario) return tl::unexpected(scenario.error());
  if (scenario->live()) {
    return fail(ErrorCode::kUsage,
                fmt::format("target \"{}\" is a live engine: `arqonhpo tune` "
                            "attaches to it; only \"simulated\" can be simulated",
                            scenario->target_engine));
  }
  if (args.seed) scenario->seed = *args.seed;
  compare::SimulateOptions options;
  if (Status set = apply_settings(args.set, *scenario, options.setting); !set) return set;
  if (args.explain) return console.data(documents::to_json(*scenario) + "\n");
  options.record_requests = !args.requests.empty();
  if (!args.gantt.empty()) {
    options.step_log = std::make_shared<sim::StepLog>();
    options.step_log->from = from_seconds(args.gantt_from).count() * 1000;
    options.step_log->to = from_seconds(args.gantt_from + args.gantt_seconds).count() * 1000;
    options.step_log->most = kGanttRunsMax;
  }
  if (Status tried = try_files(args, *scenario); !tried) return tried;
  for (const sim::PoolSpec& pool : scenario->fleet.pools) {
    if (args.quiet || sim::calibrated(pool)) continue;
    console.talk(fmt::format("pool \"{}\": step times of {} on {} were never compared with "
                             "measured ones; `arqonhpo calibrate` can\n",
                             pool.name, pool.model, pool.gpu));
  }
  const auto outcome = run(*scenario, options, args, console);
  if (!outcome) return tl::unexpected(outcome.error());
  if (Status written = write_files(args, *scenario, options, *outcome); !written) return written;
  const Status said =
      args.json ? console.data(documents::to_json(outcome->run.totals, *scenario, build_id(),
                                                  {.pools = outcome->run.pools,
                                                   .wall_s = outcome->wall_s,
                                                   .partial = outcome->run.partial}) +
                               "\n")
                : console.data(human(*scenario, *outcome, console));
  if (!said || !outcome->run.partial) return said;
  return fail(ErrorCode::kInterrupted, "interrupted: the result is partial");
}

}  // namespace

int run_simulate(const SimulateArgs& args, Console& console) {
  const Status done = simulate(args, console);
  return done ? 0 : console.complain(done.error());
}

}  // namespace arqon::app
