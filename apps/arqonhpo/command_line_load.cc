#include "apps/arqonhpo/command_line_load.h"

namespace arqon::app {
namespace {

constexpr const char* kDoctorFooter =
    "Examples\n"
    "  arqonhpo doctor                                the engines this program knows\n"
    "  arqonhpo doctor vllm http://127.0.0.1:8000     what of it can be tuned, and how\n"
    "  arqonhpo doctor haproxy unix:/run/haproxy.sock\n"
    "  arqonhpo doctor http://127.0.0.1:8000          asks each engine's adapter in turn\n"
    "  arqonhpo doctor --state .arqonhpo/live         lock, audit, open intents, agent\n"
    "\n"
    "Nothing is written to the engine. A knob is live (moves while it serves), reload (the model "
    "is\n"
    "loaded again behind the same server), restart (a new process), request (travels with each\n"
    "request) or absent, with the reason. Exits with 8 when nobody answers.";

constexpr const char* kLoadFooter =
    "Examples\n"
    "  arqonhpo load steady --url http://127.0.0.1:8000 --seconds 120 --warmup 20 --rate 0.1\n"
    "  arqonhpo load my.json --url http://gpu7:8000 --endpoint chat --api-key-env API_KEY\n"
    "  arqonhpo load my.json --url http://127.0.0.1:8000 --json --requests requests.csv\n"
    "  arqonhpo load --read benchmarks.json my.json --class chat    another client's figures\n"
    "\n"
    "Requests leave when the scenario says, whatever the server does, and every latency counts "
    "from\n"
    "the moment a request was due: a stall is seen by all who were due in it. A refused, broken, "
    "short\n"
    "or empty answer is a failure (row \"rejected\"). The ledger is that of `simulate`, so the "
    "twin and\n"
    "a real engine can be laid side by side. docs/howto/load.md goes through a run.\n"
    "Exit code 5 says that this client was too slow for the schedule, 8 that nobody answered.";

void add_load_request_options(CLI::App& verb, LoadArgs& args) {
  verb.add_option("--endpoint", args.endpoint, "completions (default) or chat")
      ->check(CLI::IsMember({"completions", "chat"}).description(""))
      ->type_name("E");
  verb.add_option("--prompts", args.prompts, "ids (random token ids) or words (chat: words)")
      ->check(CLI::IsMember({"ids", "words"}).description(""))
      ->type_name("P");
  verb.add_option("--token-ids", args.token_ids, "Range of random token ids (default: 100,500)")
      ->delimiter(',')
      ->type_name("A,B");
  verb.add_flag("--stop-early", args.stop_early, "Answers may end before the length asked for");
  verb.add_option("--lengths", args.lengths, "Factor on prompt and answer lengths")
      ->check(CLI::Range(1e-3, 1e3).description(""))
      ->type_name("F");
  verb.add_option("--context", args.context,
                  "Shorten requests to fit (default: what the server says)")
      ->type_name("N");
  verb.add_option("--api-key-file", args.api_key_file, "Sent as bearer token, never printed")
      ->type_name("FILE");
  verb.add_option("--api-key-env", args.api_key_env, "The same from an environment variable")
      ->type_name("NAME");
}

void add_load_schedule_options(CLI::App& verb, LoadArgs& args) {
  const auto seconds = [&](const char* name, double& value, const char* text) {
    verb.add_option(name, value, text)
        ->check(CLI::Range(0.0, 86400.0).description(""))
        ->type_name("S");
  };
  verb.add_option("--rate", args.rate, "Factor on the scenario's rate of requests")
      ->check(CLI::Range(1e-6, 1e6).description(""))
      ->type_name("F");
  seconds("--seconds", args.seconds, "How long to send (default: the scenario's duration)");
  seconds("--warmup", args.warmup, "Send so long before it counts");
  seconds("--drain", args.drain, "Wait at most so long for the last answers (default: 600)");
  seconds("--request-timeout", args.request_timeout, "... for one answer (default: 600)");
  verb.add_option("--streams", args.streams, "At most so many at once (default: 2048)")
      ->check(CLI::Range(1, 100000).description(""))
      ->type_name("N");
  verb.add_option("--seed", args.seed, "Seed of the traffic (default: the scenario's)")
      ->type_name("N");
}

}  // namespace

void add_load(CLI::App& app, LoadArgs& args) {
  CLI::App* verb = app.add_subcommand("load", "Send a scenario's traffic to a real endpoint");
  verb->add_option("SCENARIO", args.scenario, "A file or a shipped name")->type_name("");
  verb->add_option("--url", args.url, "OpenAI-compatible server, e.g. http://127.0.0.1:8000")
      ->type_name("URL");
  verb->add_option("--model", args.model, "Model name (default: the first the server names)")
      ->type_name("M");
  add_load_schedule_options(*verb, args);
  add_load_request_options(*verb, args);
  verb->add_option("--requests", args.requests, "Write one CSV row a request")->type_name("FILE");
  verb->add_option("--out", args.out, "Write result.json and requests.csv there")
      ->type_name("DIR");
  verb->add_option("--read", args.read, "Read a result of vllm bench serve, AIPerf or GuideLLM")
      ->type_name("FILE");
  verb->add_option("--class", args.request_class, "... and judge it by this class of SCENARIO")
      ->type_name("C");
  verb->add_flag("--json", args.json, "The result as JSON on stdout");
  verb->add_flag("-q,--quiet", args.quiet, "No progress");
  verb->footer(kLoadFooter);
}

void add_doctor(CLI::App& app, DoctorArgs& args) {
  CLI::App* verb = app.add_subcommand("doctor", "Look at a running engine: what can be tuned?");
  verb->add_option("--state", args.state, "Look at a state folder instead: is it sound?")
      ->type_name("DIR");
  verb->add_option("ENGINE URL", args.words, "Which engine, and where")
      ->expected(0, 2)
      ->type_name("");
  verb->add_flag("--json", args.json, "The findings as JSON on stdout");
  verb->footer(kDoctorFooter);
}

}  // namespace arqon::app
