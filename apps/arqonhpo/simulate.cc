// arqonhpo simulate: the twin with one fixed setting.
#include <fmt/format.h>

#include <chrono>
#include <memory>

#include "apps/arqonhpo/scenario_file.h"
#include "apps/arqonhpo/settings.h"
#include "apps/arqonhpo/totals_text.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/documents/results.h"
#include "arqon/os/file.h"
#include "arqon/report/words.h"
#include "arqon/sim/twin.h"
#include "arqon/wire/csv.h"
#include "arqon/workload/generate.h"

namespace arqon::app {
namespace {

struct Outcome {
  sim::Totals totals;
  std::vector<sim::RequestRow> requests;
  double wall_s = 0;
};

Result<std::shared_ptr<const workload::Trace>> traffic(const documents::Scenario& scenario) {
  workload::GenerateOptions options;
  options.duration_s = scenario.duration_s;
  options.seed = scenario.seed;
  options.folder = scenario.folder;
  for (const serving::Slo& slo : scenario.classes) options.classes.push_back(slo.name);
  auto trace = workload::generate(scenario.workloads, options);
  if (!trace) return tl::unexpected(trace.error());
  return std::make_shared<const workload::Trace>(std::move(*trace));
}

Result<std::unique_ptr<sim::Twin>> make_twin(const documents::Scenario& scenario, bool record) {
  auto trace = traffic(scenario);
  if (!trace) return tl::unexpected(trace.error());
  sim::TwinOptions options;
  options.fleet = scenario.fleet;
  options.classes = scenario.classes;
  options.quality = scenario.quality;
  options.knobs = scenario.knobs;
  options.trace = *trace;
  options.seed = scenario.seed;
  options.record_requests = record;
  if (!scenario.workloads.empty()) {
    options.draft_ms_base = scenario.workloads.front().acceptance.draft_ms_base;
    options.draft_ms_per_k = scenario.workloads.front().acceptance.draft_ms_per_k;
  }
  return sim::Twin::create(std::move(options));
}

Result<Outcome> run(const documents::Scenario& scenario,
                    const std::vector<std::pair<std::size_t, double>>& changes, bool record) {
  const auto begin = std::chrono::steady_clock::now();
  auto twin = make_twin(scenario, record);
  if (!twin) return tl::unexpected(twin.error());
  Config setting = (*twin)->capabilities().boot;
  for (const auto& [slot, value] : changes) setting[slot] = value;
  if (!changes.empty()) {
    if (auto applied = (*twin)->apply(setting); !applied) return tl::unexpected(applied.error());
  }
  (*twin)->wait_until(time_at(scenario.duration_s));
  (*twin)->drain();
  Outcome outcome{(*twin)->totals(), (*twin)->requests(), 0};
  outcome.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return outcome;
}

std::string requests_csv(const documents::Scenario& scenario,
                         const std::vector<sim::RequestRow>& rows) {
  wire::CsvWriter csv;
  for (const char* column : {"arrival_s", "class", "prompt_tokens", "output_tokens", "ttft_ms",
                             "tpot_ms", "max_gap_ms", "e2e_ms", "broke", "replica"}) {
    csv.field(column);
  }
  csv.end_row();
  for (const sim::RequestRow& r : rows) {
    const bool known = r.request_class < scenario.classes.size();
    csv.field(r.arrival_s).field(known ? scenario.classes[r.request_class].name : std::string());
    csv.field(std::uint64_t{r.prompt_tokens}).field(std::uint64_t{r.output_tokens});
    csv.field(r.ttft_ms).field(r.tpot_ms).field(r.max_gap_ms).field(r.e2e_ms);
    csv.field(serving::to_string(r.broke)).field(static_cast<double>(r.replica));
    csv.end_row();
  }
  return csv.take();
}

std::string human(const documents::Scenario& scenario, const Outcome& outcome,
                  const Console& console) {
  const sim::Totals& t = outcome.totals;
  const auto arrived = static_cast<double>(t.ledger.arrived);
  return fmt::format(
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
  std::vector<std::pair<std::size_t, double>> setting;
  if (Status set = apply_settings(args.set, *scenario, setting); !set) return set;
  if (args.explain) return console.data(documents::to_json(*scenario) + "\n");
  // The file is tried first: a run whose rows cannot be kept is not worth its wait.
  const bool record = !args.requests.empty();
  if (record) {
    if (Status tried = os::write_file(args.requests, requests_csv(*scenario, {})); !tried) {
      return tried;
    }
  }
  const auto outcome = run(*scenario, setting, record);
  if (!outcome) return tl::unexpected(outcome.error());
  if (record) {
    const Status written =
        os::write_file(args.requests, requests_csv(*scenario, outcome->requests));
    if (!written) return written;
  }
  if (!args.json) return console.data(human(*scenario, *outcome, console));
  return console.data(documents::to_json(outcome->totals, *scenario, build_id(), outcome->wall_s) +
                      "\n");
}

}  // namespace

int run_simulate(const SimulateArgs& args, Console& console) {
  const Status done = simulate(args, console);
  return done ? 0 : console.complain(done.error());
}

}  // namespace arqon::app
