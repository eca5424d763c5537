#include "apps/arqonhpo/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "apps/arqonhpo/command_line_audit.h"
#include "apps/arqonhpo/command_line_load.h"
#include "apps/arqonhpo/command_line_twin.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::app {
namespace {

constexpr const char* kPurpose =
    "ArqonHPO tunes LLM serving while it serves: it measures each class of requests against its\n"
    "limits, changes one knob at a time under guardrails, keeps what the evidence confirms and "
    "takes\n"
    "back what it does not. It attaches to a running engine, or simulates a fleet without a GPU.";

constexpr const char* kFooter =
    "Examples\n"
    "  arqonhpo simulate steady                      what a setting does, without tuning\n"
    "  arqonhpo simulate steady --set main.batch_size=64\n"
    "  arqonhpo tune mix-migration                   tune live; writes a report\n"
    "  arqonhpo tune mix-migration --compare         ... beside eight other strategies\n"
    "  arqonhpo validate my-scenario.json            every mistake at once, with its place\n"
    "  arqonhpo load steady --url http://HOST:8000   its traffic on a real server\n"
    "  arqonhpo doctor vllm http://HOST:8000         what of it can be tuned, and how\n"
    "  arqonhpo calibrate windows.csv --scenario my.json      make the twin that engine\n"
    "  arqonhpo advise history.json --flags \"vllm serve ...\" --gpu h100-sxm-80g\n"
    "  arqonhpo tune live.json --mode observe        watch a running engine; change nothing\n"
    "  arqonhpo status                               what it does now; then pause, freeze, "
    "rollback\n"
    "  arqonhpo audit verify                         is the record of it what was written?\n"
    "\n"
    "A SCENARIO is a JSON file, or the name of one that ships with the program.\n"
    "stdout is data, stderr is talk; --json prints one JSON document. NO_COLOR is honoured.\n"
    "\n"
    "Exit codes\n"
    "  0 done   1 internal error   2 wrong command line   3 invalid document   4 refused by the "
    "guard\n"
    "  5 inconclusive   6 rolled back   7 somebody else holds the state   8 a file or an engine "
    "is\n"
    "  unavailable   130 interrupted (what was finished is written)";

constexpr const char* kTuneFooter =
    "Examples\n"
    "  arqonhpo tune mix-migration --compare --seeds 1,2,3,4,5\n"
    "  arqonhpo tune my.json --strategies arqonhpo,random,hindsight --report my.html\n"
    "  arqonhpo tune my.json --json > result.json\n"
    "  arqonhpo tune live.json --mode recommend --seconds 1800\n"
    "\n"
    "With a live engine in \"target\" it attaches, watches, and does what --mode allows: observe\n"
    "(nothing), recommend (says what it would try), approve (asks: arqonhpo approve), auto. From\n"
    "another terminal: arqonhpo status, pause, resume, freeze, rollback, explain. What evidence\n"
    "confirmed stays in force at the end; what is unproven is taken back.\n"
    "\n"
    "Files written\n"
    "  OUT/report.html   what changed, why, what it brought, what hindsight would have done\n"
    "  OUT/result.json, OUT/windows.csv, OUT/changes.csv\n"
    "  STATE/decisions.jsonl, STATE/learned.json     saved whole or not at all\n"
    "Create the file STATE/freeze to stop every change but reverts; remove it to go on. Ctrl-C "
    "ends\n"
    "cleanly: what was finished is written; a second Ctrl-C ends at once.";

constexpr const char* kValidateFooter =
    "A scenario has \"classes\", a study has \"bounds\". Prints every problem as\n"
    "  FILE:LINE:COLUMN: PATH: what is wrong (got VALUE); hint\n"
    "and exits with 3, or says what the guardrails permit and exits with 0.";

// A verb of the person in charge, with what its help teaches.
struct PersonVerb {
  const char* name;
  const char* about;
  const char* decision;  // what its argument is; null = it has none
  const char* footer;
};

constexpr PersonVerb kPersonVerbs[] = {
    {"status", "Show what the tuner does now, or where it ended", nullptr,
     "Setting in force and confirmed, what is tried and why, the last window. Works when no tuner\n"
     "runs: then it shows the last status and says so."},
    {"approve", "Let the tuner try what it proposes (mode approve)",
     "Its number, as status shows it (default: the one that waits)",
     "Exits with 7 when nothing, or something else, awaits approval."},
    {"reject", "Refuse what the tuner proposes (mode approve)",
     "Its number, as status shows it (default: the one that waits)",
     "The tuner goes on and will propose something else. Exits with 7 when nothing waits."},
    {"pause", "Begin nothing new; what is open goes on to its end", nullptr,
     "Undone by resume. A tuner that is started again is not paused; freeze lasts."},
    {"resume", "End a pause or a freeze", nullptr, "Removes the file STATE/freeze."},
    {"freeze", "Write nothing but reverts, from now on", nullptr,
     "Puts the file STATE/freeze there: it also holds for the next tuner when none runs. `touch\n"
     "STATE/freeze` does the same. An experiment that is open is taken back."},
    {"rollback", "Take back what is open, or else what was confirmed last; and pause", nullptr,
     "Ignores rate and step limits. Says what it moved. With no tuner running, the agent beside "
     "the\n"
     "engine puts the confirmed set back."},
    {"explain", "Print a decision with its evidence", "Its number (default: the newest)",
     "From STATE/decisions.jsonl: also after the run, and after a crash."}};

constexpr const char* kAgentFooter =
    "Beside HAProxy, Triton, llama.cpp and other engines with no place of their own for it. tune\n"
    "starts one where the engine needs it; run it yourself to have it at every start of the "
    "engine.\n"
    "It writes for the tuner, and puts the confirmed set back when the tuner's lease lapses or "
    "the\n"
    "engine comes back with other values.\n"
    "\n"
    "Files: STATE/agent.sock, STATE/agent.journal, STATE/confirmed.json. It obeys STATE/freeze.\n"
    "Ctrl-C ends it; the engine keeps what is in force.";

struct Parsed {
  TuneArgs tune;
  SimulateArgs simulate;
  ValidateArgs validate;
  LoadArgs load;
  DoctorArgs doctor;
  PersonArgs person;
  AgentArgs agent;
  CalibrateArgs calibrate;
  AdviseArgs advise;
  AuditArgs audit;
  ReplayArgs replay;
};

void add_tune(CLI::App& app, TuneArgs& args) {
  CLI::App* verb = app.add_subcommand("tune", "Tune a scenario live and report what it brought");
  verb->add_option("SCENARIO", args.scenario, "A file or a shipped name")
      ->required()
      ->type_name("");
  verb->add_flag("--compare", args.compare, "Run every strategy over the same traffic");
  verb->add_option("--strategies", args.strategies, "Only these, e.g. arqonhpo,default,hindsight")
      ->delimiter(',')
      ->type_name("A,B,..");
  verb->add_option("--seeds", args.seeds, "Seeds of the traffic (default: the scenario's)")
      ->delimiter(',')
      ->type_name("1,2,..");
  verb->add_option("--seed", args.seeds, "One seed; repeat for more")
      ->take_all()
      ->expected(1)
      ->type_name("N");
  verb->add_flag("--json", args.json, "The result as JSON on stdout");
  verb->add_option("--out", args.out, "Folder of the results (default: results/NAME)")
      ->type_name("DIR");
  verb->add_option("--report", args.report, "The report (default: OUT/report.html)")
      ->type_name("FILE");
  verb->add_option("--state", args.state, "Folder of the state (default: .arqonhpo/NAME)")
      ->type_name("DIR");
  verb->add_option("--threads", args.threads, "Threads of a search, 1 to 1024 (default: all)")
      ->check(CLI::Range(1, 1024).description(""))
      ->type_name("N");
  verb->add_option("--baselines", args.baselines,
                   "Stored settings of yesterday, hindsight and oracle")
      ->type_name("FILE");
  verb->add_flag("--recompute-baselines", args.recompute_baselines,
                 "Search them again and store them");
  verb->add_flag("-q,--quiet", args.quiet, "No progress");
  verb->add_option("--seconds", args.seconds,
                   "Live: how long (default: duration_s of the scenario)")
      ->check(CLI::Range(1.0, 31 * 86400.0).description(""))
      ->type_name("S");
  verb->add_option("--mode", args.mode, "Live: observe, recommend, approve or auto")
      ->check(CLI::IsMember({"observe", "recommend", "approve", "auto"}).description(""))
      ->type_name("MODE");
  verb->add_option("--repeats", args.repeats, "Live, --compare: times each strategy runs (3)")
      ->check(CLI::Range(1, 100).description(""))
      ->type_name("N");
  verb->add_option("--load-url", args.load_url,
                   "Live, --compare: where its traffic is sent (default: target.url)")
      ->type_name("URL");
  verb->add_option("--audit-witness", args.audit_witness,
                   "Live: a file elsewhere that gets every checkpoint of the audit")
      ->type_name("FILE");
  verb->footer(kTuneFooter);
}

void add_validate(CLI::App& app, ValidateArgs& args) {
  CLI::App* verb = app.add_subcommand("validate", "List every mistake in a scenario or a study");
  verb->add_option("FILE", args.files, "Files or shipped names")->required()->type_name("");
  verb->add_flag("--json", args.json, "Problems as JSON on stdout");
  verb->add_flag("--explain", args.explain, "Print the effective document when it is good");
  verb->add_option("--from", args.from, "A setting (the rest by default): how long is the way")
      ->type_name("JSON");
  verb->add_option("--to", args.to, "... to this one")->type_name("JSON");
  verb->footer(kValidateFooter);
}

void add_person(CLI::App& app, PersonArgs& args) {
  for (const PersonVerb& row : kPersonVerbs) {
    CLI::App* verb = app.add_subcommand(row.name, row.about);
    if (row.decision != nullptr) {
      verb->add_option("DECISION", args.decision, row.decision)->type_name("");
    }
    verb->add_option("--state", args.state, "Folder of the state (default: the one in .arqonhpo)")
        ->type_name("DIR");
    verb->add_flag("--json", args.json, "The answer as JSON on stdout");
    verb->footer(row.footer);
    verb->callback([&args, &row] { args.verb = row.name; });
  }
}

void add_agent(CLI::App& app, AgentArgs& args) {
  CLI::App* verb = app.add_subcommand("agent", "Keep the way back beside a live engine");
  verb->add_option("SCENARIO", args.scenario, "The scenario that tune is given")
      ->required()
      ->type_name("");
  verb->add_option("--state", args.state, "Folder of the state (default: .arqonhpo/NAME)")
      ->type_name("DIR");
  verb->add_flag("--spawned", args.spawned, "End when the tuner that started it is done");
  verb->footer(kAgentFooter);
}

// The verb the user was in, for its options.
const CLI::App& innermost(const CLI::App& app) {
  const auto verbs = app.get_subcommands();
  return verbs.empty() ? app : innermost(*verbs.front());
}

// "arqonhpo audit" for `audit verify`: what stands before the innermost verb's name.
std::string path_to(const CLI::App& app) {
  std::string path = "arqonhpo";
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    if (!at->get_subcommands().empty()) path += " " + at->get_name();
  }
  return path;
}

std::vector<std::string> known_words(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    words.push_back(verb->get_name());
  }
  return words;
}

// "did you mean --compare?" for the first word nobody knows.
std::string hint(const CLI::App& app, const std::vector<std::string>& typed) {
  const CLI::App& verb = innermost(app);
  const std::vector<std::string> known = known_words(verb);
  for (const std::string& word : typed) {
    const std::string name = word.substr(0, word.find('='));
    const bool option = name.rfind("--", 0) == 0;
    if (!option && &verb != &app) continue;
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string near = wire::nearest_name(name, known);
    if (!near.empty()) return fmt::format("Did you mean {}?\n", near);
  }
  return "";
}

Message mistake(const CLI::App& app, const CLI::ParseError& error,
                const std::vector<std::string>& typed) {
  const CLI::App& verb = innermost(app);
  const std::string name = path_to(app) + (&verb == &app ? "" : " " + verb.get_name());
  return {fmt::format("arqonhpo: {}\n{}Try: {} --help\n", error.what(), hint(app, typed), name), 2};
}

Command chosen(const CLI::App& app, const Parsed& parsed) {
  if (app.got_subcommand("tune")) return parsed.tune;
  if (app.got_subcommand("simulate")) return parsed.simulate;
  if (app.got_subcommand("validate")) return parsed.validate;
  if (app.got_subcommand("agent")) return parsed.agent;
  if (app.got_subcommand("load")) return parsed.load;
  if (app.got_subcommand("calibrate")) return parsed.calibrate;
  if (app.got_subcommand("advise")) return parsed.advise;
  if (app.got_subcommand("doctor")) return parsed.doctor;
  if (app.got_subcommand("audit") && !parsed.audit.verb.empty()) return parsed.audit;
  if (app.got_subcommand("replay")) return parsed.replay;
  if (!parsed.person.verb.empty()) return parsed.person;
  const CLI::App& verb = innermost(app);
  return Message{verb.help(&verb == &app ? "" : path_to(app)), 0};
}

}  // namespace

Command parse_command_line(int argc, const char* const* argv) {
  Parsed parsed;
  CLI::App app{kPurpose, "arqonhpo"};
  app.footer(kFooter);
  app.set_version_flag("--version", "arqonhpo " ARQON_VERSION);
  app.require_subcommand(0, 1);
  app.get_formatter()->column_width(32);
  add_tune(app, parsed.tune);
  add_simulate(app, parsed.simulate);
  add_validate(app, parsed.validate);
  add_load(app, parsed.load);
  add_calibrate(app, parsed.calibrate);
  add_advise(app, parsed.advise);
  add_doctor(app, parsed.doctor);
  add_person(app, parsed.person);
  add_agent(app, parsed.agent);
  add_audit(app, parsed.audit);
  add_replay(app, parsed.replay);
  const std::vector<std::string> typed(argv + std::min(argc, 1), argv + argc);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForVersion& version) {
    return Message{fmt::format("{}\n", version.what()), 0};
  } catch (const CLI::CallForHelp&) {
    const CLI::App& verb = innermost(app);
    return Message{verb.help(&verb == &app ? "" : path_to(app)), 0};
  } catch (const CLI::CallForAllHelp&) {
    return Message{app.help("", CLI::AppFormatMode::All), 0};
  } catch (const CLI::ParseError& error) {
    return mistake(app, error, typed);
  }
  return chosen(app, parsed);
}

}  // namespace arqon::app
