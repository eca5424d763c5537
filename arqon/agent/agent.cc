#include "arqon/agent/agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "arqon/agent/near.h"
#include "arqon/guard/violation_text.h"

namespace arqon::agent {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds(500);
constexpr Duration kBackOffFirst = std::chrono::milliseconds(200);
constexpr Duration kBackOffMax = std::chrono::seconds(2);
constexpr double kLeaseMaxS = 3600;
constexpr std::size_t kEvidenceMax = 4096;
constexpr wire::JsonLimits kRequestLimits{
    .bytes_max = 64u << 10, .depth_max = 4, .values_max = 512};
constexpr std::array<std::string_view, 7> kRequests{"status",    "apply",   "confirm", "renew",
                                                    "requalify", "restore", "release"};

wire::Value values_array(const Config& values) {
  wire::Array out;
  for (const double v : values) out.emplace_back(v);
  return out;
}

Result<std::uint64_t> generation_of(const wire::Value& request) {
  const wire::Value* value = request.find("generation");
  const std::int64_t* number = value == nullptr ? nullptr : value->as_int();
  if (number != nullptr && *number >= 0) return static_cast<std::uint64_t>(*number);
  return fail(ErrorCode::kUsage, "\"generation\" must be a whole number from 0");
}

Result<Duration> lease_of(const wire::Value& request) {
  const wire::Value* value = request.find("lease_s");
  const double seconds = value == nullptr || !value->is_number() ? -1 : value->number();
  if (seconds > 0 && seconds <= kLeaseMaxS) return from_seconds(seconds);
  return fail(ErrorCode::kUsage,
              fmt::format("\"lease_s\" must be above 0 and at most {} seconds", kLeaseMaxS));
}

Result<serving::Scope> scope_of(const wire::Value& request, int replicas) {
  const wire::Value* value = request.find("replica");
  if (value == nullptr) return serving::Scope{};
  const std::int64_t* replica = value->as_int();
  if (replica != nullptr && *replica >= serving::Scope::kAll && *replica < replicas) {
    return serving::Scope{static_cast<int>(*replica)};
  }
  return fail(ErrorCode::kUsage, fmt::format("\"replica\" must be -1 to {}", replicas - 1));
}

std::string error_line(const Error& error) {
  return wire::write_json(wire::Object{{"schema", 1},
                                       {"ok", false},
                                       {"code", to_string(error.code)},
                                       {"error", error.message}}) +
         "\n";
}

}  // namespace

Result<Agent> Agent::create(serving::Engine& engine, Clock& clock, AgentOptions options) {
  Space space(engine.capabilities().knobs);
  auto check = guard::SafetyExecutor::create(space, options.guardrails);
  if (!check) return tl::unexpected(check.error().with_context("guardrails"));
  auto journal = Journal::open(options.disk, options.folder);
  if (!journal) return tl::unexpected(journal.error());
  Agent agent(engine, clock, std::move(options), std::move(space), std::move(*check),
              std::move(*journal));
  if (agent.journal_.found().damaged > 0) {
    const Status noted = agent.journal_.note(
        "damaged", fmt::format("{} lines could not be read", agent.journal_.found().damaged));
    if (!noted) return tl::unexpected(noted.error());
  }
  return agent;
}

Agent::Agent(serving::Engine& engine, Clock& clock, AgentOptions options, Space space,
             guard::SafetyExecutor check, Journal journal)
    : engine_(engine),
      clock_(clock),
      options_(std::move(options)),
      space_(std::move(space)),
      check_(std::move(check)),
      journal_(std::move(journal)),
      confirmed_(journal_.found().confirmed),
      generation_(journal_.found().generation),
      open_(journal_.found().open),
      look_at_(clock.now()),
      restore_at_(clock.now()) {
  journal_.at_step = options_.at_step;
  // Whoever released it has handed the engine back: what stood then is history.
  if (journal_.found().released) confirmed_.reset();
}

bool Agent::frozen() const { return options_.disk->exists(options_.folder / "freeze"); }

bool Agent::confirmed_fits() const {
  if (!confirmed_ || confirmed_->identity != engine_.capabilities().identity) return false;
  const auto same = [](const std::string& name, const Parameter& p) { return name == p.name; };
  return confirmed_->values.size() == space_.slots() &&
         std::equal(confirmed_->knobs.begin(), confirmed_->knobs.end(), space_.parameters().begin(),
                    space_.parameters().end(), same);
}

bool Agent::lease_holds() const { return clock_.now() < lease_until_; }

// -- requests

std::string Agent::answer(std::string_view line) {
  const auto request = wire::parse_json(line, kRequestLimits);
  if (!request || request->as_object() == nullptr) {
    return error_line({ErrorCode::kUsage,
                       "send one JSON object in one line, such as "
                       "{\"do\": \"status\"}"});
  }
  auto done = dispatch(*request);
  if (!done) return error_line(done.error());
  wire::Object out{{"schema", 1}, {"ok", true}};
  out.insert(out.end(), done->begin(), done->end());
  return wire::write_json(std::move(out)) + "\n";
}

Result<wire::Object> Agent::dispatch(const wire::Value& request) {
  const wire::Value* verb = request.find("do");
  const std::string* what = verb == nullptr ? nullptr : verb->as_string();
  if (what != nullptr && *what == "status") return status();
  if (what != nullptr && *what == "apply") return apply(request);
  if (what != nullptr && *what == "confirm") return confirm(request);
  if (what != nullptr && *what == "renew") return renew(request);
  if (what != nullptr && *what == "requalify") return requalify();
  if (what != nullptr && *what == "restore") return restore_now();
  if (what != nullptr && *what == "release") return release();
  return fail(ErrorCode::kUsage,
              fmt::format("\"do\" must be one of {}", fmt::join(kRequests, ", ")));
}

Result<Config> Agent::read_setting(const wire::Value& request) const {
  const wire::Value* values = request.find("values");
  const wire::Array* array = values == nullptr ? nullptr : values->as_array();
  if (array == nullptr || array->size() != space_.slots()) {
    return fail(ErrorCode::kUsage, fmt::format("\"values\" must be {} numbers", space_.slots()));
  }
  Config setting;
  for (const wire::Value& value : *array) {
    if (!value.is_number()) return fail(ErrorCode::kUsage, "\"values\" must be numbers");
    setting.push_back(value.number());
  }
  return setting;
}

// The second of two checks: whoever asks has made the first.
Status Agent::check_values(const Config& setting) {
  const guard::Violation violation = check_.set_baseline(setting, clock_.now());
  if (violation.kind == guard::ViolationKind::kNone) return {};
  return fail(ErrorCode::kRefused, guard::describe(violation, space_));
}

Result<wire::Object> Agent::apply(const wire::Value& request) {
  const auto generation = generation_of(request);
  if (!generation) return tl::unexpected(generation.error());
  if (*generation <= generation_) {
    return fail(ErrorCode::kConflict, fmt::format("generation {} is not above {}, the last one: "
                                                  "another tuner writes here",
                                                  *generation, generation_));
  }
  const auto lease = lease_of(request);
  if (!lease) return tl::unexpected(lease.error());
  const auto scope = scope_of(request, engine_.capabilities().replicas);
  if (!scope) return tl::unexpected(scope.error());
  const auto setting = read_setting(request);
  if (!setting) return tl::unexpected(setting.error());
  const bool back = confirmed_ && *setting == confirmed_->values && scope->replica < 0;
  if (!back) {
    if (Status good = check_values(*setting); !good) return tl::unexpected(good.error());
    if (frozen()) return fail(ErrorCode::kRefused, "frozen: only the confirmed set may be written");
    if (!confirmed_fits()) {
      return fail(ErrorCode::kRefused,
                  "there is no confirmed set for this engine to go back to; "
                  "confirm what is in force first");
    }
  }
  generation_ = *generation;
  releasing_ = false;
  const auto effective = write(*generation, *setting, *scope, back ? "revert" : "apply");
  lease_until_ = clock_.now() + *lease;  // a slow engine must not use up the lease
  if (!effective) return tl::unexpected(effective.error());
  if (back && near(space_, *effective, *setting)) {
    if (Status done = journal_.restored(generation_); !done) return tl::unexpected(done.error());
    open_ = false;
  }
  return wire::Object{{"generation", generation_}, {"effective", values_array(*effective)}};
}

Result<Config> Agent::write(std::uint64_t generation, const Config& setting, serving::Scope scope,
                            std::string_view action) {
  Status noted = journal_.intent(generation, setting, scope.replica, action);
  // A way back must not wait for a disk; everything else must.
  const bool back = confirmed_ && setting == confirmed_->values && scope.replica < 0;
  if (!noted && !back) return tl::unexpected(noted.error().with_context("nothing was written"));
  open_ = true;
  step("write");
  auto effective = engine_.apply(setting, scope);
  step("written");
  noted = journal_.outcome(generation, effective);
  if (effective && !noted && !back) {
    return tl::unexpected(noted.error().with_context("written, but not recorded"));
  }
  return effective;
}

Result<wire::Object> Agent::confirm(const wire::Value& request) {
  const auto generation = generation_of(request);
  if (!generation) return tl::unexpected(generation.error());
  if (*generation != generation_) {
    return fail(ErrorCode::kConflict,
                fmt::format("generation {} is not {}, the last one", *generation, generation_));
  }
  const serving::Observation now = engine_.observe();
  if (!now.fresh || engine_.health() == serving::Health::kDown) {
    return fail(ErrorCode::kUnavailable, "the engine does not say what is in force");
  }
  if (now.effective.size() != space_.slots()) {
    return fail(ErrorCode::kInternal, "the engine reports another number of values");
  }
  Confirmed set;
  for (const Parameter& p : space_.parameters()) set.knobs.push_back(p.name);
  set.values = now.effective;
  set.identity = engine_.capabilities().identity;
  const wire::Value* evidence = request.find("evidence");
  if (evidence != nullptr && evidence->as_string() != nullptr) {
    set.evidence = evidence->as_string()->substr(0, kEvidenceMax);
  }
  set.at = options_.wall ? options_.wall() : "";
  set.generation = generation_;
  set.epoch = now.epoch;
  if (Status done = journal_.confirm(set); !done) return tl::unexpected(done.error());
  confirmed_ = std::move(set);
  epoch_ = now.epoch;
  open_ = false;
  drifted_ = false;
  trouble_.clear();
  return wire::Object{{"generation", generation_}, {"confirmed", values_array(confirmed_->values)}};
}

Result<wire::Object> Agent::renew(const wire::Value& request) {
  const auto lease = lease_of(request);
  if (!lease) return tl::unexpected(lease.error());
  lease_until_ = clock_.now() + *lease;
  releasing_ = false;
  return wire::Object{{"generation", generation_}};
}

Result<wire::Object> Agent::requalify() {
  if (Status done = engine_.requalify(); !done) return tl::unexpected(done.error());
  return status();
}

// A person asks, with no tuner there.
Result<wire::Object> Agent::restore_now() {
  if (!confirmed_fits()) return fail(ErrorCode::kRefused, "nothing was confirmed for this engine");
  lease_until_ = clock_.now();
  open_ = true;
  restore_at_ = clock_.now();
  back_off_ = {};
  restore();
  if (open_) return fail(ErrorCode::kUnavailable, trouble_);
  return status();
}

Result<wire::Object> Agent::release() {
  lease_until_ = clock_.now();
  releasing_ = true;  // what is unproven goes back first
  if (!open_) {
    if (Status done = journal_.note("released", "the tuner is done"); !done) {
      return tl::unexpected(done.error());
    }
  }
  return status();
}

wire::Object Agent::status() const {
  wire::Array knobs;
  for (const Parameter& p : space_.parameters()) knobs.emplace_back(p.name);
  const double left = to_seconds(lease_until_ - clock_.now());
  return {{"engine", engine_.capabilities().identity.engine},
          {"pid", options_.pid},
          {"knobs", std::move(knobs)},
          {"generation", generation_},
          {"open", open_},
          {"lease_s", std::max(0.0, left)},
          {"frozen", frozen()},
          {"drifted", drifted_},
          {"restores", restores_},
          {"trouble", trouble_},
          {"confirmed", confirmed_ ? wire::Value(confirmed_object(*confirmed_)) : wire::Value()},
          {"confirmed_fits", confirmed_fits()}};
}

// -- the watch

void Agent::tick() {
  const TimePoint now = clock_.now();
  if (lease_holds()) return;  // the tuner answers for what is in force
  if (now >= look_at_) {
    look_at_ = now + kLookEvery;
    look();
  }
  if (open_ && confirmed_ && now >= restore_at_) restore();
}

// Has the engine come back with other values than the confirmed ones?
void Agent::look() {
  const serving::Observation now = engine_.observe();
  const serving::Health health = engine_.health();
  if (health == serving::Health::kDown || !now.fresh) {
    lost_ = lost_ || health == serving::Health::kDown;
    return;
  }
  if (health == serving::Health::kUnqualified && !engine_.requalify()) return;
  // Nobody knows what happened before the first look: there the confirmed set counts.
  const bool restarted = lost_ || !epoch_ || now.epoch != *epoch_;
  lost_ = false;
  epoch_ = now.epoch;
  if (!confirmed_ || near(space_, now.effective, confirmed_->values)) {
    drifted_ = false;
    return;
  }
  if (restarted) {
    open_ = true;
    (void)journal_.note("restarted", "the engine is back with other values");
  } else if (!open_ && !drifted_) {
    // A hand other than ours, on an engine that runs on: it is theirs.
    drifted_ = true;
    (void)journal_.note("drifted", "somebody else changed a value; it is left as it is");
  }
}

void Agent::restore() {
  const TimePoint now = clock_.now();
  if (!confirmed_fits()) {
    trouble_ = "what was confirmed was confirmed for another engine, model or hardware";
    restore_at_ = now + kBackOffMax;
    return;
  }
  const auto effective = write(generation_, confirmed_->values, serving::Scope{}, "restore");
  if (effective && near(space_, *effective, confirmed_->values)) {
    (void)journal_.restored(generation_);
    if (releasing_) (void)journal_.note("released", "the tuner is done");
    open_ = false;
    drifted_ = false;
    ++restores_;
    trouble_.clear();
    back_off_ = {};
    return;
  }
  trouble_ = effective ? "the engine put other values in force" : effective.error().message;
  back_off_ = std::clamp(2 * back_off_, kBackOffFirst, kBackOffMax);
  restore_at_ = clock_.now() + back_off_;
}

}  // namespace arqon::agent
