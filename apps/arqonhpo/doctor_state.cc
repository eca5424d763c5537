#include "apps/arqonhpo/doctor_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "apps/arqonhpo/agent_process.h"
#include "arqon/agent/journal.h"
#include "arqon/audit/last_run.h"
#include "arqon/audit/verify.h"
#include "arqon/os/file.h"
#include "arqon/wire/json.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

struct Line {
  std::string what;    // "audit"
  int code = 0;        // exit code it stands for; 0 = as it should be
  std::string found;   // in words
  std::string advice;  // what to do; empty = nothing
};

Line lock_line(const fs::path& state) {
  std::error_code error;
  if (!fs::exists(state / "lock", error)) {
    return {"tuner", 0, "none has run here", ""};
  }
  // Held for a moment: a tuner that starts just now finds it free again.
  const auto lock = os::FileLock::acquire(state / "lock");
  if (lock) return {"tuner", 0, "none runs", ""};
  if (lock.error().code == ErrorCode::kConflict) return {"tuner", 0, "one runs", ""};
  return {"tuner", exit_code(lock.error().code), lock.error().message,
          "give this user the folder"};
}

Line freeze_line(const fs::path& state) {
  std::error_code error;
  if (!fs::exists(state / "freeze", error)) return {"freeze", 0, "not frozen", ""};
  return {"freeze", 0, "frozen: nothing but reverts is written", "arqonhpo resume"};
}

Line audit_line(os::Disk& disk, const fs::path& folder) {
  if (audit::segments_of(disk, folder).empty()) {
    return {"audit", 0, "none yet: the first live run begins one", ""};
  }
  const auto verified = audit::verify(disk, folder, {});
  if (!verified) {
    return {"audit", exit_code(verified.error().code), verified.error().message, ""};
  }
  if (verified->torn) {
    return {"audit", exit_code(ErrorCode::kInconclusive), to_text(*verified->finding),
            "nothing: the next run puts the torn end away and goes on"};
  }
  if (verified->finding) {
    return {"audit", exit_code(ErrorCode::kConflict), to_text(*verified->finding),
            fmt::format("no run starts on it: find out who changed it, then move {} away",
                        folder.string())};
  }
  return {"audit", 0,
          fmt::format("{} records are what was written; checkpoints stand behind {}",
                      verified->records, verified->records_witnessed),
          verified->records_witnessed == 0 ? "name a witness: tune --audit-witness FILE" : ""};
}

std::vector<Line> run_lines(os::Disk& disk, const fs::path& folder) {
  const auto run = audit::last_run(disk, folder);
  if (!run || run->runs == 0) return {};
  std::vector<Line> lines;
  lines.push_back({"last run", 0,
                   fmt::format("{} runs; the last, from record {}, {}", run->runs, run->begin,
                               run->ended ? "ended well" : "is still going on or was cut off"),
                   ""});
  for (const audit::Decoded& intent : run->open_intents) {
    lines.push_back({"intent", 0,
                     fmt::format("record {}: whether the engine took it was never recorded",
                                 intent.stamp.seq),
                     "nothing: the next run records what is in force then"});
  }
  return lines;
}

Line agent_line(const fs::path& state) {
  std::error_code error;
  if (!fs::exists(state / "agent.journal", error)) {
    return {"agent", 0, "none has run here (vLLM needs none)", ""};
  }
  const auto confirmed = os::read_file(state / "confirmed.json", 1u << 20);
  const auto value = confirmed ? wire::parse_json(*confirmed) : wire::parse_json("");
  const auto set = value ? agent::read_confirmed(*value) : std::nullopt;
  if (!set) {
    return {"agent", exit_code(ErrorCode::kInvalidConfig), "confirmed.json cannot be read",
            "the journal's last confirmation stands in for it; see docs/reference/agent.md"};
  }
  const bool answers =
      agent::ask(agent_socket(state), {{"do", "status"}}, std::chrono::seconds(2)).has_value();
  return {"agent", 0,
          fmt::format("{}; confirmed generation {} for {}", answers ? "answers" : "none answers",
                      set->generation, set->identity.engine),
          ""};
}

std::string text_of(const std::vector<Line>& lines, const Console& console) {
  std::string out;
  for (const Line& line : lines) {
    out += fmt::format("{} {:<9} {}\n", line.code == 0 ? "  " : "!!", console.bold(line.what),
                       line.found);
    if (!line.advice.empty()) out += fmt::format("             -> {}\n", line.advice);
  }
  return out;
}

}  // namespace

Result<int> examine_state(const fs::path& state, bool json, Console& console) {
  std::error_code error;
  if (!fs::is_directory(state, error)) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: there is no such state folder", state.string()));
  }
  os::SystemDisk disk;
  std::vector<Line> lines{lock_line(state), freeze_line(state), audit_line(disk, state / "audit")};
  for (Line& line : run_lines(disk, state / "audit")) lines.push_back(std::move(line));
  lines.push_back(agent_line(state));
  int code = 0;
  wire::Array rows;
  for (const Line& line : lines) {
    code = std::max(code, line.code);
    rows.push_back(wire::Object{{"what", line.what},
                                {"ok", line.code == 0},
                                {"found", line.found},
                                {"advice", line.advice}});
  }
  const wire::Value document = wire::Object{{"schema", 1}, {"checks", std::move(rows)}};
  Status written =
      console.data(json ? wire::write_json(document, 1) + "\n" : text_of(lines, console));
  if (!written) return tl::unexpected(written.error());
  return code;
}

}  // namespace arqon::app
