#include "tests/campaign/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "arqon/audit/tape.h"
#include "arqon/audit/verify.h"
#include "arqon/control/loop_test_fixture.h"
#include "arqon/wire/json.h"

namespace arqon::campaign {
namespace {

using testing::SimDisk;

const std::filesystem::path kAgentFolder = "agent";
const std::filesystem::path kAuditFolder = "audit";
constexpr double kLeaseS = 10;
// Lease, the agent's look, its back-off, and the second in which it happens.
constexpr double kDeadlineS = kLeaseS + 4;
constexpr double kSettleS = 30;
constexpr double kMaxDelta = 2048;
constexpr std::size_t kBreachesMax = 16;

testing::FakeEngine make_engine(const WorldOptions& options) {
  const auto bad_share = [options](const Config& c, std::size_t, double) {
    const double octaves = std::log2(c[0] / options.best);
    if (options.cliff && c[0] < options.best) return 0.7;
    return std::min(0.9, 0.003 + options.steep * octaves * octaves);
  };
  return {control::one_knob(), control::one_class(), bad_share, options.replicas, options.seed};
}

}  // namespace

// What the agent writes through.
class World::Actuator final : public serving::Engine {
 public:
  explicit Actuator(World& world) : world_(world) {}
  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override {
    return world_.engine_.capabilities();
  }
  Result<Config> apply(const Config& setting, serving::Scope scope) override {
    return world_.write(setting, scope);
  }
  serving::Observation observe(serving::Scope scope) override {
    return world_.engine_.observe(scope);
  }
  serving::Health health() override { return world_.engine_.health(); }
  Status requalify() override { return world_.engine_.requalify(); }

 private:
  World& world_;
};

// What the tuner looks through.
class World::Sight final : public serving::Engine {
 public:
  explicit Sight(World& world) : world_(world) {}
  using serving::Engine::apply;
  using serving::Engine::observe;
  const serving::Capabilities& capabilities() const override {
    return world_.engine_.capabilities();
  }
  Result<Config> apply(const Config&, serving::Scope) override {
    world_.check(false, "S6", "the tuner wrote past the agent");
    return fail(ErrorCode::kInternal, "the agent owns the writes");
  }
  serving::Observation observe(serving::Scope scope) override {
    serving::Observation now = world_.engine_.observe(scope);
    if (world_.stale) now.fresh = false;
    return now;
  }
  serving::Health health() override { return world_.engine_.health(); }
  Status requalify() override { return world_.engine_.requalify(); }

 private:
  World& world_;
};

class World::TunerClock final : public Clock {
 public:
  explicit TunerClock(World& world) : world_(world) {}
  TimePoint now() const override { return world_.engine_.now(); }
  void wait_until(TimePoint t) override {
    while (world_.engine_.now() < t && !world_.tuner_dead_) world_.second();
  }

 private:
  World& world_;
};

struct World::Tuner {
  std::unique_ptr<audit::Log> log;
  std::unique_ptr<agent::Client> client;
  std::optional<audit::TapedClock> clock;
  std::optional<audit::AuditedEngine> audited;
};

World::World(WorldOptions options)
    : options_(options),
      rng_(options.seed),
      engine_(make_engine(options)),
      space_(engine_.capabilities().knobs),
      guardrails_(control::options(kMaxDelta).guardrails),
      agent_disk_(std::make_shared<SimDisk>()),
      actuator_(std::make_unique<Actuator>(*this)),
      sight_(std::make_unique<Sight>(*this)) {
  agent_disk_->at_call = [this](SimDisk::Call call, const auto&) {
    return disk_call(*agent_disk_, call);
  };
  tuner_disk_.at_call = [this](SimDisk::Call call, const auto&) {
    return disk_call(tuner_disk_, call);
  };
  start_agent();
}

World::~World() = default;

void World::check(bool good, const char* rule, const std::string& what) {
  if (good || breaches_.size() >= kBreachesMax) return;
  breaches_.push_back({rule, fmt::format("{:.0f} s: {}", now_s(), what)});
}

// -- the seams

void World::hit() {
  if (++calls_ == stop_at) kill(stop);
}

SimDisk::Fate World::disk_call(SimDisk& disk, SimDisk::Call call) {
  hit();
  const auto& fate = &disk == &tuner_disk_ ? tuner_disk_fate : agent_disk_fate;
  return fate ? fate(call) : SimDisk::Fate::kGood;
}

void World::kill(Victim victim) {
  if (victim == Victim::kTuner && tuner_dead_) return;
  quiet_since_ = now_s();
  if (victim == Victim::kTuner || victim == Victim::kHost) {
    tuner_dead_ = true;
    stop_tuner_ = true;
    tuner_disk_.dead = true;
  }
  if (victim == Victim::kAgent || victim == Victim::kHost) {
    agent_dead_ = true;
    agent_disk_->dead = true;
    agent_back_at_ = now_s() + agent_back_s;
  }
  if (victim == Victim::kHost) power_lost_ = true;
}

void World::start_agent() {
  agent_.reset();
  if (std::exchange(power_lost_, false)) {
    agent_disk_->lose_power(rng_.stream("agent").stream(calls_));
    tuner_disk_.lose_power(rng_.stream("tuner").stream(calls_));
    if (boot_on_power_loss) restart_engine(true);
  }
  agent_disk_->dead = false;
  agent_dead_ = false;
  quiet_since_ = now_s();
  auto agent = agent::Agent::create(
      *actuator_, engine_,
      {.folder = kAgentFolder, .guardrails = guardrails_, .disk = agent_disk_});
  if (agent && !agent_dead_) {
    agent_ = std::make_unique<agent::Agent>(std::move(*agent));
    return;
  }
  check(agent_dead_ || agent_disk_fate, "S6",
        "the agent does not start: " + (agent ? "" : agent.error().message));
  agent_dead_ = true;
  agent_back_at_ = now_s() + agent_back_s;
}

Result<std::string> World::to_agent(const std::string& line) {
  const auto gone = [] { return fail(ErrorCode::kUnavailable, "nobody answers"); };
  if (tuner_dead_ || net_down || agent_dead_ || agent_ == nullptr) return gone();
  in_request_ = true;
  std::string answer = agent_->answer(line);
  in_request_ = false;
  if (!agent_dead_) note_generation(line, answer);
  if (agent_dead_ || tuner_dead_ || answers_lost) return gone();
  return answer;
}

void World::note_generation(const std::string& request, const std::string& answer) {
  const auto asked = wire::parse_json(request.substr(0, request.size() - 1));
  const auto told = wire::parse_json(answer.substr(0, answer.size() - 1));
  if (!asked || !told || *asked->find("do") != wire::Value("apply")) return;
  if (!*told->find("ok")->as_bool()) return;
  const auto generation = static_cast<std::uint64_t>(*asked->find("generation")->as_int());
  check(generation > generation_, "S9", fmt::format("{} after {}", generation, generation_));
  generation_ = generation;
}

Result<Config> World::write(const Config& setting, serving::Scope scope) {
  const auto gone = [] { return fail(ErrorCode::kUnavailable, "gone"); };
  hit();
  if (agent_dead_) return gone();
  check_write(setting, scope);
  ++writes;
  auto effective = engine_.apply(setting, scope);
  if (effective && scope.replica < 0) foreign_ = false;
  if (!in_request_) disturbed_ = true;  // the agent's own hand: the tuner will see it
  hit();
  if (agent_dead_) return gone();
  return effective;
}

// -- what must hold

void World::check_write(const Config& setting, serving::Scope scope) {
  check(space_.contains(setting), "S1", "a value outside its domain reached the engine");
  const guard::Limits& limits = guardrails_.limits.front();
  check(setting[0] >= limits.min && setting[0] <= limits.max, "S1", "outside the guardrails");
  const Config back = confirmed();
  check(!back.empty(), "S5", "a write before anything was confirmed");
  if (setting == back && scope.replica < 0) return;
  check(in_request_, "S6", "the agent wrote something else than the confirmed set by itself");
  const auto intent = newest_intent(setting);
  check(intent.has_value(), "S8", "a write whose record was not on the disk");
  // A person may go back to what was confirmed before: no step, no freeze stands in the way.
  const wire::Value* lane = intent ? intent->note.find("lane") : nullptr;
  const bool formerly = std::find(ever_confirmed_.begin(), ever_confirmed_.end(), setting) !=
                        ever_confirmed_.end();
  if (formerly && lane != nullptr && *lane == wire::Value("revert")) return;
  check(!frozen_at_ || now_s() <= *frozen_at_ + 1, "S4", "a write while frozen");
  check_step(setting, scope);
  if (scope.replica < 0) disturbed_ = false;
}

void World::check_step(const Config& setting, serving::Scope scope) {
  // A write to all ends a canary, which may have been further on the same way.
  double step = std::numeric_limits<double>::infinity();
  for (int r = 0; r < options_.replicas; ++r) {
    if (scope.replica >= 0 && r != scope.replica) continue;
    const double from = engine_.observe(serving::Scope{r}).effective[0];
    step = std::min(step, std::abs(setting[0] - from));
  }
  check(disturbed_ || step <= kMaxDelta, "S2", fmt::format("a step of {}", step));
}

// The newest record on the disk, when it is the intent of just this write. The tuner may have died
// since it asked: its disk is looked at all the same.
std::optional<audit::Record> World::newest_intent(const Config& setting) {
  std::uint64_t segment = 0;
  while (tuner_disk_.content(kAuditFolder / audit::segment_name(segment + 1)) != nullptr) ++segment;
  std::string_view lines = tuner_disk_.durable(kAuditFolder / audit::segment_name(segment));
  if (!lines.empty()) lines.remove_suffix(1);
  const std::size_t begin = lines.rfind('\n') + 1;  // npos + 1 = 0
  const std::size_t tab = lines.rfind('\t');
  if (tab == std::string_view::npos || tab < begin) return std::nullopt;
  const auto line = audit::decode(lines.substr(begin, tab - begin));
  if (!line || line->record.action != "intent" || line->record.after != setting) {
    return std::nullopt;
  }
  return line->record;
}

// With the tuner gone, the agent there and the engine well, the confirmed set stands in time.
void World::check_deadline() {
  const bool well = engine_.state == serving::Health::kOk && !engine_.refuse_applies &&
                    !engine_.clamp && !agent_dead_;
  if (!well) quiet_since_ = now_s();
  if (!tuner_dead_ || foreign_ || now_s() < quiet_since_ + kDeadlineS) return;
  const Config back = confirmed();
  if (back.empty()) return;
  for (int r = 0; r < options_.replicas; ++r) {
    check(engine_.observe(serving::Scope{r}).effective == back, "S6",
          fmt::format("replica {} is not back at the confirmed set after {:.0f} s", r,
                      now_s() - quiet_since_));
  }
}

Config World::confirmed() const {
  const auto value = wire::parse_json(agent_disk_->durable(kAgentFolder / "confirmed.json"));
  const auto set = value ? agent::read_confirmed(*value) : std::nullopt;
  return set ? set->values : Config{};
}

bool World::settled() {
  if (agent_dead_ || agent_ == nullptr) return false;
  const auto status = wire::parse_json(agent_->answer("{\"do\": \"status\"}"));
  return status && !*status->find("open")->as_bool() && status->find("lease_s")->number() == 0;
}

void World::check_chain() {
  audit::VerifyOptions options;
  const auto verified = audit::verify(tuner_disk_, kAuditFolder, options);
  if (!verified) return;  // nothing was ever written
  check(!verified->finding || verified->torn, "S8",
        verified->finding ? to_text(*verified->finding) : "");
  check(verified->records >= acknowledged_, "S8",
        fmt::format("{} of {} acknowledged records", verified->records, acknowledged_));
  records = verified->records;
  head = std::string(audit::view(verified->head));
}

// -- time

void World::second() {
  const Config now_confirmed = confirmed();
  if (!now_confirmed.empty() &&
      (ever_confirmed_.empty() || ever_confirmed_.back() != now_confirmed)) {
    ever_confirmed_.push_back(now_confirmed);
  }
  if (each_second) each_second();
  if (agent_dead_) agent_.reset();
  engine_.wait_until(engine_.now() + std::chrono::seconds(1));
  if (agent_dead_ && now_s() >= agent_back_at_) start_agent();
  if (agent_ != nullptr && !agent_dead_) agent_->tick();
  check_deadline();
}

void World::wait_until(double t_s) {
  while (now_s() < t_s) second();
}

void World::suspend(double seconds) {
  engine_.wait_until(engine_.now() + from_seconds(seconds));
  quiet_since_ = now_s();
}

// -- hands

void World::set_frozen(bool yes) {
  if (!yes) frozen_at_.reset();
  if (yes && !frozen_at_) frozen_at_ = now_s();
}

bool World::frozen() { return frozen_at_.has_value() || !tuner_->log->healthy(); }

void World::foreign_hand(double value) {
  engine_.put_in_force({value});
  disturbed_ = foreign_ = true;
}

void World::restart_engine(bool boots) {
  engine_.restart();
  quiet_since_ = now_s();
  if (boots) {
    engine_.put_in_force(engine_.capabilities().boot);
    disturbed_ = true;
  }
}

// -- the tuner

void World::report(const control::LoopStatus&) {
  if (!tuner_dead_) tuner_->log->flush();
}

bool World::run_tuner(double until) {
  const double patience = now_s() + kSettleS;
  while (!settled() && now_s() < patience) second();
  if (!settled() || now_s() >= until) return false;
  tuner_dead_ = false;
  stop_tuner_ = false;
  const bool lived = live(until);
  // A process that is gone writes no more; its disk is there for the next.
  if (!tuner_dead_) quiet_since_ = now_s();
  tuner_dead_ = true;
  tuner_ = nullptr;
  if (!power_lost_) tuner_disk_.dead = false;
  return lived;
}

// One life of a tuner, from its start to its end or death.
bool World::live(double until) {
  Tuner tuner;
  audit::LogOptions log;
  log.folder = kAuditFolder;
  log.entropy = std::string(64, static_cast<char>('a' + options_.seed % 26));
  log.threaded = false;
  log.segment_bytes = 64u << 10;
  log.mono_ns = engine_.now().time_since_epoch().count();
  log.wall_ns = log.mono_ns + wall_jump_ns;
  auto opened = audit::Log::open(tuner_disk_, log);
  if (!opened) {
    check(tuner_dead_ || tuner_disk_fate, "S8", "no start: " + opened.error().message);
    return false;
  }
  tuner.log = std::move(*opened);
  const audit::Found& found = tuner.log->found();
  check(found.records >= acknowledged_, "S8",
        fmt::format("{} of {} acknowledged records at a start", found.records, acknowledged_));
  cuts += found.cut_bytes > 0 ? 1u : 0u;
  agent::ClientOptions to;
  to.socket = "agent.sock";
  to.transport = [this](const std::string& line, Duration) { return to_agent(line); };
  auto client = agent::Client::connect(*sight_, std::move(to));
  if (!client) return false;
  tuner.client = std::move(*client);
  TunerClock clock(*this);
  tuner.clock.emplace(clock, *tuner.log);
  tuner.audited.emplace(*tuner.client, clock, *tuner.log, [this] {
    return engine_.now().time_since_epoch().count() + wall_jump_ns;
  });
  tuner_ = &tuner;
  tune(tuner, until);
  if (!tuner_dead_ && tuner.log->healthy()) (void)tuner.log->close();
  acknowledged_ = std::max(acknowledged_, tuner.log->durable());
  return true;
}

void World::tune(Tuner& tuner, double until) {
  control::LoopOptions options = control::options(kMaxDelta);
  options.window.requests_min = options_.requests_min;
  options.window.seconds_min = 1;
  options.seed = options_.seed;
  options.stop = &stop_tuner_;
  options.supervisor = this;
  options.before_write = [&](const control::WriteNotice& w) {
    tuner.audited->explain({w.decision, w.from, std::string(w.lane), w.reason});
  };
  auto loop = control::Loop::create(*tuner.audited, *tuner.clock, std::move(options));
  if (!loop) return check(false, "S5", loop.error().message);
  ++runs;
  (void)loop->run_until(time_at(until));
  for (const control::DecisionRecord& d : loop->record().decisions) {
    confirms += d.action == "confirm" ? 1u : 0u;
    reverts += d.action == "revert" ? 1u : 0u;
    check(d.action != "confirm" || d.requests_after >= options_.requests_min, "S7",
          fmt::format("confirmed on {} requests", d.requests_after));
  }
}

}  // namespace arqon::campaign
