#include "apps/arqonhpo/command_line_twin.h"

namespace arqon::app {
namespace {

constexpr const char* kSimulateFooter =
    "Examples\n"
    "  arqonhpo simulate overload --set main.queued_token_limit=60000\n"
    "  arqonhpo simulate steady --json --requests requests.csv\n"
    "  arqonhpo simulate steady --gantt steps.html --gantt-from 600 --gantt-seconds 20\n"
    "  arqonhpo simulate steady --explain            the document with every default filled in\n"
    "\n"
    "Your own fleet: docs/howto/describe-your-deployment.md. Ctrl-C ends a run; what was "
    "simulated\n"
    "until then is printed and says that it is partial (exit code 130).";

constexpr const char* kCalibrateFooter =
    "Examples\n"
    "  arqonhpo calibrate windows.csv --scenario my.json --out my-calibration.json\n"
    "  arqonhpo calibrate history.json --scenario my.json --pool main\n"
    "  arqonhpo calibrate windows.csv --model llama-3.1-8b --gpu h100-sxm-80g\n"
    "  arqonhpo calibrate vllm http://127.0.0.1:8000 --scenario my.json --probe --out c.json\n"
    "\n"
    "FILE is a table of windows (CSV or JSON), an answer of Prometheus' query_range, or scrapes "
    "of\n"
    "/metrics one after the other: docs/howto/calibrate.md shows each. What comes out is a "
    "document\n"
    "that a pool of a scenario names: \"calibration\": \"my-calibration.json\".\n"
    "A live engine is only watched, for --seconds. With --probe, and only while nobody else uses\n"
    "it, it is asked 12 questions first, one at a time, of 1,024 prompt tokens or less.";

constexpr const char* kAdviseFooter =
    "Examples\n"
    "  arqonhpo advise history.json --flags \"vllm serve llama-3.1-8b --max-num-seqs 64\" \\\n"
    "      --gpu h100-sxm-80g --ttft-ms 500 --max-gap-ms 200\n"
    "  arqonhpo advise windows.csv --flags-file serve.sh --gpu a100-sxm-80g --tpot-ms 40\n"
    "\n"
    "Reads what an engine did and the flags it was started with, replays its traffic in the twin\n"
    "under other flags, and prints those that pay, with the gain to expect and its interval. Says\n"
    "so when nothing is to be gained, and when the twin does not fit what was seen (exit code 5).\n"
    "Nothing is installed on the engine, and nothing is written to it. docs/howto/advise.md.";

void limit(CLI::App& verb, const char* name, double& value, const char* text) {
  verb.add_option(name, value, text)->check(CLI::Range(1e-3, 1e8).description(""))->type_name("MS");
}

}  // namespace

void add_simulate(CLI::App& app, SimulateArgs& args) {
  CLI::App* verb = app.add_subcommand("simulate", "Run the simulated fleet with one fixed setting");
  verb->add_option("SCENARIO", args.scenario, "A file or a shipped name")
      ->required()
      ->type_name("");
  verb->add_option("--set", args.set, "e.g. main.batch_size=64; repeat for more")
      ->take_all()
      ->expected(1)
      ->type_name("KNOB=VALUE");
  verb->add_option("--seed", args.seed, "Seed of the traffic (default: the scenario's)")
      ->type_name("N");
  verb->add_flag("--json", args.json, "The result as JSON on stdout");
  verb->add_option("--requests", args.requests, "Write one CSV row a request")->type_name("FILE");
  verb->add_option("--gantt", args.gantt, "Write a page that shows every step of every replica")
      ->type_name("FILE");
  verb->add_option("--gantt-from", args.gantt_from, "... from this second on (default: 0)")
      ->check(CLI::Range(0.0, 1e8).description(""))
      ->type_name("S");
  verb->add_option("--gantt-seconds", args.gantt_seconds, "... for so long (default: 60)")
      ->check(CLI::Range(1e-3, 86400.0).description(""))
      ->type_name("S");
  verb->add_flag("-q,--quiet", args.quiet, "No progress");
  verb->add_flag("--explain", args.explain, "Print the effective document instead of running it");
  verb->footer(kSimulateFooter);
}

void add_calibrate(CLI::App& app, CalibrateArgs& args) {
  CLI::App* verb = app.add_subcommand("calibrate", "Fit the twin to what an engine was seen to do");
  verb->add_option("FILE", args.words, "Windows or a history; or: vllm URL")
      ->required()
      ->type_name("");
  verb->add_option("--scenario", args.scenario, "Whose pool it is")->type_name("SCENARIO");
  verb->add_option("--pool", args.pool, "Its name (default: the first)")->type_name("NAME");
  verb->add_option("--model", args.model, "Without a scenario: the model")->type_name("NAME");
  verb->add_option("--gpu", args.gpu, "Without a scenario: the GPU")->type_name("NAME");
  verb->add_option("--tp", args.tp, "Without a scenario: tensor parallel (default: 1)")
      ->check(CLI::IsMember({1, 2, 4, 8}).description(""))
      ->type_name("N");
  verb->add_option("--dtype", args.dtype, "Without a scenario: bf16 (default) or fp8")
      ->check(CLI::IsMember({"bf16", "fp8"}).description(""))
      ->type_name("D");
  verb->add_option("--engine", args.engine, "Engine and version, for the document")
      ->type_name("TEXT");
  verb->add_option("--window", args.window_s, "Of a history: seconds a window (default: 15)")
      ->check(CLI::Range(1.0, 86400.0).description(""))
      ->type_name("S");
  verb->add_option("--half-life", args.half_life_s,
                   "Weight of a window halves in so long; 0: never (default: 1200)")
      ->check(CLI::Range(0.0, 1e9).description(""))
      ->type_name("S");
  verb->add_option("--seconds", args.seconds, "Live: how long to watch (default: 60)")
      ->check(CLI::Range(1.0, 86400.0).description(""))
      ->type_name("S");
  verb->add_flag("--probe", args.probe, "Live: ask 12 small questions while it is idle");
  verb->add_option("--served-model", args.served_model,
                   "Live: model name for --probe (default: the first the server names)")
      ->type_name("M");
  verb->add_option("--out", args.out, "Write the calibration there (default: stdout)")
      ->type_name("FILE");
  verb->add_flag("--json", args.json, "The calibration as JSON on stdout");
  verb->add_flag("-q,--quiet", args.quiet, "No progress");
  verb->footer(kCalibrateFooter);
}

void add_advise(CLI::App& app, AdviseArgs& args) {
  CLI::App* verb = app.add_subcommand(
      "advise", "Better flags for an engine, from its history, through the twin");
  verb->add_option("FILE", args.files, "A history, or windows")->required()->type_name("");
  verb->add_option("--flags", args.flags, "The command line the engine was started with")
      ->type_name("TEXT");
  verb->add_option("--flags-file", args.flags_file, "... or a file that holds it")
      ->type_name("FILE");
  verb->add_option("--model", args.model, "Model of the twin (default: by the served name)")
      ->type_name("NAME");
  verb->add_option("--gpu", args.gpu, "GPU of the twin")->type_name("NAME");
  verb->add_option("--calibration", args.calibration,
                   "A calibration (default: fitted to the history)")
      ->type_name("FILE");
  limit(*verb, "--ttft-ms", args.ttft_ms, "What users were promised: first token");
  limit(*verb, "--tpot-ms", args.tpot_ms, "... mean time per later token");
  limit(*verb, "--max-gap-ms", args.max_gap_ms, "... longest pause between tokens");
  limit(*verb, "--e2e-ms", args.e2e_ms, "... whole answer");
  verb->add_option("--seed", args.seed, "Seed of the replays (default: 0)")->type_name("N");
  verb->add_flag("--json", args.json, "The advice as JSON on stdout");
  verb->add_flag("-q,--quiet", args.quiet, "No progress");
  verb->footer(kAdviseFooter);
}

}  // namespace arqon::app
