// arqonhpo load: the scenario's traffic on a real endpoint.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <stop_token>

#include "apps/arqonhpo/endpoint.h"
#include "apps/arqonhpo/interrupt.h"
#include "apps/arqonhpo/load_report.h"
#include "apps/arqonhpo/progress.h"
#include "apps/arqonhpo/scenario_file.h"
#include "apps/arqonhpo/totals_text.h"
#include "apps/arqonhpo/url_text.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/os/file.h"
#include "arqon/os/process.h"
#include "arqon/report/words.h"
#include "arqon/workload/generate.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyBytesMax = 64u << 10;
constexpr double kPatienceAfterInterruptS = 10;
// A chat template and the end of a prompt take some tokens that nobody asked for.
constexpr std::uint32_t kTemplateTokens = 32;

// The key from the file or the variable; empty when neither is named.
Result<std::string> api_key(const LoadArgs& args) {
  std::string key;
  if (!args.api_key_file.empty()) {
    auto text = os::read_file(args.api_key_file, kKeyBytesMax);
    if (!text) return tl::unexpected(text.error());
    key = std::move(*text);
  } else if (!args.api_key_env.empty()) {
    const char* value = std::getenv(args.api_key_env.c_str());
    if (value == nullptr) {
      return fail(ErrorCode::kUsage,
                  fmt::format("--api-key-env: there is no variable {}", args.api_key_env));
    }
    key = value;
  }
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
  const bool printable =
      std::all_of(key.begin(), key.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!printable) return fail(ErrorCode::kInvalidConfig, "the API key is not one printable word");
  return key;
}

Status change_rate(std::vector<workload::Spec>& workloads, double factor) {
  for (workload::Spec& spec : workloads) {
    if (auto* generator = std::get_if<workload::GeneratorSource>(&spec.source)) {
      generator->rate_per_s *= factor;
    } else if (auto* trace = std::get_if<workload::TraceSource>(&spec.source)) {
      trace->scale *= factor;
    } else if (factor != 1) {
      return fail(ErrorCode::kUsage, "--rate has no meaning in a closed loop");
    }
  }
  return {};
}

// How many requests had to be made shorter.
std::uint64_t fit(workload::Trace& trace, double lengths, std::uint32_t context_max, bool chat) {
  std::uint64_t shortened = 0;
  const std::uint32_t margin = chat ? kTemplateTokens : 0;
  for (workload::Request& request : trace) {
    const auto scaled = [lengths](std::uint32_t n) {
      return static_cast<std::uint32_t>(std::max(1.0, std::round(n * lengths)));
    };
    request.prompt_tokens = scaled(request.prompt_tokens);
    request.output_tokens = scaled(request.output_tokens);
    if (context_max <= margin + 1) continue;
    const std::uint32_t room = context_max - margin;
    const std::uint64_t wanted = std::uint64_t{request.prompt_tokens} + request.output_tokens;
    if (wanted <= room) continue;
    ++shortened;
    // The answer keeps its length where it can: at most half of the room.
    request.output_tokens = std::min(request.output_tokens, std::max(1U, room / 2));
    request.prompt_tokens = std::min(request.prompt_tokens, room - request.output_tokens);
  }
  return shortened;
}

Result<workload::Trace> traffic(const documents::Scenario& scenario) {
  workload::GenerateOptions options;
  options.duration_s = scenario.duration_s;
  options.seed = scenario.seed;
  options.folder = scenario.folder;
  for (const serving::Slo& slo : scenario.classes) options.classes.push_back(slo.name);
  return workload::generate(scenario.workloads, options);
}

load::Options options_of(const LoadArgs& args, const documents::Scenario& scenario) {
  load::Options options;
  options.url = args.url;
  options.endpoint =
      args.endpoint == "chat" ? load::Endpoint::kChat : load::Endpoint::kCompletions;
  const bool words = args.prompts == "words" || (args.prompts.empty() && args.endpoint == "chat");
  options.prompts = words ? load::Prompts::kWords : load::Prompts::kTokenIds;
  if (args.token_ids.size() == 2) {
    options.token_id_first = args.token_ids[0];
    options.token_id_last = args.token_ids[1];
  }
  options.ignore_eos = !args.stop_early;
  options.classes = scenario.classes;
  options.closed_loop_concurrency = workload::closed_loop_concurrency(scenario.workloads);
  options.warmup_s = args.warmup;
  options.duration_s = scenario.duration_s;
  options.drain_s = args.drain;
  options.request_timeout_s = args.request_timeout;
  options.streams_max = args.streams;
  options.seed = scenario.seed;
  return options;
}

// Every stream is a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Runs with progress; the first Ctrl-C ends the sending and gives the answers a moment.
Result<load::Outcome> run_load_with_progress(const load::Options& options, const LoadArgs& args,
                                             Console& console) {
  const std::atomic<bool>& interrupted = install_interrupt();
  std::stop_source stop, abort;
  double interrupted_at_s = -1e9;
  Progress bar(console, args.quiet);
  load::Hooks hooks;
  hooks.stop = stop.get_token();
  hooks.abort = abort.get_token();
  hooks.progress = [&](const load::Progress& p) {
    if (interrupted && !stop.stop_requested()) {
      stop.request_stop();
      interrupted_at_s = p.at_s;
    }
    if (interrupted && p.at_s > interrupted_at_s + kPatienceAfterInterruptS) abort.request_stop();
    const double whole = options.warmup_s + std::max(p.arrivals_end_s, 1e-3);
    const double share = std::clamp((p.at_s + options.warmup_s) / whole, 0.0, 0.999);
    const char* phase = p.at_s < 0 ? "warm-up" : p.draining ? "draining" : "sending";
    bar.update(share, fmt::format("{}: {} sent, {} ended, {} failed, {} in flight", phase,
                                  p.arrived, p.ended, p.failed, p.in_flight));
  };
  os::SystemClock clock;
  auto outcome = load::run(options, clock, hooks);
  bar.finish();
  return outcome;
}

std::string human(const documents::Scenario& scenario, const load::Outcome& outcome,
                  const LoadContext& context, const Console& console) {
  const serving::Totals& t = outcome.totals;
  return fmt::format(
      "{}  on {}, model {}: seed {}, {} of arrivals\n\n{}\n{}\n"
      "throughput          {} output and {} input tokens per second\n{}",
      console.bold(scenario.name), context.url, context.model, scenario.seed,
      report::duration_text(outcome.arrivals_s), ledger_table(scenario.classes, t),
      latency_table(t), report::count(t.output_tokens_per_s), report::count(t.input_tokens_per_s),
      load_remarks(outcome, context));
}

Status write_files(const LoadArgs& args, const load::Outcome& outcome,
                   const documents::Scenario& scenario, const LoadContext& context) {
  const std::string rows = load_requests_csv(outcome, scenario.classes);
  if (!args.requests.empty()) {
    if (Status written = os::write_file(args.requests, rows); !written) return written;
  }
  if (args.out.empty()) return {};
  std::error_code error;
  fs::create_directories(args.out, error);
  if (error) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: {}", args.out.string(), error.message()));
  }
  if (Status written = os::write_file(args.out / "requests.csv", rows); !written) return written;
  return os::write_file(args.out / "result.json", load_json(outcome, scenario, context));
}

// What the exit code says of a run that was made.
Status verdict(const load::Outcome& outcome) {
  const serving::Ledger& ledger = outcome.totals.ledger;
  const auto connection =
      outcome.failures[static_cast<std::size_t>(load::Failure::kConnection)];
  if (outcome.stopped) return fail(ErrorCode::kInterrupted, "stopped; what was sent is counted");
  if (ledger.arrived > 0 && connection == ledger.arrived) {
    return fail(ErrorCode::kUnavailable, "no request reached the server");
  }
  if (outcome.saturation.client()) {
    return fail(ErrorCode::kInconclusive,
                "this client could not keep the schedule; the figures are not the server's alone");
  }
  return {};
}

Status load_scenario_on_url(const LoadArgs& args, Console& console) {
  auto scenario = load_scenario(args.scenario, console);
  if (!scenario) return tl::unexpected(scenario.error());
  if (!args.token_ids.empty() && args.token_ids.size() != 2) {
    return fail(ErrorCode::kUsage, "--token-ids takes the first and the last, e.g. 100,500");
  }
  if (args.seed) scenario->seed = *args.seed;
  if (args.seconds > 0) scenario->duration_s = args.seconds;
  if (Status changed = change_rate(scenario->workloads, args.rate); !changed) return changed;
  const auto key = api_key(args);
  if (!key) return tl::unexpected(key.error());
  const auto served = look_at(args.url, args.model, *key);
  if (!served) return tl::unexpected(served.error());
  auto trace = traffic(*scenario);
  if (!trace) return tl::unexpected(trace.error());

  LoadContext context;
  context.url = without_credentials(args.url);
  context.model = served->model;
  context.endpoint = args.endpoint;
  context.rate = args.rate;
  context.warmup_s = args.warmup;
  context.context_max = args.context != 0 ? args.context : served->context_max;
  context.shortened = fit(*trace, args.lengths, context.context_max, args.endpoint == "chat");
  load::Options options = options_of(args, *scenario);
  options.model = served->model;
  if (args.token_ids.empty() && served->vocabulary > options.token_id_first) {
    options.token_id_last = std::min(options.token_id_last, served->vocabulary - 1);
  }
  options.api_key = *key;
  options.trace = std::make_shared<const workload::Trace>(std::move(*trace));
  context.concurrency = options.closed_loop_concurrency;
  raise_descriptor_limit();
  const auto outcome = run_load_with_progress(options, args, console);
  if (!outcome) return tl::unexpected(outcome.error());
  if (Status written = write_files(args, *outcome, *scenario, context); !written) return written;
  const Status told = console.data(args.json ? load_json(*outcome, *scenario, context)
                                             : human(*scenario, *outcome, context, console));
  return told ? verdict(*outcome) : told;
}

// --- --read -------------------------------------------------------------------------------------

// Whose limits judge the requests of a file: the scenario's class, or nobody's.
Result<serving::Slo> limits_of_file(const LoadArgs& args, documents::Scenario& scenario,
                                    const Console& console) {
  if (args.scenario.empty()) {
    if (!args.request_class.empty()) {
      return fail(ErrorCode::kUsage, "--class needs the SCENARIO that has the class");
    }
    scenario.name = args.read.filename().string();
    return serving::Slo{.name = "all", .attainment = 1};
  }
  auto loaded = load_scenario(args.scenario, console);
  if (!loaded) return tl::unexpected(loaded.error());
  scenario = std::move(*loaded);
  std::string names;
  for (const serving::Slo& slo : scenario.classes) {
    if (slo.name == args.request_class) return slo;
    names += (names.empty() ? "" : ", ") + slo.name;
  }
  if (args.request_class.empty() && scenario.classes.size() == 1) return scenario.classes.front();
  return fail(ErrorCode::kUsage,
              fmt::format("--class says whose limits judge the file's requests: {}", names));
}

Status write_file_rows(const LoadArgs& args, const load::ForeignRun& run,
                       const serving::Slo& slo) {
  if (args.requests.empty()) return {};
  load::Outcome rows;
  rows.rows = run.rows;
  return os::write_file(args.requests, load_requests_csv(rows, {slo}));
}

Status read_other_client(const LoadArgs& args, Console& console) {
  if (!args.url.empty()) return fail(ErrorCode::kUsage, "--read and --url exclude each other");
  documents::Scenario scenario;
  const auto slo = limits_of_file(args, scenario, console);
  if (!slo) return tl::unexpected(slo.error());
  scenario.classes = {*slo};
  const auto text = os::read_file(args.read, load::kResultBytesMax);
  if (!text) return tl::unexpected(text.error());
  const auto runs = load::read_results(*text, args.read.string(), *slo);
  if (!runs) return tl::unexpected(runs.error());
  if (!args.requests.empty() && runs->size() > 1) {
    return fail(ErrorCode::kUsage,
                fmt::format("--requests writes the rows of one run; this file has {}",
                            runs->size()));
  }
  std::string out;
  wire::Array list;
  for (const load::ForeignRun& run : *runs) {
    if (Status written = write_file_rows(args, run, *slo); !written) return written;
    list.emplace_back(foreign_object(run, scenario));
    out += (out.empty() ? "" : "\n") + foreign_text(run, scenario, console);
  }
  if (!args.json) return console.data(out);
  return console.data(wire::write_json(wire::Object{{"schema", 1},
                                                    {"file", args.read.string()},
                                                    {"runs", std::move(list)}},
                                       2) +
                      "\n");
}

Status load(const LoadArgs& args, Console& console) {
  if (!args.read.empty()) return read_other_client(args, console);
  if (args.scenario.empty()) return fail(ErrorCode::kUsage, "a SCENARIO is needed");
  if (args.url.empty()) {
    return fail(ErrorCode::kUsage, "--url is needed, e.g. --url http://127.0.0.1:8000");
  }
  return load_scenario_on_url(args, console);
}

}  // namespace

int run_load(const LoadArgs& args, Console& console) {
  const Status done = load(args, console);
  return done ? 0 : console.complain(done.error());
}

}  // namespace arqon::app
