#include "apps/arqonhpo/command_line_audit.h"

namespace arqon::app {
namespace {

constexpr const char* kAuditFooter =
    "Examples\n"
    "  arqonhpo audit verify                         is it what was written?\n"
    "  arqonhpo audit verify --against witness.txt   ... and whole, by checkpoints kept elsewhere\n"
    "  arqonhpo audit show                           the newest records\n"
    "  arqonhpo audit diff 12 40                     what was set otherwise\n"
    "  arqonhpo audit export --format csv > audit.csv\n"
    "  arqonhpo audit prove 12 > proof.json; arqonhpo audit verify --proof proof.json\n"
    "\n"
    "Each record of a run is chained to the one before by a hash, and the chain's head is signed\n"
    "from time to time. A change of one bit, a record more, less or moved is found and named; a\n"
    "missing end only beside checkpoints kept elsewhere: tune --audit-witness FILE.";

constexpr const char* kVerifyFooter =
    "Stops at the first record that does not follow from the one before and says where it is.\n"
    "\n"
    "Exit codes\n"
    "  0 it is what was written   5 a crash has torn its last line; what was acknowledged stands\n"
    "  7 it is not what was written   8 there is none, or it cannot be read";

constexpr const char* kReplayFooter =
    "Plays what a live run was told (STATE/audit/*.tape) to the code of this program, and\n"
    "compares each write, change and decision with the record, byte for byte. The first\n"
    "difference is named. The newest run, or the one whose tape is given.\n"
    "\n"
    "Exit codes\n"
    "  0 the same   3 the tape cannot be read   7 something differs, or the audit is not whole\n"
    "  8 there is no run";

CLI::App* add_verb(CLI::App& audit, AuditArgs& args, const char* name, const char* about) {
  CLI::App* verb = audit.add_subcommand(name, about);
  verb->add_option("--state", args.state, "Folder of the state (default: the one in .arqonhpo)")
      ->type_name("DIR");
  verb->callback([&args, name] { args.verb = name; });
  return verb;
}

void add_json(CLI::App& verb, AuditArgs& args) {
  verb.add_flag("--json", args.json, "The answer as JSON on stdout");
}

void add_action(CLI::App& verb, AuditArgs& args) {
  verb.add_option("--action", args.action, "Only these, e.g. intent, decision, begin")
      ->type_name("ACTION");
}

}  // namespace

void add_audit(CLI::App& app, AuditArgs& args) {
  CLI::App* audit = app.add_subcommand("audit", "Check and read the record of what was done");
  audit->require_subcommand(0, 1);
  audit->footer(kAuditFooter);

  CLI::App* verify = add_verb(*audit, args, "verify", "Is the record what was written?");
  verify->add_option("--against", args.against, "Checkpoints kept elsewhere; repeat for more")
      ->take_all()
      ->expected(1)
      ->type_name("FILE");
  verify->add_option("--proof", args.proof, "Check what `audit prove` printed instead")
      ->type_name("FILE");
  verify->add_flag("--without-tapes", args.without_tapes, "The chain, not the observations");
  verify->add_flag("-q,--quiet", args.quiet, "No progress");
  add_json(*verify, args);
  verify->footer(kVerifyFooter);

  CLI::App* show = add_verb(*audit, args, "show", "Print records");
  show->add_option("RECORD", args.records, "By number (default: the newest)")->type_name("");
  show->add_option("--last", args.last, "How many of the newest (20)")->type_name("N");
  add_action(*show, args);
  show->add_option("--knob", args.knob, "Only what moves it, e.g. main.batch_size")
      ->type_name("KNOB");
  add_json(*show, args);

  CLI::App* diff = add_verb(*audit, args, "diff", "What two records set otherwise");
  diff->add_option("RECORDS", args.records, "Two numbers, as show prints them")
      ->required()
      ->expected(2)
      ->type_name("A B");
  add_json(*diff, args);

  CLI::App* exported = add_verb(*audit, args, "export", "All records on stdout, once verified");
  exported->add_option("--format", args.format, "json (a line a record) or csv")
      ->check(CLI::IsMember({"json", "csv"}).description(""))
      ->type_name("FORMAT");
  add_action(*exported, args);

  CLI::App* prove = add_verb(*audit, args, "prove", "Print what proves one record to others");
  prove->add_option("RECORD", args.records, "Its number")->required()->expected(1)->type_name("");
  prove->footer(
      "The record, the lines that lead from it to the next signed checkpoint, and the checkpoint:\n"
      "who trusts the key that signed it can check the one without the rest of the chain.");
}

void add_replay(CLI::App& app, ReplayArgs& args) {
  CLI::App* verb = app.add_subcommand("replay", "Decide a live run again from what it was told");
  verb->add_option("FILE", args.state, "A state folder or a tape (default: the one in .arqonhpo)")
      ->type_name("");
  verb->add_flag("--json", args.json, "The answer as JSON on stdout");
  verb->footer(kReplayFooter);
}

}  // namespace arqon::app
