// The verbs of a person in charge: status, approve, reject, pause, resume, freeze, rollback and
// explain, on the state folder of a tuner that runs, or ran.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/arqonhpo/agent_process.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/os/file.h"
#include "arqon/os/socket.h"
#include "arqon/report/words.h"
#include "arqon/wire/json.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

// A verb waits for two looks of the loop; more than that is an engine that does not answer.
constexpr Duration kPatience = std::chrono::seconds(10);
constexpr std::size_t kRecordBytesMax = 256u << 20;
constexpr wire::JsonLimits kAnswerLimits{.bytes_max = 1u << 20, .depth_max = 16};

bool holds_state(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "lock", error) || fs::exists(folder / "status.json", error);
}

// The folder the user means: as given, else the only one there is.
Result<fs::path> state_folder(const PersonArgs& args) {
  std::error_code error;
  if (!args.state.empty()) {
    if (fs::is_directory(args.state, error)) return args.state;
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: there is no such state folder", args.state.string()));
  }
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(".arqonhpo", error)) {
    if (holds_state(entry.path())) found.push_back(entry.path());
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return fail(ErrorCode::kUnavailable,
                "there is no state in ./.arqonhpo; name its folder with --state DIR");
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (const fs::path& path : found) names.push_back(path.string());
  return fail(ErrorCode::kUsage, fmt::format("there is more than one state; choose with --state: "
                                             "{}",
                                             fmt::join(names, ", ")));
}

std::string text_of(const wire::Value& object, std::string_view key) {
  const wire::Value* value = object.find(key);
  const std::string* text = value == nullptr ? nullptr : value->as_string();
  return text == nullptr ? std::string() : *text;
}

double number_of(const wire::Value& object, std::string_view key) {
  const wire::Value* value = object.find(key);
  return value == nullptr ? 0 : value->number();
}

bool flag_of(const wire::Value& object, std::string_view key) {
  const wire::Value* value = object.find(key);
  const bool* flag = value == nullptr ? nullptr : value->as_bool();
  return flag != nullptr && *flag;
}

std::string settings_text(const wire::Value* object) {
  const wire::Object* members = object == nullptr ? nullptr : object->as_object();
  std::string out;
  for (const wire::Member& member : members == nullptr ? wire::Object{} : *members) {
    out += fmt::format("{}{} = {}", out.empty() ? "" : ", ", member.first,
                       wire::write_json(member.second));
  }
  return out.empty() ? "-" : out;
}

std::string window_text(const wire::Value* w) {
  if (w == nullptr || w->is_null()) return "none yet";
  return fmt::format("{} good of {}, {:.0f} running, {:.0f} waiting, until {}",
                     report::percent(number_of(*w, "good_share")),
                     report::count(number_of(*w, "requests")), number_of(*w, "running"),
                     number_of(*w, "waiting"), report::clock_text(number_of(*w, "t_s")));
}

std::string status_text(const wire::Value& status, bool alive, const Console& console) {
  std::vector<std::string> states;
  if (!alive) states.emplace_back("not running");
  if (flag_of(status, "frozen")) states.emplace_back("frozen");
  if (flag_of(status, "paused")) states.emplace_back("paused");
  const std::string health = text_of(status, "health");
  if (health != "ok") states.push_back("engine " + health);
  std::string out =
      fmt::format("{}  {}, mode {}, {}{}{}\n", console.bold(text_of(status, "scenario")),
                  text_of(status, "engine"), text_of(status, "mode"),
                  report::clock_text(number_of(status, "t_s")), states.empty() ? "" : "; ",
                  fmt::join(states, ", "));
  const auto row = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) out += fmt::format("  {:<12}{}\n", name, value);
  };
  row("phase", text_of(status, "phase"));
  row("in force", settings_text(status.find("in_force")));
  row("confirmed", settings_text(status.find("confirmed")));
  const std::string difference = text_of(status, "difference");
  if (!difference.empty()) {
    row("proposed", fmt::format("{} (decision {:.0f})", difference, number_of(status, "decision")));
    row("why", text_of(status, "why"));
  }
  if (alive && text_of(status, "phase") == "awaiting approval") {
    row("your turn", fmt::format("arqonhpo approve {0:.0f}, or arqonhpo reject {0:.0f}",
                                 number_of(status, "decision")));
  }
  row("holds", text_of(status, "hold"));
  row("last window", window_text(status.find("window")));
  return out;
}

std::string request_of(const PersonArgs& args) {
  wire::Object request{{"verb", args.verb}};
  if (args.decision) request.emplace_back("decision", *args.decision);
  return wire::write_json(std::move(request)) + "\n";
}

ErrorCode code_named(const std::string& name) {
  for (const ErrorCode code :
       {ErrorCode::kUsage, ErrorCode::kRefused, ErrorCode::kConflict, ErrorCode::kUnavailable}) {
    if (to_string(code) == name) return code;
  }
  return ErrorCode::kInternal;
}

Result<int> show(const wire::Value& answer, bool alive, const PersonArgs& args, Console& console) {
  if (args.json) {
    Status written = console.data(wire::write_json(answer, 1) + "\n");
    if (!written) return tl::unexpected(written.error());
  }
  if (const std::string error = text_of(answer, "error"); !error.empty()) {
    return fail(code_named(text_of(answer, "code")), error);
  }
  if (args.json) return 0;
  std::string out = text_of(answer, "did");
  if (!out.empty()) out += "\n";
  const wire::Value* status = answer.find("status");
  if (args.verb == "status" && status != nullptr) out += status_text(*status, alive, console);
  if (Status written = console.data(out); !written) return tl::unexpected(written.error());
  return 0;
}

Result<wire::Value> ask(const fs::path& socket, const std::string& request) {
  auto text = os::ask_unix(socket, request, kPatience, kAnswerLimits.bytes_max);
  if (!text) return tl::unexpected(text.error());
  auto answer = wire::parse_json(*text, kAnswerLimits);
  if (answer && answer->as_object() != nullptr) return std::move(*answer);
  return fail(ErrorCode::kUnavailable,
              fmt::format("{}: whoever listens there is no tuner", socket.string()));
}

Result<int> say(const std::string& did, const PersonArgs& args, Console& console) {
  return show(wire::Object{{"schema", 1}, {"ok", true}, {"alive", false}, {"did", did}},
              /*alive=*/false, args, console);
}

// What can be done when nobody listens: the freeze file, and the status that was last written.
Result<int> without_tuner(const fs::path& folder, const PersonArgs& args, Console& console) {
  std::error_code error;
  if (args.verb == "freeze") {
    Status done = os::write_file(folder / "freeze", "frozen by a person\n");
    if (!done) return tl::unexpected(done.error());
    return say(
        "frozen: no tuner runs here, and the next one will write nothing but reverts until "
        "`resume`",
        args, console);
  }
  if (args.verb == "resume") {
    const bool was = fs::remove(folder / "freeze", error);
    if (error) {
      return fail(
          ErrorCode::kUnavailable,
          fmt::format("cannot remove {}: {}", (folder / "freeze").string(), error.message()));
    }
    return say(was ? "no longer frozen; no tuner runs here"
                   : "nothing was frozen; no tuner runs "
                     "here",
               args, console);
  }
  if (args.verb == "status") {
    auto text = os::read_file(folder / "status.json", kAnswerLimits.bytes_max);
    auto saved = text ? wire::parse_json(*text, kAnswerLimits)
                      : tl::expected<wire::Value, wire::Diagnostic>(wire::Value());
    const wire::Value* status = saved ? saved->find("status") : nullptr;
    if (status != nullptr) {
      wire::Value now = *status;
      for (auto& [key, value] : *now.as_object()) {
        if (key == "frozen") value = fs::exists(folder / "freeze", error);
      }
      return show(wire::Object{{"schema", 1}, {"ok", true}, {"alive", false}, {"status", now}},
                  /*alive=*/false, args, console);
    }
    return say(fmt::format("{}: no tuner runs here, and none has left a status{}", folder.string(),
                           fs::exists(folder / "freeze", error) ? "; frozen" : ""),
               args, console);
  }
  if (args.verb == "rollback" && fs::exists(agent_socket(folder), error)) {
    const auto answer = agent::ask(agent_socket(folder), {{"do", "restore"}}, kPatience);
    if (!answer) return tl::unexpected(answer.error());
    return say("no tuner runs here; the agent has put the confirmed set back", args, console);
  }
  return fail(
      ErrorCode::kUnavailable,
      fmt::format("{}: no tuner runs here, so there is nothing to {}", folder.string(), args.verb));
}

// The records of one decision, or of the newest, in the order they were written.
std::vector<wire::Value> records_of(const std::string& text, std::optional<std::uint64_t> wanted) {
  std::vector<wire::Value> all;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    // The last line of a run that was killed may be cut.
    auto line = wire::parse_json(std::string_view(text).substr(at, end - at), kAnswerLimits);
    if (line && line->find("decision") != nullptr) all.push_back(std::move(*line));
    at = end + 1;
  }
  double number = -1;
  for (const wire::Value& record : all) number = std::max(number, number_of(record, "decision"));
  if (wanted) number = static_cast<double>(*wanted);
  std::erase_if(all, [&](const wire::Value& r) { return number_of(r, "decision") != number; });
  return all;
}

std::string evidence_text(const wire::Value& record) {
  const auto part = [&](const char* share, const char* requests) {
    return fmt::format("{} bad of {} requests", report::percent(number_of(record, share)),
                       report::count(number_of(record, requests)));
  };
  std::string out;
  if (number_of(record, "requests_before") > 0) {
    out += "confirmed setting: " + part("bad_share_before", "requests_before");
  }
  if (number_of(record, "requests_after") > 0) {
    out += (out.empty() ? "" : "; ") + std::string("tried setting: ") +
           part("bad_share_after", "requests_after");
  }
  return out;
}

std::string explained(const std::vector<wire::Value>& records, const Console& console) {
  std::string out =
      console.bold(fmt::format("decision {:.0f}", number_of(records.front(), "decision"))) + "\n";
  for (const wire::Value& r : records) {
    const std::string at = report::clock_text(number_of(r, "t_s"));
    if (text_of(r, "record") == "change") {
      out += fmt::format("  {:>8}  {} {} -> {}: {} ({})\n", at, text_of(r, "address"),
                         report::number(number_of(r, "from")), report::number(number_of(r, "to")),
                         text_of(r, "state"), text_of(r, "lane"));
      continue;
    }
    out += fmt::format("  {:>8}  {}\n", at, console.bold(text_of(r, "action")));
    out += wrapped(text_of(r, "reason"), std::min(console.width(), 100), 12);
    const std::string from = settings_text(r.find("from"));
    const std::string to = settings_text(r.find("to"));
    if (from != to) out += fmt::format("{:12}from {}\n{:12}to   {}\n", "", from, "", to);
    const std::string evidence = evidence_text(r);
    if (!evidence.empty()) out += wrapped(evidence, std::min(console.width(), 100), 12);
  }
  return out;
}

Result<int> explain(const fs::path& folder, const PersonArgs& args, Console& console) {
  auto text = os::read_file(folder / "decisions.jsonl", kRecordBytesMax);
  if (!text) return tl::unexpected(text.error());
  std::vector<wire::Value> records = records_of(*text, args.decision);
  std::stable_sort(records.begin(), records.end(), [](const wire::Value& a, const wire::Value& b) {
    return number_of(a, "t_s") < number_of(b, "t_s");
  });
  if (records.empty() && args.decision) {
    return fail(ErrorCode::kUsage,
                fmt::format("{}: there is no decision {}", folder.string(), *args.decision));
  }
  std::string out;
  if (args.json) {
    out = wire::write_json(wire::Object{{"schema", 1}, {"records", records}}, 1) + "\n";
  } else if (records.empty()) {
    out = "Nothing has been decided yet.\n";  // of a healthy stack, or in its first minutes
  } else {
    out = explained(records, console);
  }
  if (Status written = console.data(out); !written) return tl::unexpected(written.error());
  return 0;
}

Result<int> person(const PersonArgs& args, Console& console) {
  const auto folder = state_folder(args);
  if (!folder) return tl::unexpected(folder.error());
  if (args.verb == "explain") return explain(*folder, args, console);
  // Frozen comes first, whoever listens and however long the answer takes.
  if (args.verb == "freeze") {
    Status done = os::write_file(*folder / "freeze", "frozen by a person\n");
    if (!done) return tl::unexpected(done.error());
  }
  std::error_code error;
  if (!fs::exists(*folder / "control.sock", error)) return without_tuner(*folder, args, console);
  auto answer = ask(*folder / "control.sock", request_of(args));
  // A socket nobody listens on is what a killed tuner leaves behind.
  if (!answer) return without_tuner(*folder, args, console);
  answer->as_object()->emplace_back("alive", true);
  return show(*answer, /*alive=*/true, args, console);
}

}  // namespace

int run_person(const PersonArgs& args, Console& console) {
  const Result<int> done = person(args, console);
  return done ? *done : console.complain(done.error());
}

}  // namespace arqon::app
