// arqonhpo audit: is the record what was written, and what does it say?
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>

#include "apps/arqonhpo/audit_prove.h"
#include "apps/arqonhpo/progress.h"
#include "apps/arqonhpo/state_folder.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/audit/record.h"
#include "arqon/audit/verify.h"
#include "arqon/report/words.h"
#include "arqon/store/index.h"
#include "arqon/wire/csv.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;
using audit::Decoded;
using audit::Verified;

constexpr std::size_t kWitnessBytesMax = 64u << 20;
constexpr std::size_t kNumberWidth = 6;

Result<audit::VerifyOptions> options_of(const AuditArgs& args, os::Disk& disk) {
  audit::VerifyOptions options;
  options.tapes = !args.without_tapes;
  for (const fs::path& file : args.against) {
    const auto text = disk.read(file, kWitnessBytesMax);
    if (!text) return tl::unexpected(text.error());
    auto kept = audit::read_checkpoints(*text);
    if (!kept) return tl::unexpected(kept.error().with_context(file.string()));
    options.against.insert(options.against.end(), kept->begin(), kept->end());
  }
  return options;
}

wire::Value finding_object(const audit::Finding& f) {
  return wire::Object{{"fault", to_string(f.fault)}, {"record", f.seq},  {"file", f.file},
                      {"offset", f.offset},          {"what", f.what}};
}

std::string verified_text(const Verified& v, const fs::path& folder) {
  std::string out = fmt::format("{}: {} records in {} segments, chain {}\n", folder.string(),
                                v.records, v.segments, audit::view(v.chain).substr(0, 16));
  if (v.finding) {
    out += fmt::format("{}: {}\n", v.torn ? "torn" : "NOT what was written", to_text(*v.finding));
    if (v.torn) {
      out += "a crash leaves such an end; what was acknowledged stands before it, and the next run "
             "goes on from there\n";
    }
    return out;
  }
  out += fmt::format("whole: every record follows from the one before, up to {}\n",
                     audit::view(v.head).substr(0, 16));
  if (v.records_witnessed == 0) {
    out += "no checkpoint stands behind it: a missing end could not be told\n";
  } else {
    out += fmt::format("{} checkpoints stand behind the first {} records; signed by {}\n",
                       v.checkpoints, v.records_witnessed, fmt::join(v.keys, ", "));
  }
  return out;
}

Result<int> show_verified(const Verified& v, const fs::path& folder, const AuditArgs& args,
                          Console& console) {
  std::string out = verified_text(v, folder);
  if (args.json) {
    out = wire::write_json(
              wire::Object{{"schema", 1},
                           {"ok", !v.finding.has_value()},
                           {"records", v.records},
                           {"segments", v.segments},
                           {"bytes", v.bytes},
                           {"tape_bytes", v.tape_bytes},
                           {"chain", audit::view(v.chain)},
                           {"head", audit::view(v.head)},
                           {"checkpoints", v.checkpoints},
                           {"records_witnessed", v.records_witnessed},
                           {"keys", wire::Array(v.keys.begin(), v.keys.end())},
                           {"torn", v.torn},
                           {"finding", v.finding ? finding_object(*v.finding) : wire::Value()}},
              1) +
          "\n";
  }
  if (Status written = console.data(out); !written) return tl::unexpected(written.error());
  if (!v.finding) return 0;
  return exit_code(v.torn ? ErrorCode::kInconclusive : ErrorCode::kConflict);
}

Result<int> verify_folder(const fs::path& folder, const AuditArgs& args, Console& console) {
  os::SystemDisk disk;
  auto options = options_of(args, disk);
  if (!options) return tl::unexpected(options.error());
  Progress progress(console, args.quiet);
  options->on_progress = [&](double fraction) { progress.update(fraction, "verifying"); };
  const auto verified = audit::verify(disk, folder, *options);
  progress.finish();
  if (!verified) return tl::unexpected(verified.error());
  return show_verified(*verified, folder, args, console);
}

// Every record of a chain that is whole, in order; what is damaged is not read from.
template <typename OnRecord>
Status each_record(const fs::path& folder, const OnRecord& on_record) {
  os::SystemDisk disk;
  audit::VerifyOptions options;
  options.tapes = false;
  Status decoded;
  options.on_line = [&](std::uint64_t, std::string_view json, std::string_view) {
    const auto record = audit::decode(json);
    if (!record && decoded) decoded = tl::unexpected(record.error());
    if (record) on_record(*record, json);
  };
  const auto verified = audit::verify(disk, folder, options);
  if (!verified) return tl::unexpected(verified.error());
  if (verified->finding && !verified->torn) {
    return fail(ErrorCode::kConflict, fmt::format("{}: not what was written: {}", folder.string(),
                                                  to_text(*verified->finding)));
  }
  return decoded;
}

std::string utc(std::int64_t wall_ns) {
  const std::time_t seconds = wall_ns / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

// Names of the slots, as the run's own record tells.
std::vector<std::string> knobs_of(const audit::Record& begin) {
  std::vector<std::string> names;
  const wire::Value* knobs = begin.note.find("knobs");
  const wire::Array* array = knobs == nullptr ? nullptr : knobs->as_array();
  for (const wire::Value& name : array == nullptr ? wire::Array{} : *array) {
    names.push_back(name.as_string() == nullptr ? "?" : *name.as_string());
  }
  return names;
}

std::string difference(const std::vector<std::string>& names, const Config& from,
                       const Config& to) {
  std::string out;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const bool had = i < from.size();
    if (had && from[i] == to[i]) continue;
    const std::string name = i < names.size() ? names[i] : fmt::format("value {}", i);
    out += fmt::format("{}{} {}{}", out.empty() ? "" : ", ", name,
                       had ? wire::shortest(from[i]) + " -> " : "= ", wire::shortest(to[i]));
  }
  return out;
}

std::string text_in(const wire::Value& note, std::string_view key) {
  const wire::Value* value = note.find(key);
  if (value == nullptr) return "";
  return value->as_string() != nullptr ? *value->as_string() : wire::write_json(*value);
}

// One record in a line or two, as a person reads it.
std::string record_text(const Decoded& d, const std::vector<std::string>& names,
                        const Console& console) {
  const audit::Record& r = d.record;
  std::string what = r.action;
  if (r.action == "decision") {
    what = fmt::format("{} {}: {}", text_in(r.note, "record"), text_in(r.note, "decision"),
                       text_in(r.note, text_in(r.note, "record") == "change" ? "state" : "action"));
  }
  if (r.action == "begin") {
    what = fmt::format("begin: {} on {}", text_in(r.note, "scenario"), text_in(r.note, "engine"));
  }
  if (r.action == "outcome" && text_in(r.note, "ok") == "false") {
    what = "outcome: " + text_in(r.note, "code");
  }
  std::string out = fmt::format("{:>{}}  {}  {:<7} {}", d.stamp.seq, kNumberWidth, utc(r.wall_ns),
                                r.actor, console.bold(what));
  if (r.replica >= 0) out += fmt::format(" (replica {})", r.replica);
  const std::string moved = difference(names, r.before, r.after);
  if (!moved.empty() && r.action != "outcome") out += "  " + moved;
  out += "\n";
  const std::string& reason = r.reason.empty() ? text_in(r.note, "reason") : r.reason;
  if (!reason.empty()) out += wrapped(reason, std::min(console.width(), 100), 10);
  return out;
}

// What moves one knob: asked of the index, which is brought up to date first.
Result<int> show_knob(const fs::path& state, const AuditArgs& args, Console& console) {
  os::SystemDisk disk;
  auto index = store::Index::open(state / "state.db");
  if (!index) return tl::unexpected(index.error());
  if (Status done = index->follow(disk, state / "audit"); !done) {
    return tl::unexpected(done.error());
  }
  const auto begins = index->find({.action = "begin"});
  const auto lines =
      index->find({.action = args.action, .knob = args.knob, .limit = args.last});
  if (!begins) return tl::unexpected(begins.error());
  if (!lines) return tl::unexpected(lines.error());
  std::vector<std::string> names;
  if (const auto begin = begins->empty() ? audit::decode("") : audit::decode(begins->back())) {
    names = knobs_of(begin->record);
  }
  std::string out;
  for (const std::string& line : *lines) {
    const auto record = audit::decode(line);
    if (!record) return tl::unexpected(record.error());
    out += args.json ? line + "\n" : record_text(*record, names, console);
  }
  if (Status written = console.data(out); !written) return tl::unexpected(written.error());
  return 0;
}

Result<int> show(const fs::path& folder, const AuditArgs& args, Console& console) {
  std::vector<std::string> names;
  std::deque<std::pair<std::string, std::string>> kept;  // as text and as JSON
  const Status read = each_record(folder, [&](const Decoded& d, std::string_view json) {
    if (d.record.action == "begin") names = knobs_of(d.record);
    if (!args.action.empty() && d.record.action != args.action) return;
    const auto& wanted = args.records;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), d.stamp.seq) == wanted.end()) {
      return;
    }
    kept.emplace_back(args.json ? "" : record_text(d, names, console), json);
    if (wanted.empty() && kept.size() > args.last) kept.pop_front();
  });
  if (!read) return tl::unexpected(read.error());
  if (kept.empty() && !args.records.empty()) {
    return fail(ErrorCode::kUsage, fmt::format("{}: there is no such record", folder.string()));
  }
  std::string out;
  for (const auto& [text, json] : kept) out += args.json ? json + "\n" : text;
  if (Status written = console.data(out); !written) return tl::unexpected(written.error());
  return 0;
}

Result<int> diff(const fs::path& folder, const AuditArgs& args, Console& console) {
  std::vector<std::string> names;
  std::map<std::uint64_t, Decoded> found;
  const Status read = each_record(folder, [&](const Decoded& d, std::string_view) {
    if (d.record.action == "begin") names = knobs_of(d.record);
    const bool wanted = d.stamp.seq == args.records[0] || d.stamp.seq == args.records[1];
    if (wanted) found.emplace(d.stamp.seq, d);
  });
  if (!read) return tl::unexpected(read.error());
  for (const std::uint64_t seq : args.records) {
    if (found.contains(seq)) continue;
    return fail(ErrorCode::kUsage, fmt::format("{}: there is no record {}", folder.string(), seq));
  }
  const auto setting = [&](std::uint64_t seq) {
    const audit::Record& r = found.at(seq).record;
    return r.after.empty() ? r.before : r.after;
  };
  const Config from = setting(args.records[0]), to = setting(args.records[1]);
  if (from.empty() || to.empty()) {
    return fail(ErrorCode::kUsage,
                fmt::format("record {} holds no setting; those with action intent, outcome or "
                            "confirm do",
                            from.empty() ? args.records[0] : args.records[1]));
  }
  std::string out = difference(names, from, to);
  if (args.json) {
    wire::Array rows;
    for (std::size_t i = 0; i < std::min(from.size(), to.size()); ++i) {
      if (from[i] == to[i]) continue;
      rows.push_back(wire::Object{{"knob", i < names.size() ? names[i] : fmt::format("{}", i)},
                                  {"from", from[i]},
                                  {"to", to[i]}});
    }
    out = wire::write_json(wire::Object{{"schema", 1}, {"differences", std::move(rows)}}, 1);
  }
  if (out.empty()) out = "no difference";
  if (Status written = console.data(out + "\n"); !written) return tl::unexpected(written.error());
  return 0;
}

std::string numbers_text(const Config& setting) {
  std::vector<std::string> out;
  for (const double v : setting) out.push_back(wire::shortest(v));
  return fmt::format("{}", fmt::join(out, " "));
}

std::string csv_row(const Decoded& d) {
  const audit::Record& r = d.record;
  wire::CsvWriter row;
  row.field(d.stamp.seq).field(utc(r.wall_ns) + "Z").field(fmt::format("{}", r.mono_ns));
  row.field(r.actor).field(r.action).field(fmt::format("{}", r.replica));
  row.field(numbers_text(r.before)).field(numbers_text(r.after)).field(r.reason);
  row.field(r.note.is_null() ? std::string() : wire::write_json(r.note)).end_row();
  return row.take();
}

Result<int> export_all(const fs::path& folder, const AuditArgs& args, Console& console) {
  const bool csv = args.format == "csv";
  Status written;
  std::string out = csv ? "seq,wall,mono_ns,actor,action,replica,before,after,reason,note\n" : "";
  // First all of it is checked, then printed: nobody gets half of what is not whole.
  Status read = each_record(folder, [](const Decoded&, std::string_view) {});
  if (!read) return tl::unexpected(read.error());
  read = each_record(folder, [&](const Decoded& d, std::string_view json) {
    const audit::Record& r = d.record;
    if (!args.action.empty() && r.action != args.action) return;
    if (csv) {
      out += csv_row(d);
    } else {
      out.append(json).append(1, '\n');
    }
    if (out.size() < (1u << 20)) return;
    if (written) written = console.data(out);
    out.clear();
  });
  if (read && written) written = console.data(out);
  if (!read) return tl::unexpected(read.error());
  if (!written) return tl::unexpected(written.error());
  return 0;
}

Result<int> obey(const AuditArgs& args, Console& console) {
  if (args.verb == "verify" && !args.proof.empty()) return check_proof(args.proof, console);
  const auto state = find_state(args.state);
  if (!state) return tl::unexpected(state.error());
  const fs::path folder = *state / "audit";
  if (args.verb == "verify") return verify_folder(folder, args, console);
  if (args.verb == "show" && !args.knob.empty()) return show_knob(*state, args, console);
  if (args.verb == "show") return show(folder, args, console);
  if (args.verb == "diff") return diff(folder, args, console);
  if (args.verb == "export") return export_all(folder, args, console);
  return prove(folder, args.records.front(), console);
}

}  // namespace

int run_audit(const AuditArgs& args, Console& console) {
  const Result<int> done = obey(args, console);
  return done ? *done : console.complain(done.error());
}

}  // namespace arqon::app
