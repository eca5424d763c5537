#include "apps/arqonhpo/state_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/os/file.h"
#include "arqon/sim/twin.h"
#include "arqon/wire/json.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

// The setting in force at the end that evidence had confirmed.
Config confirmed_setting(const control::RunRecord& record) {
  Config setting;
  for (const control::WindowRecord& w : record.windows) {
    if (w.state == "confirmed" || setting.empty()) setting = w.values;
  }
  return setting;
}

wire::Object values_object(const Config& setting, const Space& knobs) {
  wire::Object values;
  for (std::size_t k = 0; k < knobs.size(); ++k) {
    if (setting.size() != knobs.slots()) break;
    wire::Array slots;
    for (std::size_t s = 0; s < knobs[k].slots(); ++s) {
      slots.emplace_back(setting[knobs.offset(k) + s]);
    }
    values.emplace_back(knobs[k].name, slots.size() == 1 ? slots.front() : wire::Value(slots));
  }
  return values;
}

wire::Value learned(const documents::StrategyRun& run, const Space& knobs) {
  const double end = run.record.windows.empty() ? 0 : run.record.windows.back().t_s;
  return wire::Object{{"seed", run.seed},
                      {"confirmed", values_object(confirmed_setting(run.record), knobs)},
                      {"t_s", end},
                      {"windows", run.record.windows.size()},
                      {"decisions", run.record.decisions.size()}};
}

// One object per change and per decision of a run, each with the run's seed.
std::vector<wire::Value> decision_objects(const control::RunRecord& run, std::uint64_t seed) {
  const std::string text = documents::decisions_json(run);
  const auto root = wire::parse_json(text, {.bytes_max = text.size()});
  ARQON_ASSERT(root.has_value());
  std::vector<wire::Value> objects;
  for (const auto& [key, kind] : {std::pair{"changes", "change"}, {"decisions", "decision"}}) {
    const wire::Value* list = root->find(key);
    const wire::Array* records = list == nullptr ? nullptr : list->as_array();
    for (const wire::Value& record : records == nullptr ? wire::Array() : *records) {
      wire::Object line{{"record", kind}, {"seed", seed}};
      if (const wire::Object* members = record.as_object()) {
        line.insert(line.end(), members->begin(), members->end());
      }
      objects.emplace_back(std::move(line));
    }
  }
  return objects;
}

std::string lines_of(const std::vector<wire::Value>& objects) {
  std::string lines;
  for (const wire::Value& object : objects) lines += wire::write_json(object) + "\n";
  return lines;
}

bool holds_state(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / "lock", error) || fs::exists(folder / "status.json", error);
}

}  // namespace

Result<fs::path> find_state(const fs::path& given) {
  std::error_code error;
  if (!given.empty()) {
    if (fs::is_directory(given, error)) return given;
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: there is no such state folder", given.string()));
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

Status prepare_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder)) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot make this folder: {}", folder.string(),
                            error ? error.message() : "something else has its name"));
  }
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot write into this folder", folder.string()));
  }
  return {};
}

Result<StateFolder> StateFolder::open(const fs::path& folder) {
  if (Status ready = prepare_folder(folder); !ready) return tl::unexpected(ready.error());
  auto lock = os::FileLock::acquire(folder / "lock");
  if (!lock) return tl::unexpected(lock.error().with_context(folder.string()));
  return StateFolder(folder, std::move(*lock));
}

bool StateFolder::frozen() const {
  std::error_code error;
  return fs::exists(folder_ / "freeze", error);
}

Status StateFolder::save(const documents::TuneResult& result,
                         const documents::Scenario& scenario) const {
  std::string decisions;
  wire::Array runs;
  for (const documents::StrategyRun& run : result.runs) {
    if (run.strategy != "arqonhpo") continue;
    decisions += lines_of(decision_objects(run.record, run.seed));
    runs.push_back(learned(run, scenario.knobs));
  }
  const wire::Value document = wire::Object{{"schema", 1},
                                            {"scenario", scenario.name},
                                            {"scenario_hash", documents::scenario_hash(scenario)},
                                            {"twin_semantics", sim::kTwinSemantics},
                                            {"runs", std::move(runs)}};
  if (Status done = os::write_file(folder_ / "decisions.jsonl", decisions); !done) {
    return done;
  }
  return os::write_file(folder_ / "learned.json", wire::write_json(document, 2) + "\n");
}

std::vector<std::string> slot_names(const Space& knobs) {
  std::vector<std::string> slots;
  for (const Parameter& p : knobs.parameters()) {
    if (p.type != ParamType::kSimplex) slots.push_back(p.name);
    for (std::size_t i = 0; p.type == ParamType::kSimplex && i < p.slots(); ++i) {
      slots.push_back(fmt::format("{}/{}", p.name, p.choices[i]));
    }
  }
  return slots;
}

std::vector<wire::Value> DecisionFeed::take(const control::RunRecord& record) {
  if (record.changes.size() == changes_ && record.decisions.size() == decisions_) return {};
  control::RunRecord fresh;
  fresh.knob_names = slots_;
  fresh.changes.assign(record.changes.begin() + static_cast<std::ptrdiff_t>(changes_),
                       record.changes.end());
  fresh.decisions.assign(record.decisions.begin() + static_cast<std::ptrdiff_t>(decisions_),
                         record.decisions.end());
  changes_ = record.changes.size();
  decisions_ = record.decisions.size();
  return decision_objects(fresh, seed_);
}

Result<DecisionLog> DecisionLog::open(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / "decisions.jsonl", error)) {
    fs::rename(folder / "decisions.jsonl", folder / "decisions.previous.jsonl", error);
    if (error) {
      return fail(ErrorCode::kUnavailable, fmt::format("{}: cannot put away decisions.jsonl: {}",
                                                       folder.string(), error.message()));
    }
  }
  auto file = os::AppendFile::open(folder / "decisions.jsonl");
  if (!file) return tl::unexpected(file.error());
  return DecisionLog(std::move(*file));
}

Status DecisionLog::append(const std::vector<wire::Value>& lines) {
  if (lines.empty()) return {};
  if (Status done = file_.append(lines_of(lines)); !done) return done;
  return file_.sync();
}

Status save_learned(const fs::path& folder, const documents::Scenario& scenario,
                    const Learned& learned) {
  const wire::Value run =
      wire::Object{{"seed", scenario.seed},
                   {"confirmed", values_object(learned.confirmed, scenario.knobs)},
                   {"t_s", learned.t_s},
                   {"windows", learned.windows},
                   {"decisions", learned.decisions}};
  const wire::Value document =
      wire::Object{{"schema", 1},
                   {"scenario", scenario.name},
                   {"scenario_hash", documents::scenario_hash(scenario)},
                   {"identity", wire::Object{{"engine", learned.identity.engine},
                                             {"model", learned.identity.model},
                                             {"hardware", learned.identity.hardware}}},
                   {"runs", wire::Array{run}}};
  return os::write_file(folder / "learned.json", wire::write_json(document, 2) + "\n");
}

}  // namespace arqon::app
