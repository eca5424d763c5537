#include "arqon/adapters/vllm/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::vllm {
namespace {

using serving::Health;
using serving::Scope;

constexpr Duration kRestartSettle = std::chrono::seconds(30);
// Until a median is known: chat answers of a few hundred tokens.
constexpr Duration kSettleUnknown = std::chrono::seconds(3);
constexpr double kSettleSeconds_min = 1, kSettleSeconds_max = 30;
constexpr double kRequestsForMean = 20;
// What a restart blocks apply for: a small model; large ones take minutes.
constexpr Duration kRestartCost = std::chrono::minutes(1);

// Requests that began under the old setting end under the new one: about one request's time.
Duration settle_of(const Metrics& metrics) {
  if (metrics.e2e_s.count < kRequestsForMean) return kSettleUnknown;
  const double mean = metrics.e2e_s.sum / metrics.e2e_s.count;
  return from_seconds(std::clamp(1.5 * mean, kSettleSeconds_min, kSettleSeconds_max));
}

std::vector<Parameter> parameters_of(const std::vector<Knob>& knobs) {
  std::vector<Parameter> out;
  for (const Knob& knob : knobs) out.push_back(knob.parameter);
  return out;
}

void add(serving::ClassCounters& to, const serving::ClassCounters& from) {
  to.arrived += from.arrived;
  to.good += from.good;
  to.bad += from.bad;
  for (std::size_t i = 0; i < serving::kLimits; ++i) to.bad_by[i] += from.bad_by[i];
  to.prompt_tokens += from.prompt_tokens;
  to.output_tokens += from.output_tokens;
  to.good_tokens += from.good_tokens;
  to.ttft_ms += from.ttft_ms;
  to.gap_ms += from.gap_ms;
  to.tpot_ms += from.tpot_ms;
}

// Of several replicas the worst counts.
int badness(Health health) { return static_cast<int>(health); }

double restart_value(const Replica& replica, std::string_view name) {
  for (const Offer& offer : offers(replica.facts())) {
    if (offer.kind->name == name) return offer.value;
  }
  return -1;
}

Status same_engines(const std::vector<std::unique_ptr<Replica>>& replicas) {
  for (std::size_t i = 1; i < replicas.size(); ++i) {
    const bool plugin =
        (replicas[i]->steering() != nullptr) == (replicas[0]->steering() != nullptr);
    if (plugin && replicas[i]->identity() == replicas[0]->identity()) continue;
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("target.replicas[{}] is {} with {}{}, but replicas[0] is {} with {}{}: "
                            "replicas of one pool serve one model alike",
                            i, replicas[i]->identity().engine, replicas[i]->identity().model,
                            replicas[i]->steering() != nullptr ? "" : ", without the plugin",
                            replicas[0]->identity().engine, replicas[0]->identity().model,
                            replicas[0]->steering() != nullptr ? "" : ", without the plugin"));
  }
  return {};
}

}  // namespace

VllmEngine::VllmEngine(Target target, World world, Clock& clock)
    : target_(std::move(target)),
      world_(std::move(world)),
      clock_(clock),
      space_({}),
      since_(clock.now()) {}

Result<std::unique_ptr<VllmEngine>> VllmEngine::attach(const AttachRequest& request, World world) {
  ARQON_ASSERT(!request.classes.empty());
  auto target = read_target(request.target, request.classes);
  if (!target) return tl::unexpected(target.error());
  std::unique_ptr<VllmEngine> out(
      new VllmEngine(std::move(*target), std::move(world), request.clock));
  for (const ReplicaTarget& where : out->target_.replicas) {
    auto replica = Replica::attach({.target = where,
                                    .shared_memory = out->world_.shared_memory,
                                    .stuck = out->target_.scraped.options.stuck,
                                    .container = out->target_.container,
                                    .http = out->world_.http,
                                    .clock = &request.clock},
                                   {request.classes, out->target_});
    if (!replica) return tl::unexpected(replica.error());
    if (request.classes.size() > 1 && !(*replica)->telemetry().exact()) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("{} classes cannot be told apart in /metrics: {}",
                              request.classes.size(), (*replica)->facts().no_plugin));
    }
    out->replicas_.push_back(std::move(*replica));
  }
  if (auto same = same_engines(out->replicas_); !same) return tl::unexpected(same.error());
  auto knobs = resolve_knobs(request.knobs, offers(out->replicas_.front()->facts()));
  if (!knobs) return tl::unexpected(knobs.error());
  out->knobs_ = std::move(*knobs);
  out->space_ = Space(parameters_of(out->knobs_));
  out->describe(request.classes);
  return out;
}

void VllmEngine::describe(const std::vector<serving::Slo>& classes) {
  const Replica& first = *replicas_.front();
  capabilities_.identity = first.identity();
  capabilities_.engine = first.identity().engine;
  capabilities_.keeps_confirmed = true;  // in the page, and in the state folder of the engine
  capabilities_.knobs = space_.parameters();
  capabilities_.replicas = static_cast<int>(replicas_.size());
  capabilities_.classes = classes;
  capabilities_.facts.clear();
  capabilities_.settle.clear();
  for (const Knob& knob : knobs_) {
    const bool live = knob.kind->slot.has_value();
    capabilities_.facts.push_back(
        {.boot_capacity = knob.boot_capacity,
         .readback = true,
         .apply_cost = live ? Duration{} : kRestartCost,
         .note = fmt::format("{}: {}", knob.kind->engine_name, knob.kind->note)});
    capabilities_.settle.push_back(live ? settle_of(*first.telemetry().metrics()) : kRestartSettle);
  }
  if (capabilities_.boot.empty()) asked_ = capabilities_.boot = config_of(first);
}

std::vector<std::size_t> VllmEngine::in(Scope scope) const {
  if (scope.replica >= 0) return {static_cast<std::size_t>(scope.replica)};
  std::vector<std::size_t> all(replicas_.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

Config VllmEngine::config_of(const Replica& replica) const {
  const Values values = replica.in_force().values;
  Config out;
  for (const Knob& knob : knobs_) {
    out.push_back(knob.kind->slot ? static_cast<double>(values[*knob.kind->slot])
                                  : restart_value(replica, knob.kind->name));
  }
  return out;
}

// --- apply --------------------------------------------------------------------------------------
Result<Config> VllmEngine::apply(const Config& setting, Scope scope) {
  if (scope.replica < Scope::kAll || scope.replica >= capabilities_.replicas) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("there is no replica {}", scope.replica));
  }
  const std::vector<std::size_t> replicas = in(scope);
  if (auto permitted = permits(setting, replicas); !permitted) {
    return tl::unexpected(permitted.error());
  }
  return write(setting, replicas);
}

// Everything that can be said before anything is written.
Status VllmEngine::permits(const Config& setting, const std::vector<std::size_t>& scope) {
  if (setting.size() != space_.slots()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{} values for {} knobs", setting.size(), space_.slots()));
  }
  if (const auto i = space_.first_violation(setting)) {
    const Parameter& p = space_[*i];
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{}: {} is outside [{}, {}] in steps of {}", p.name, setting[*i], p.min,
                            p.max, p.grid_step()));
  }
  for (const std::size_t i : scope) {
    Replica& replica = *replicas_[i];
    const Health health = replica.health();
    const std::string where = fmt::format("replica {} ({})", i, target_.replicas[i].url);
    if (health == Health::kDown) {
      return fail(ErrorCode::kUnavailable, fmt::format("{} is down: {}", where, replica.why()));
    }
    if (health == Health::kUnqualified) {
      return fail(ErrorCode::kRefused, fmt::format("{} is not the engine that was attached to: {}",
                                                   where, replica.why()));
    }
    if (!replica.telemetry().fresh() && setting != confirmed_) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{}: {}: until its effect can be seen, only the confirmed setting is "
                              "put in force",
                              where, replica.telemetry().trouble()));
    }
    if (replica.steering() == nullptr) continue;
    if (auto rules = check_rules(knobs_, setting, replica.steering()->rank()); !rules) return rules;
  }
  return {};
}

std::vector<Change> VllmEngine::live_changes(const Replica& replica, const Config& setting) const {
  const Config now = config_of(replica);
  std::vector<Change> changes;
  bool any = false;
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    if (!knobs_[k].kind->slot) continue;
    any = any || setting[k] != now[k];
    changes.emplace_back(*knobs_[k].kind->slot, std::llround(setting[k]));
  }
  // A command gives every tuned value: one that is left out would be the boot value.
  return any ? changes : std::vector<Change>{};
}

Result<Config> VllmEngine::write(const Config& setting, const std::vector<std::size_t>& scope) {
  asked_ = setting;
  Config effective = setting;
  for (const std::size_t i : scope) {
    Replica& replica = *replicas_[i];
    if (auto restarted = restart_where_needed(i, setting); !restarted) {
      return tl::unexpected(restarted.error());
    }
    const std::vector<Change> changes = live_changes(replica, setting);
    if (!changes.empty()) {
      if (auto taken = replica.command(changes); !taken) {
        return tl::unexpected(taken.error().with_context(target_.replicas[i].url));
      }
    }
    const Config now = config_of(replica);
    if (now != setting) effective = now;
  }
  return effective;
}

RestartValues VllmEngine::restart_values(const Config& setting) const {
  RestartValues out;
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    if (knobs_[k].kind->slot) continue;
    out.emplace_back(knobs_[k].kind->name, wire::write_json(wire::compact_number(setting[k])));
  }
  return out;
}

Status VllmEngine::restart_where_needed(std::size_t i, const Config& setting) {
  Replica& replica = *replicas_[i];
  const Config now = config_of(replica);
  bool needed = false;
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    needed = needed || (!knobs_[k].kind->slot && setting[k] != now[k]);
  }
  if (!needed) return {};
  const std::uint64_t epoch = replica.epoch();
  const RollingRequest request{.replica = i,
                               .url = target_.replicas[i].url,
                               .command = target_.replicas[i].restart,
                               .wanted = restart_values(setting),
                               .former = restart_values(now)};
  const RollingTools tools{.router = world_.router.get(),
                           .run = world_.run,
                           .http = world_.http,
                           .clock = &clock_,
                           .is_new =
                               [&] {
                                 replica.look();
                                 return replica.epoch() != epoch;
                               },
                           .meanwhile = {}};
  const Status rolled = roll(request, tools);
  // Another capacity is what was asked for.
  if (const auto qualified = replica.requalify(); !qualified && rolled) return qualified;
  return rolled;
}

// --- Readings -----------------------------------------------------------------------------------
serving::Observation VllmEngine::observe(Scope scope) {
  serving::Observation out;
  out.classes.resize(capabilities_.classes.size());
  const std::vector<std::size_t> replicas = in(scope);
  for (const std::size_t i : replicas) {
    Replica& replica = *replicas_[i];
    replica.look();
    for (std::size_t c = 0; c < out.classes.size(); ++c) {
      add(out.classes[c], replica.telemetry().counters()[c]);
    }
    out.epoch += replica.epoch();
    out.running += replica.running();
    out.waiting += replica.waiting();
    out.kv_use += replica.kv_use() / static_cast<double>(replicas.size());
    out.fresh = out.fresh && replica.fresh();
    out.acknowledged = out.acknowledged && replica.in_force().acknowledged;
    // One that differs says more than those that agree.
    const Config now = config_of(replica);
    if (out.effective.empty() || out.effective == asked_) out.effective = now;
  }
  out.at = clock_.now();
  out.paid_dollars = to_seconds(out.at - since_) / 3600 * target_.scraped.options.dollars_per_hour *
                     static_cast<double>(replicas.size());
  return out;
}

void VllmEngine::look() {
  for (const auto& replica : replicas_) replica->glance_at_page();
}

Health VllmEngine::health() {
  Health worst = Health::kOk;
  why_.clear();
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    const Health health = replicas_[i]->health();
    if (badness(health) <= badness(worst)) continue;
    worst = health;
    why_ = fmt::format("{}: {}", target_.replicas[i].url, replicas_[i]->why());
  }
  return worst;
}

// --- The way back -------------------------------------------------------------------------------
Status VllmEngine::confirm() {
  std::vector<Slot> tuned;
  for (const Knob& knob : knobs_) {
    if (knob.kind->slot) tuned.push_back(*knob.kind->slot);
  }
  for (const auto& replica : replicas_) {
    if (auto kept = replica->confirm(tuned); !kept) return kept;
  }
  confirmed_ = config_of(*replicas_.front());
  return {};
}

Status VllmEngine::renew(Duration lease) {
  for (const auto& replica : replicas_) replica->renew(lease);
  return {};
}

Status VllmEngine::requalify() {
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    Replica& replica = *replicas_[i];
    // The domains first: an engine that cannot take every setting stays unqualified.
    replica.glance();
    const auto fits =
        resolve_knobs(capabilities_.knobs, offers(replica.facts()), InForce::kAnything);
    if (!fits) {
      return fail(ErrorCode::kRefused,
                  fmt::format("{}: {}", target_.replicas[i].url, fits.error().message));
    }
    if (auto qualified = replica.requalify(); !qualified) return qualified;
    if (i == 0) knobs_ = *fits;
  }
  const std::vector<serving::Slo> classes = capabilities_.classes;
  describe(classes);
  return {};
}

}  // namespace arqon::adapters::vllm
