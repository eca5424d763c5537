// arqonhpo replay: the decisions of a live run, made again from what it was told.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/arqonhpo/state_folder.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/audit/record.h"
#include "arqon/audit/tape.h"
#include "arqon/audit/verify.h"
#include "arqon/compare/evaluate.h"
#include "arqon/control/loop.h"
#include "arqon/documents/scenario.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRunBytesMax = 512u << 20;

// One run as the chain has it.
struct Run {
  std::uint64_t begin = 0;    // its first record
  std::uint64_t segment = 0;  // where its tape begins
  bool ended = false;         // well, not in a crash
  std::vector<wire::Value> decisions;
  std::string tape;
};

// The person of that run, from the tape.
class PlayedSupervisor final : public control::Supervisor {
 public:
  explicit PlayedSupervisor(audit::Player& player) : player_(player) {}
  bool frozen() override { return played_flag(player_, "f", "asks whether it is frozen"); }
  bool paused() override { return played_flag(player_, "p", "asks whether it is paused"); }
  bool take_rollback() override { return played_flag(player_, "k", "asks whether to go back"); }
  control::Answer answer(std::uint64_t decision) override {
    const int answer = played_answer(player_, decision);
    return answer >= 0 && answer <= 2 ? static_cast<control::Answer>(answer)
                                      : control::Answer::kNone;
  }
  void report(const control::LoopStatus&) override {}

 private:
  audit::Player& player_;
};

// The played clock, which ends the loop after as many looks as the run had.
class EndingClock final : public Clock {
 public:
  EndingClock(audit::Player& player, std::uint64_t waits, std::atomic<bool>& stop)
      : clock_(player), player_(player), waits_(waits), stop_(stop) {}
  TimePoint now() const override {
    const TimePoint now = clock_.now();
    if (player_.over()) stop_ = true;
    return now;
  }
  void wait_until(TimePoint t) override {
    clock_.wait_until(t);
    if (waits_ > 0) --waits_;
    if (waits_ == 0 || player_.over()) stop_ = true;
  }

 private:
  audit::PlayedClock clock_;
  audit::Player& player_;
  std::uint64_t waits_;
  std::atomic<bool>& stop_;
};

std::uint64_t count_of(std::string_view text, std::string_view part) {
  std::uint64_t n = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++n;
  }
  return n;
}

// The runs of a folder whose chain is whole, the newest last.
Result<std::vector<Run>> runs_of(os::Disk& disk, const fs::path& folder) {
  std::vector<Run> runs;
  std::uint64_t segment = 0;
  Status good;
  audit::VerifyOptions options;
  options.on_line = [&](std::uint64_t seq, std::string_view json, std::string_view) {
    const auto line = audit::decode(json);
    if (!line) {
      good = tl::unexpected(line.error());
      return;
    }
    const audit::Record& r = line->record;
    if (r.action == "segment") ++segment;
    if (r.action == "begin") runs.push_back({seq, segment, false, {}, {}});
    if (runs.empty()) return;
    if (r.action == "decision") runs.back().decisions.push_back(r.note);
    if (r.action == "end") runs.back().ended = true;
  };
  const auto verified = audit::verify(disk, folder, options);
  if (!verified) return tl::unexpected(verified.error());
  if (!good) return tl::unexpected(good.error());
  if (verified->finding && !verified->torn) {
    return fail(ErrorCode::kConflict, fmt::format("{}: not what was written: {}", folder.string(),
                                                  to_text(*verified->finding)));
  }
  return runs;
}

// The run that was asked for, with its tape.
Result<Run> find_run(os::Disk& disk, const fs::path& folder, std::uint64_t tape) {
  auto runs = runs_of(disk, folder);
  if (!runs) return tl::unexpected(runs.error());
  const auto wanted = [&](const Run& run) { return tape == 0 || run.segment == tape; };
  const auto found = std::find_if(runs->rbegin(), runs->rend(), wanted);
  if (found == runs->rend()) {
    return fail(ErrorCode::kUnavailable, fmt::format("{}: there is no such run", folder.string()));
  }
  const std::vector<std::uint64_t> segments = audit::segments_of(disk, folder);
  const std::uint64_t end =
      found == runs->rbegin() ? segments.back() + 1 : std::prev(found)->segment;
  Run run = std::move(*found);
  for (std::uint64_t s = run.segment; s < end && run.tape.size() < kRunBytesMax; ++s) {
    if (!disk.exists(folder / audit::tape_name(s))) continue;
    const auto part = disk.read(folder / audit::tape_name(s), audit::kTapeBytesMax);
    if (!part) return tl::unexpected(part.error());
    run.tape += *part;
  }
  return run;
}

// What the first line of the tape says.
struct Start {
  documents::Scenario scenario;
  serving::Capabilities capabilities;
  TimePoint end;
};
Result<Start> read_start(audit::Player& player) {
  const wire::Array* line = player.next("run", "begins");
  const wire::Value* what = line == nullptr || line->size() != 2 ? nullptr : &(*line)[1];
  const wire::Value* document = what == nullptr ? nullptr : what->find("scenario");
  const wire::Value* caps = what == nullptr ? nullptr : what->find("capabilities");
  const wire::Value* end = what == nullptr ? nullptr : what->find("end_ns");
  if (document == nullptr || caps == nullptr || end == nullptr || end->as_int() == nullptr) {
    return fail(ErrorCode::kInvalidConfig, "the tape does not begin with a run");
  }
  auto capabilities = audit::read_capabilities(*caps);
  if (!capabilities) return tl::unexpected(capabilities.error());
  auto scenario = documents::parse_scenario(wire::write_json(*document), "tape");
  if (scenario && scenario->live()) scenario = documents::fit(*scenario, capabilities->knobs);
  if (!scenario) {
    return fail(ErrorCode::kInvalidConfig,
                "the tape's scenario: " + wire::to_string(scenario.error().front(), "tape"));
  }
  return Start{std::move(*scenario), std::move(*capabilities),
               TimePoint(Duration(*end->as_int()))};
}

struct Outcome {
  std::uint64_t decisions = 0, lines = 0;
  std::string difference;  // empty = none
};

std::vector<std::string> of_kind(const std::vector<wire::Value>& all, std::string_view kind) {
  std::vector<std::string> out;
  for (const wire::Value& one : all) {
    const wire::Value* record = one.find("record");
    const std::string* name = record == nullptr ? nullptr : record->as_string();
    if (name != nullptr && *name == kind) out.push_back(wire::write_json(one));
  }
  return out;
}

// The first difference between what was decided and what is decided now. `whole`: both have all.
std::string compare(const std::vector<wire::Value>& then, const std::vector<wire::Value>& now,
                    bool whole) {
  for (const std::string_view kind : {"decision", "change"}) {
    const auto a = of_kind(then, kind), b = of_kind(now, kind);
    const std::size_t n = std::min(a.size(), b.size());
    for (std::size_t i = 0; i < n; ++i) {
      if (a[i] == b[i]) continue;
      return fmt::format("{} {} of the run\n  then {}\n  now  {}", kind, i + 1, a[i], b[i]);
    }
    if (a.size() > n) return fmt::format("{} {} is not made now: {}", kind, n + 1, a[n]);
    if (whole && b.size() > n) return fmt::format("{} {} is new: {}", kind, n + 1, b[n]);
  }
  return "";
}

Result<Outcome> play(const Run& run) {
  audit::Player player(run.tape);
  auto start = read_start(player);
  if (!start) return tl::unexpected(start.error());
  audit::PlayedEngine engine(player, start->capabilities);
  PlayedSupervisor supervisor(player);
  std::atomic<bool> stop{false};
  EndingClock clock(player, count_of(run.tape, "\n[\"w\","), stop);
  control::LoopOptions options = compare::loop_options(start->scenario, start->scenario.seed);
  options.supervisor = &supervisor;
  options.stop = &stop;
  auto loop = control::Loop::create(engine, clock, std::move(options));
  if (!loop) return tl::unexpected(loop.error());
  (void)loop->run_until(start->end);
  Outcome out;
  out.lines = player.line();
  out.decisions = run.decisions.size();
  out.difference = player.difference();
  const std::vector<wire::Value> now =
      DecisionFeed(start->scenario.seed, start->scenario.knobs).take(loop->record());
  const std::string decided = compare(run.decisions, now, run.ended && !player.over());
  if (!decided.empty()) out.difference = decided;
  if (out.difference.empty() && run.ended && !player.at_end()) {
    out.difference = fmt::format("the run went on after line {} of its tape", player.line());
  }
  return out;
}

Result<int> show(const Run& run, const Outcome& outcome, const ReplayArgs& args,
                 Console& console) {
  std::string out;
  if (args.json) {
    out = wire::write_json(wire::Object{{"schema", 1},
                                        {"same", outcome.difference.empty()},
                                        {"run", run.segment},
                                        {"ended", run.ended},
                                        {"decisions", outcome.decisions},
                                        {"lines", outcome.lines},
                                        {"difference", outcome.difference}},
                           1) +
          "\n";
  } else if (outcome.difference.empty()) {
    out = fmt::format("run {}: the same {} decisions and changes, byte for byte, from {} lines{}\n",
                      run.segment, outcome.decisions, outcome.lines,
                      run.ended ? "" : "; the run was cut off there");
  } else {
    out = fmt::format("run {}: differs at {}\n", run.segment, outcome.difference);
  }
  if (Status written = console.data(out); !written) return tl::unexpected(written.error());
  return outcome.difference.empty() ? 0 : exit_code(ErrorCode::kConflict);
}

Result<int> replay(const ReplayArgs& args, Console& console) {
  os::SystemDisk disk;
  fs::path folder;
  std::uint64_t tape = 0;
  if (args.state.extension() == ".tape") {
    folder = args.state.parent_path();
    tape = audit::segment_number(args.state.stem().string() + ".log");
  } else {
    const auto state = find_state(args.state);
    if (!state) return tl::unexpected(state.error());
    folder = *state / "audit";
  }
  auto run = find_run(disk, folder, tape);
  if (!run) return tl::unexpected(run.error());
  const auto outcome = play(*run);
  if (!outcome) return tl::unexpected(outcome.error());
  return show(*run, *outcome, args, console);
}

}  // namespace

int run_replay(const ReplayArgs& args, Console& console) {
  const Result<int> done = replay(args, console);
  return done ? *done : console.complain(done.error());
}

}  // namespace arqon::app
