#include "apps/arqonhpo/audit_trail.h"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <utility>

#include "apps/arqonhpo/state_folder.h"
#include "apps/arqonhpo/verbs.h"
#include "arqon/audit/tape.h"

namespace arqon::app {
namespace {

namespace fs = std::filesystem;

// A slow disk may delay the start of a run; afterwards it only delays writes.
constexpr Duration kBeginMax = std::chrono::seconds(30);

os::SystemDisk& system_disk() {
  static os::SystemDisk disk;  // has no state
  return disk;
}

std::int64_t wall_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

Result<std::string> entropy() {
  std::string bytes(64, '\0');
  std::ifstream source("/dev/urandom", std::ios::binary);
  if (source.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) return bytes;
  return fail(ErrorCode::kUnavailable, "cannot read /dev/urandom for the audit's key");
}

}  // namespace

// Everything a person says goes to the tape, and what they decide into the chain.
class AuditTrail::Supervisor final : public control::Supervisor {
 public:
  Supervisor(control::Supervisor& inner, audit::Log& log, audit::AuditedEngine& engine)
      : inner_(inner), log_(log), engine_(engine) {}

  bool frozen() override {
    const bool yes = inner_.frozen();
    told(yes, frozen_, "freeze", "resume");
    const bool answer = yes || !log_.healthy();
    log_.observe(audit::flag_line("f", answer));
    return answer;
  }
  bool paused() override {
    const bool yes = inner_.paused();
    told(yes, paused_, "pause", "resume");
    log_.observe(audit::flag_line("p", yes));
    return yes;
  }
  bool take_rollback() override {
    const bool yes = inner_.take_rollback();
    if (yes) engine_.note("person", "rollback", "a person asked for it", {});
    log_.observe(audit::flag_line("k", yes));
    return yes;
  }
  control::Answer answer(std::uint64_t decision) override {
    const control::Answer answer = inner_.answer(decision);
    if (answer != control::Answer::kNone) {
      const bool yes = answer == control::Answer::kApproved;
      engine_.note("person", yes ? "approve" : "reject", "",
                   wire::Object{{"decision", decision}});
    }
    log_.observe(audit::answer_line(decision, static_cast<int>(answer)));
    return answer;
  }
  void report(const control::LoopStatus& status) override {
    inner_.report(status);
    log_.flush();
  }

 private:
  void told(bool now, bool& before, std::string_view begun, std::string_view ended) {
    if (now != before) engine_.note("person", now ? begun : ended, "", {});
    before = now;
  }

  control::Supervisor& inner_;
  audit::Log& log_;
  audit::AuditedEngine& engine_;
  bool frozen_ = false, paused_ = false;
};

AuditTrail::AuditTrail(std::unique_ptr<audit::Log> log, serving::Engine& engine, Clock& clock)
    : log_(std::move(log)),
      clock_(std::make_unique<audit::TapedClock>(clock, *log_)),
      engine_(std::make_unique<audit::AuditedEngine>(engine, clock, *log_, wall_ns)) {}

Result<std::unique_ptr<AuditTrail>> AuditTrail::open(const TrailOptions& options,
                                                     serving::Engine& engine, Clock& clock,
                                                     const Console& console) {
  auto random = entropy();
  if (!random) return tl::unexpected(random.error());
  audit::LogOptions log;
  log.folder = options.state / "audit";
  log.entropy = std::move(*random);
  log.witness = options.witness;
  log.mono_ns = clock.now().time_since_epoch().count();
  log.wall_ns = wall_ns();
  if (!options.quiet) {
    log.on_checkpoint = [&console](std::string_view line) {
      console.talk(fmt::format("audit checkpoint {}\n", line));
    };
  }
  const fs::path folder = log.folder;
  auto opened = audit::Log::open(system_disk(), std::move(log));
  if (!opened) return tl::unexpected(opened.error());
  if (const audit::Found& found = (*opened)->found(); found.cut_bytes > 0) {
    console.talk(fmt::format("audit: a crash had torn its end: {} bytes after record {} were put "
                             "away in audit/{}\n",
                             found.cut_bytes, found.records, found.cut_file));
  }
  auto before = audit::last_run(system_disk(), folder);
  if (!before) return tl::unexpected(before.error());
  auto trail = std::unique_ptr<AuditTrail>(new AuditTrail(std::move(*opened), engine, clock));
  trail->open_intents_ = std::move(before->open_intents);
  return trail;
}

control::Supervisor& AuditTrail::supervise(control::Supervisor& inner) {
  supervisor_ = std::make_unique<Supervisor>(inner, *log_, *engine_);
  return *supervisor_;
}

void AuditTrail::explain(const control::WriteNotice& notice) {
  engine_->explain({notice.decision, notice.from, std::string(notice.lane), notice.reason});
}

Status AuditTrail::begin(const documents::Scenario& scenario, TimePoint end) {
  const serving::Capabilities& caps = engine_->capabilities();
  const std::string text = documents::to_json(scenario);
  const auto document = wire::parse_json(text, {.bytes_max = text.size()});
  log_->observe(wire::write_json(wire::Array{
      "run", wire::Object{{"schema", 1},
                          {"end_ns", end.time_since_epoch().count()},
                          {"scenario", document ? *document : wire::Value()},
                          {"capabilities", audit::capabilities_object(caps)}}}));
  const std::vector<std::string> slots = slot_names(scenario.knobs);
  engine_->note("tuner", "begin", "",
                wire::Object{{"scenario", scenario.name},
                             {"scenario_hash", documents::scenario_hash(scenario)},
                             {"engine", caps.identity.engine},
                             {"model", caps.identity.model},
                             {"hardware", caps.identity.hardware},
                             {"knobs", wire::Array(slots.begin(), slots.end())},
                             {"tape", log_->tape_file()},
                             {"build", build_id()}});
  resolve_intents();
  return log_->wait(log_->records(), kBeginMax);
}

// Writes of a run that was cut off, whose outcome nobody recorded: what is in force now is theirs.
void AuditTrail::resolve_intents() {
  for (const audit::Decoded& intent : open_intents_) {
    engine_->note("tuner", "outcome",
                  "the run was cut off before the engine's answer was recorded; what it left "
                  "stands in the next record of a setting",
                  wire::Object{{"of", intent.stamp.seq}, {"ok", false}, {"code", "unknown"}});
  }
  open_intents_.clear();
}

void AuditTrail::keep(const std::vector<wire::Value>& decisions) {
  for (const wire::Value& decision : decisions) {
    engine_->note("tuner", "decision", "", decision);
  }
}

Status AuditTrail::end() {
  engine_->note("tuner", "end", "",
                wire::Object{{"records", log_->records() + 1},
                             {"tape_dropped", log_->tape_dropped()},
                             {"witness_failures", log_->witness_failures()}});
  return log_->close();
}

}  // namespace arqon::app
