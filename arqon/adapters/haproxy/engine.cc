#include "arqon/adapters/haproxy/engine.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "arqon/wire/diagnostic.h"

namespace arqon::adapters::haproxy {
namespace {

using serving::Health;
using serving::Observation;

constexpr std::string_view kWeightsKnob = "router_weights";
constexpr std::string_view kMaxconnKnob = "batch_size";
constexpr double kOfferedCapMin = 1;

std::string_view knob_of(std::string_view address) {
  return address.substr(address.rfind('.') + 1);
}

bool is_weights(std::string_view address) {
  return knob_of(address) == kWeightsKnob || address == "router.weights";
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

tl::unexpected<Error> refuse(const Parameter& knob, std::string why) {
  return fail(ErrorCode::kInvalidConfig, fmt::format("knob \"{}\": {}", knob.name, why));
}

Status check_static(const Backend& backend) {
  if (takes_weights(backend.algorithm)) return {};
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("backend \"{}\" balances by {}, whose weights are fixed at start; use "
                          "\"balance roundrobin\" (or random, leastconn)",
                          backend.name, backend.algorithm));
}

}  // namespace

Result<std::unique_ptr<HaproxyEngine>> HaproxyEngine::attach(const AttachRequest& request) {
  std::vector<std::string> keys = option_keys();
  keys.insert(keys.end(), {"pool", "model", "settle_s"});
  TargetReader reader(request.target, std::move(keys));
  Options options = read_options(reader);
  (void)reader.text("pool", "main");
  (void)reader.text("model", "");
  (void)reader.number("settle_s", 2, 0, 600);
  for (const auto& [server, price] : options.prices) {
    if (price.per_token == 0) continue;
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("target.prices.{}: HAProxy does not see tokens; give per_request or "
                            "per_second",
                            server));
  }
  if (const Status ok = reader.status(); !ok) return tl::unexpected(ok.error());
  if (request.actuator_only) options.log.reset();  // its lines go to one reader: the tuner
  auto front = Front::open(std::move(options), request.classes);
  if (!front) return tl::unexpected(front.error());
  auto engine =
      std::make_unique<HaproxyEngine>(HaproxyEngine(std::move(*front), request.clock));
  if (const Status ok = engine->bind(request); !ok) return tl::unexpected(ok.error());
  return engine;
}

Status HaproxyEngine::bind(const AttachRequest& request) {
  std::vector<Parameter> knobs = request.knobs.empty() ? offered() : request.knobs;
  std::size_t slot = 0;
  for (const Parameter& knob : knobs) {
    auto bound = bind_knob(knob, slot);
    if (!bound) return tl::unexpected(bound.error());
    bound_.push_back(std::move(*bound));
    slot += knob.slots();
  }
  if (bound_.empty()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("backend \"{}\" offers nothing to tune: one server needs a maxconn, "
                            "several need a dynamic balance algorithm",
                            front_.backend().name));
  }
  describe(request, std::move(knobs));
  return {};
}

std::vector<Parameter> HaproxyEngine::offered() const {
  const Backend& backend = front_.backend();
  if (backend.servers.size() > 1) {
    if (!takes_weights(backend.algorithm)) return {};
    return {Parameter{.name = fmt::format("router.{}", kWeightsKnob),
                      .type = ParamType::kSimplex,
                      .choices = front_.server_names(),
                      .default_value = {},
                      .unit = {}}};
  }
  const auto cap = backend.servers[0].maxconn;
  if (!cap || *cap < 2 || *cap > kMaxconnMax) return {};
  return {Parameter{.name = fmt::format("main.{}", kMaxconnKnob),
                    .type = ParamType::kInt,
                    .scale = Scale::kLog,
                    .min = kOfferedCapMin,
                    .max = static_cast<double>(*cap),
                    .choices = {},
                    .default_value = {},
                    .unit = "requests"}};
}

Result<HaproxyEngine::Bound> HaproxyEngine::bind_knob(const Parameter& knob,
                                                      std::size_t slot) const {
  if (is_weights(knob.name)) return bind_weights(knob, slot);
  if (knob_of(knob.name) == kMaxconnKnob) return bind_maxconn(knob, slot);
  const std::string near = wire::nearest_name(
      knob_of(knob.name), {std::string(kWeightsKnob), std::string(kMaxconnKnob)});
  return refuse(knob, fmt::format("HAProxy has router.{} and POOL.{}{}", kWeightsKnob, kMaxconnKnob,
                                  near.empty() ? "" : "; did you mean \"" + near + "\"?"));
}

Result<HaproxyEngine::Bound> HaproxyEngine::bind_weights(const Parameter& knob,
                                                         std::size_t slot) const {
  if (const Status ok = check_static(front_.backend()); !ok) return tl::unexpected(ok.error());
  const std::vector<std::string>& names = front_.server_names();
  if (knob.type != ParamType::kSimplex || knob.choices.size() != names.size()) {
    return refuse(knob, fmt::format("must be a simplex over the servers {}", joined(names)));
  }
  if (names.size() > static_cast<std::size_t>(kWeightMax)) {
    return refuse(knob, fmt::format("more than {} servers", kWeightMax));
  }
  Bound bound{.what = Bound::What::kWeights, .slot = slot, .server = {}};
  for (const std::string& choice : knob.choices) {
    const auto place = front_.place_of(choice);
    if (!place) {
      return refuse(knob, fmt::format("backend \"{}\" has no server \"{}\"; it has {}",
                                      front_.backend().name, choice, joined(names)));
    }
    bound.server.push_back(*place);
  }
  return bound;
}

Result<HaproxyEngine::Bound> HaproxyEngine::bind_maxconn(const Parameter& knob,
                                                         std::size_t slot) const {
  const Backend& backend = front_.backend();
  if (backend.servers.size() != 1) {
    return refuse(knob, fmt::format("backend \"{}\" has {} servers: HAProxy would skip a full one "
                                    "instead of queueing, so that maxconn caps nothing; give each "
                                    "server a backend of its own",
                                    backend.name, backend.servers.size()));
  }
  if (knob.type != ParamType::kInt || !(knob.min >= 1) ||
      !(knob.max <= static_cast<double>(kMaxconnMax))) {
    return refuse(knob, fmt::format("must be an integer between 1 and {}", kMaxconnMax));
  }
  if (!backend.servers[0].maxconn) {
    return refuse(knob, fmt::format("server {}/{} has no limit; write \"maxconn N\" on its line",
                                    backend.name, backend.servers[0].name));
  }
  return Bound{.what = Bound::What::kMaxconn, .slot = slot, .server = {0}};
}

void HaproxyEngine::describe(const AttachRequest& request, std::vector<Parameter> knobs) {
  serving::Capabilities& c = capabilities_;
  c.engine = "haproxy " + front_.process().version;
  c.identity.engine = c.engine;
  const wire::Value* model = request.target.find("model");
  if (model != nullptr && model->as_string() != nullptr) c.identity.model = *model->as_string();
  const wire::Value* settle = request.target.find("settle_s");
  const Duration settles = from_seconds(settle == nullptr ? 2.0 : settle->number());
  for (std::size_t k = 0; k < knobs.size(); ++k) {
    if (knobs[k].change_class != ChangeClass::kForbidden) {
      knobs[k].change_class = ChangeClass::kLive;
    }
    const bool weights = bound_[k].what == Bound::What::kWeights;
    c.facts.push_back(
        {.boot_capacity = serving::kNoLimit,
         .readback = true,
         .apply_cost = std::chrono::milliseconds(1),
         .note = weights ? "set server weight, 256 parts; the split is believed when the servers' "
                           "own counters show it"
                         : "set maxconn server; more requests wait in HAProxy's queue"});
    c.settle.push_back(settles);
  }
  c.knobs = std::move(knobs);
  c.classes = request.classes;
  c.boot = in_force();
  last_.at = clock_.now();
  last_.effective = c.boot;
  last_.classes.resize(c.classes.size());
}

std::vector<int> HaproxyEngine::asked_weights(const Bound& bound, const Config& setting) const {
  return to_weights(std::span(setting).subspan(bound.slot, bound.server.size()));
}

Config HaproxyEngine::in_force() const {
  const std::vector<Server>& servers = front_.backend().servers;
  const std::vector<std::string>& names = front_.server_names();
  Config out;
  for (const Bound& bound : bound_) {
    if (bound.what == Bound::What::kMaxconn) {
      const auto cap = servers.empty() ? std::nullopt : servers[0].maxconn;
      out.push_back(static_cast<double>(cap.value_or(kMaxconnMax)));
      continue;
    }
    std::vector<int> weights;
    for (const std::size_t place : bound.server) {
      const Server* server = front_.backend().find(names[place]);
      weights.push_back(server == nullptr ? 0 : server->weight);
    }
    if (!asked_.empty() && asked_weights(bound, asked_) == weights) {
      const auto from = asked_.begin() + static_cast<std::ptrdiff_t>(bound.slot);
      out.insert(out.end(), from, from + static_cast<std::ptrdiff_t>(weights.size()));
      continue;
    }
    const std::vector<double> shares = to_shares(weights);
    out.insert(out.end(), shares.begin(), shares.end());
  }
  return out;
}

bool HaproxyEngine::look() {
  const std::uint64_t epoch = front_.epoch();
  answering_ = front_.look(clock_.now());
  if (front_.epoch() != epoch) share_check_.cancel();
  return answering_;
}

Status HaproxyEngine::write(const Bound& bound, const Config& setting) {
  const Backend& backend = front_.backend();
  const std::vector<std::string>& names = front_.server_names();
  if (bound.what == Bound::What::kMaxconn) {
    return front_.runtime().set_maxconn(backend.name, names[0],
                                        static_cast<std::int64_t>(setting[bound.slot]));
  }
  const std::vector<int> weights = asked_weights(bound, setting);
  std::vector<std::pair<std::string, int>> commands;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    commands.emplace_back(names[bound.server[i]], weights[i]);
  }
  return front_.runtime().set_weights(backend.name, commands);
}

Result<Config> HaproxyEngine::apply(const Config& setting, serving::Scope scope) {
  const Space space(capabilities_.knobs);
  if (!space.contains(setting)) {
    return fail(ErrorCode::kInvalidConfig, "the setting is outside the knobs' domain");
  }
  if (scope.replica > 0 || scope.replica < serving::Scope::kAll) {
    return fail(ErrorCode::kInvalidConfig, "a HAProxy backend is one replica");
  }
  if (!look()) return fail(ErrorCode::kUnavailable, "HAProxy's runtime socket does not answer");
  if (const std::string why = front_.stranger(); !why.empty()) {
    return fail(ErrorCode::kRefused, why);
  }
  const Config before = in_force();
  bool wrote_weights = false;
  for (std::size_t k = 0; k < bound_.size(); ++k) {
    const auto from = static_cast<std::ptrdiff_t>(bound_[k].slot);
    const auto to = from + static_cast<std::ptrdiff_t>(bound_[k].server.size());
    if (std::equal(before.begin() + from, before.begin() + to, setting.begin() + from)) continue;
    if (const Status ok = write(bound_[k], setting); !ok) return tl::unexpected(ok.error());
    wrote_weights = wrote_weights || bound_[k].what == Bound::What::kWeights;
  }
  const Config asked_before = std::exchange(asked_, setting);
  if (!look()) return fail(ErrorCode::kUnavailable, "HAProxy took the change and fell silent");
  if (in_force() != setting) asked_ = asked_before;
  Config now = in_force();
  if (now == before && now != setting) {
    return fail(ErrorCode::kConflict, "HAProxy said yes and changed nothing");
  }
  if (wrote_weights) expect_shares();
  return now;
}

void HaproxyEngine::written_for_us(const Config& setting, serving::Scope) {
  const Config before = in_force();
  if (!look()) return;
  const Config asked_before = std::exchange(asked_, setting);
  if (in_force() != setting) {
    asked_ = asked_before;
  } else if (before != setting &&
             std::any_of(bound_.begin(), bound_.end(),
                         [](const Bound& b) { return b.what == Bound::What::kWeights; })) {
    expect_shares();
  }
}

// From here on the counters must show the new split.
void HaproxyEngine::expect_shares() {
  const Backend& backend = front_.backend();
  if (!shares_by_weight(backend.algorithm)) return share_check_.cancel();
  std::vector<std::uint64_t> sent;
  std::vector<int> weights;
  for (const Server& server : backend.servers) {
    sent.push_back(server.sent);
    weights.push_back(server.up() ? server.weight : 0);
  }
  share_check_.begin(std::move(sent), to_shares(weights));
}

Observation HaproxyEngine::observe(serving::Scope) {
  if (!look()) {
    last_.at = clock_.now();
    last_.fresh = false;
    return last_;
  }
  const Backend& backend = front_.backend();
  std::vector<std::uint64_t> sent;
  for (const Server& server : backend.servers) sent.push_back(server.sent);
  share_check_.look(sent);
  Observation now;
  now.at = clock_.now();
  now.epoch = front_.epoch();
  now.classes = front_.log() != nullptr
                    ? front_.log()->total()
                    : std::vector<serving::ClassCounters>(capabilities_.classes.size());
  now.paid_dollars = front_.paid_dollars();
  now.effective = in_force();
  now.acknowledged = share_check_.settled();
  now.fresh = front_.log_trouble().empty();
  now.waiting = static_cast<double>(backend.queued);
  now.running = static_cast<double>(backend.open - std::min(backend.open, backend.queued));
  last_ = now;
  return now;
}

Health HaproxyEngine::health() {
  if (!look()) return front_.stranger().empty() ? Health::kDown : Health::kUnqualified;
  if (!front_.stranger().empty()) return Health::kUnqualified;
  if (front_.stuck(clock_.now())) return Health::kDegraded;
  for (const Server& server : front_.backend().servers) {
    const bool wanted = server.weight > 0 && !server.drained() && !server.in_maintenance();
    if (wanted && !server.up()) return Health::kDegraded;
  }
  return Health::kOk;
}

Status HaproxyEngine::requalify() {
  if (!look() && front_.stranger().empty()) {
    return fail(ErrorCode::kUnavailable, "HAProxy's runtime socket does not answer");
  }
  for (std::size_t k = 0; k < bound_.size(); ++k) {
    const bool weights = bound_[k].what == Bound::What::kWeights;
    if (weights) {
      if (const Status ok = check_static(front_.backend()); !ok) return ok;
    } else if (front_.backend().servers.size() != 1 || !front_.backend().servers[0].maxconn) {
      return fail(ErrorCode::kInvalidConfig, "the server has no maxconn any more");
    }
  }
  if (const Status ok = front_.accept(); !ok) return ok;
  capabilities_.engine = "haproxy " + front_.process().version;
  capabilities_.identity.engine = capabilities_.engine;
  return {};
}

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request) {
  auto engine = HaproxyEngine::attach(request);
  if (!engine) return tl::unexpected(engine.error());
  return std::unique_ptr<serving::Engine>(std::move(*engine));
}

}  // namespace arqon::adapters::haproxy
