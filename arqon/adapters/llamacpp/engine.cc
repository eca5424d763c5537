#include "arqon/adapters/llamacpp/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace arqon::adapters::llamacpp {
namespace {

using serving::Health;
using serving::Observation;

constexpr std::string_view kDown = "no llama.cpp server answers";

}  // namespace

bool LlamaEngine::has_cap() const {
  return std::all_of(members_.begin(), members_.end(), [](const Member& m) { return m.cap > 0; });
}

bool LlamaEngine::can_change_flags() const {
  return std::all_of(members_.begin(), members_.end(),
                     [](const Member& m) { return m.replica.can_change_flags(); });
}

// The caps in force, from the backend that stands in front of each replica.
Status LlamaEngine::read_caps() {
  const auto backends = front_.runtime().backends();
  if (!backends) return tl::unexpected(backends.error());
  for (Member& member : members_) {
    const std::string& own = member.replica.options().cap_backend;
    const bool router_is_cap = own.empty() && front_.server_names().size() == 1;
    if (own.empty() && !router_is_cap) continue;
    const std::string& name = router_is_cap ? front_.options().backend : own;
    const auto it = std::find_if(backends->begin(), backends->end(),
                                 [&](const haproxy::Backend& b) { return b.name == name; });
    if (it == backends->end() || it->servers.size() != 1) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("target.replicas: cap_backend \"{}\" must be a backend of HAProxy "
                              "with one server",
                              name));
    }
    member.cap = it->servers[0].maxconn.value_or(0);
    member.cap_queued = router_is_cap ? 0 : it->queued;  // the router's own queue counts already
  }
  return {};
}

Status LlamaEngine::write_cap(Member& member, std::int64_t cap) {
  const std::string& own = member.replica.options().cap_backend;
  const std::string& backend = own.empty() ? front_.options().backend : own;
  const auto now = front_.runtime().backend(backend);
  if (!now) return tl::unexpected(now.error());
  if (now->servers.size() != 1) return fail(ErrorCode::kRefused, "the cap's backend has changed");
  const std::string server = now->servers[0].name;
  if (const Status ok = front_.runtime().set_maxconn(backend, server, cap); !ok) return ok;
  const auto after = front_.runtime().backend(backend);
  if (!after) return tl::unexpected(after.error());
  const haproxy::Server* found = after->find(server);
  // Another value than before is a clamp, which the answer of apply shows.
  if (found == nullptr || !found->maxconn ||
      (found->maxconn != cap && found->maxconn == now->servers[0].maxconn)) {
    return fail(ErrorCode::kConflict, "HAProxy said yes and did nothing");
  }
  member.cap = *found->maxconn;
  return {};
}

Config LlamaEngine::values(const Member& member) const {
  const Flags flags = member.replica.flags(member.slots);
  Config out;
  for (const Knob knob : knobs_) {
    switch (knob) {
      case Knob::kCap: out.push_back(static_cast<double>(member.cap)); break;
      case Knob::kSlots: out.push_back(static_cast<double>(flags.slots)); break;
      case Knob::kContext: out.push_back(static_cast<double>(flags.context)); break;
      case Knob::kDraft: out.push_back(static_cast<double>(flags.draft_max)); break;
    }
  }
  return out;
}

Flags LlamaEngine::wanted(const Member& member, const Config& setting) const {
  Flags flags = member.replica.flags(member.slots);
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    const auto value = static_cast<std::int64_t>(setting[k]);
    if (knobs_[k] == Knob::kSlots) flags.slots = value;
    if (knobs_[k] == Knob::kContext) flags.context = value;
    if (knobs_[k] == Knob::kDraft) flags.draft_max = value;
  }
  return flags;
}

// What all replicas but the canary run with; where they differ, that of one which is not as asked.
Config LlamaEngine::fleet_values() const {
  Config out;
  for (std::size_t r = 0; r < members_.size(); ++r) {
    if (canary_ == r && members_.size() > 1) continue;
    Config own = values(members_[r]);
    if (out.empty() || (!fleet_asked_.empty() && own != fleet_asked_)) out = std::move(own);
  }
  return out;
}

void LlamaEngine::begin_epoch() {
  for (Member& member : members_) {
    member.tokens = member.good_tokens = member.pending = 0;
    member.ended = member.good = 0;
  }
}

// Tokens that a server has made are given to the requests that ended meanwhile, good ones in
// proportion; it is the best that can be said without a count per request.
void LlamaEngine::count_tokens(Member& member, double before) {
  const double since = member.metrics.tokens_predicted - before;
  const double made = since >= 0 ? since : member.metrics.tokens_predicted;
  member.pending += made;
  member.paid += made * member.per_token;
  if (front_.log() == nullptr) return;
  std::uint64_t ended = 0, good = 0;
  for (const serving::ClassCounters& c : front_.log()->of_server(member.place)) {
    ended += c.good + c.bad;
    good += c.good;
  }
  if (ended > member.ended) {
    member.tokens += member.pending;
    member.good_tokens += member.pending * static_cast<double>(good - member.good) /
                          static_cast<double>(ended - member.ended);
    member.pending = 0;
  }
  member.ended = ended;
  member.good = good;
}

void LlamaEngine::look_at(Member& member, TimePoint now) {
  const auto slots = member.replica.server().slots();
  const auto metrics = member.replica.server().metrics();
  member.fresh = slots.has_value() && metrics.has_value();
  if (!member.fresh) return;
  const Metrics before = member.metrics;
  if (metrics->decodes < before.decodes) ++restarts_;  // begun anew, and not by us
  // Not only then: another may have counted further meanwhile than the old one had.
  if (const auto props = member.replica.server().props(); props) member.seen = *props;
  member.busy_slots = busy_slots_between(before, *metrics);
  if (metrics->decodes != before.decodes || metrics->processing == 0) member.decoded_at = now;
  member.slots = *slots;
  member.metrics = *metrics;
  count_tokens(member, before.tokens_predicted);
}

bool LlamaEngine::look() {
  const std::uint64_t epoch = front_.epoch();
  const std::uint64_t restarts = restarts_;
  const TimePoint now = clock_.now();
  answering_ = front_.look(now) && read_caps();
  if (front_.epoch() != epoch) begin_epoch();
  for (Member& member : members_) look_at(member, now);
  if (restarts_ != restarts) {
    front_.begin_counting();
    begin_epoch();
  }
  return answering_;
}

std::string LlamaEngine::stranger() const {
  if (std::string why = front_.stranger(); !why.empty()) return why;
  for (const Member& member : members_) {
    if (!member.fresh) continue;
    if (member.seen != member.props) {
      return fmt::format("{} is {} with {} now and was {} with {}", member.replica.options().server,
                         member.seen.build, member.seen.model, member.props.build,
                         member.props.model);
    }
    const Config now = values(member);
    for (std::size_t k = 0; k < now.size(); ++k) {
      const Parameter& p = capabilities_.knobs[k];
      // A cap may be anything: it is live, and the next write puts it right.
      if (knobs_[k] == Knob::kCap || (now[k] >= p.min && now[k] <= p.max)) continue;
      return fmt::format("{} runs with {} = {}, outside {} to {}", member.replica.options().server,
                         p.name, now[k], p.min, p.max);
    }
  }
  return {};
}

Status LlamaEngine::check_setting(const Config& setting, serving::Scope scope) const {
  const Space space(capabilities_.knobs);
  if (!space.contains(setting)) {
    return fail(ErrorCode::kInvalidConfig, "the setting is outside the knobs' domain");
  }
  if (scope.replica < serving::Scope::kAll || scope.replica >= capabilities_.replicas) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("there is no replica {}", scope.replica));
  }
  const Flags flags = wanted(members_[0], setting);
  if (flags.context / flags.slots >= context_min_) return {};
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("{} tokens of context over {} slots leave {} a slot; context_min is {}",
                          flags.context, flags.slots, flags.context / flags.slots, context_min_));
}

// HAProxy learns of a dead server only after some failed checks; our own reading may know it first.
bool LlamaEngine::another_serves(const Member& member) const {
  return std::any_of(members_.begin(), members_.end(), [&](const Member& other) {
    const haproxy::Server* server = front_.backend().find(other.replica.options().server);
    return &other != &member && other.fresh && server != nullptr && server->up();
  });
}

// One replica to one setting. Flags first: a cap is never above what the slots were meant for.
Status LlamaEngine::put(Member& member, const Config& setting) {
  const Flags flags = wanted(member, setting);
  if (flags != member.replica.flags(member.slots)) {
    if (!look() || !another_serves(member)) {
      return fail(ErrorCode::kRefused,
                  fmt::format("{} is the last server that answers; taking it out would stop the "
                              "service",
                              member.replica.options().server));
    }
    const Status ok = member.replica.change(flags, front_, clock_);
    member.metrics = Metrics{};  // a new life of the server
    if (const auto slots = member.replica.server().slots(); slots) member.slots = *slots;
    if (!ok) return ok;
  }
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    const auto cap = static_cast<std::int64_t>(setting[k]);
    if (knobs_[k] != Knob::kCap || cap == member.cap) continue;
    if (const Status ok = write_cap(member, cap); !ok) return ok;
  }
  return {};
}

Result<Config> LlamaEngine::apply(const Config& setting, serving::Scope scope) {
  if (const Status ok = check_setting(setting, scope); !ok) return tl::unexpected(ok.error());
  if (!look()) return fail(ErrorCode::kUnavailable, "HAProxy's runtime socket does not answer");
  if (const std::string why = stranger(); !why.empty()) return fail(ErrorCode::kRefused, why);
  const bool all = scope.replica == serving::Scope::kAll;
  std::vector<std::pair<std::size_t, Config>> before;
  for (std::size_t r = 0; r < members_.size(); ++r) {
    if (!all && scope.replica != static_cast<int>(r)) continue;
    if (!members_[r].fresh) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{} does not answer", members_[r].replica.options().url));
    }
    before.emplace_back(r, values(members_[r]));
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    const Status ok = put(members_[before[i].first], setting);
    if (ok) continue;
    // Half a fleet is no setting: those that have moved go back, best effort.
    for (std::size_t j = 0; j < i; ++j) (void)put(members_[before[j].first], before[j].second);
    return tl::unexpected(ok.error());
  }
  remember(setting, scope);
  (void)look();
  return values(members_[before.back().first]);
}

void LlamaEngine::written_for_us(const Config& setting, serving::Scope scope) {
  const bool all = scope.replica == serving::Scope::kAll;
  for (std::size_t r = 0; r < members_.size(); ++r) {
    Member& member = members_[r];
    if (!all && scope.replica != static_cast<int>(r)) continue;
    const Flags to = wanted(member, setting);
    if (to == member.replica.flags(member.slots)) continue;
    const auto slots = member.replica.server().slots();
    if (!slots || !member.replica.changed_for_us(*slots, to)) continue;
    member.slots = *slots;
    member.metrics = Metrics{};  // a new life of the server
  }
  remember(setting, scope);
}

void LlamaEngine::remember(const Config& setting, serving::Scope scope) {
  if (scope.replica == serving::Scope::kAll) {
    fleet_asked_ = setting;
    canary_.reset();
  } else {
    canary_ = static_cast<std::size_t>(scope.replica);
  }
}

Observation LlamaEngine::observe(serving::Scope scope) {
  const bool answered = look();
  const bool one = scope.replica >= 0 && scope.replica < capabilities_.replicas;
  Observation now;
  now.at = clock_.now();
  now.epoch = front_.epoch() + restarts_;
  now.fresh = answered && front_.log_trouble().empty();
  now.paid_dollars = front_.paid_dollars();
  now.classes.resize(capabilities_.classes.size());
  double tokens = 0, good_tokens = 0;
  for (std::size_t r = 0; r < members_.size(); ++r) {
    if (one && static_cast<std::size_t>(scope.replica) != r) continue;
    const Member& m = members_[r];
    now.fresh = now.fresh && m.fresh;
    if (front_.log() != nullptr) haproxy::add(front_.log()->of_server(m.place), now.classes);
    now.running += m.metrics.processing;
    now.waiting += m.metrics.deferred + static_cast<double>(m.cap_queued);
    now.kv_use += m.slots.kv_use / (one ? 1.0 : static_cast<double>(members_.size()));
    now.paid_dollars += m.paid;
    tokens += m.tokens;
    good_tokens += m.good_tokens;
  }
  if (!one) now.waiting += static_cast<double>(front_.backend().queued);
  // Requests that found no server belong to the fleet alone.
  if (!one && front_.log() != nullptr) {
    haproxy::add(front_.log()->of_server(front_.server_names().size()), now.classes);
  }
  if (now.classes.size() == 1) {
    now.classes[0].output_tokens = static_cast<std::uint64_t>(tokens);
    now.classes[0].good_tokens = static_cast<std::uint64_t>(good_tokens);
  }
  now.effective = one ? values(members_[static_cast<std::size_t>(scope.replica)]) : fleet_values();
  return now;
}

Health LlamaEngine::health() {
  const bool answered = look();
  if (!stranger().empty()) return Health::kUnqualified;
  if (!answered) return Health::kDown;
  const auto alive = std::count_if(members_.begin(), members_.end(),
                                   [](const Member& member) { return member.fresh; });
  if (alive == 0) return Health::kDown;
  const bool all = alive == static_cast<std::ptrdiff_t>(members_.size());
  if (!all || front_.stuck(clock_.now())) return Health::kDegraded;
  for (const Member& member : members_) {
    const haproxy::Server* server = front_.backend().find(member.replica.options().server);
    if (server == nullptr || !server->up()) return Health::kDegraded;
    if (clock_.now() >= member.decoded_at + stall_) return Health::kDegraded;
  }
  return Health::kOk;
}

Status LlamaEngine::requalify() {
  if (!look()) return fail(ErrorCode::kUnavailable, "HAProxy's runtime socket does not answer");
  std::vector<Props> before;
  for (Member& member : members_) before.push_back(std::exchange(member.props, member.seen));
  const Status ok = front_.accept();
  const std::string why = ok ? stranger() : ok.error().message;
  if (why.empty()) return first_look();
  for (std::size_t r = 0; r < members_.size(); ++r) members_[r].props = before[r];
  return fail(ErrorCode::kInvalidConfig, why);
}

}  // namespace arqon::adapters::llamacpp
