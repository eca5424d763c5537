// How a llama.cpp fleet is attached to: its target, its knobs, and what doctor shows of one server.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/adapters/llamacpp/engine.h"
#include "arqon/adapters/target_reader.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::adapters::llamacpp {
namespace {

constexpr std::string_view kCapName = "batch_size";
constexpr std::string_view kSlotsName = "slots";
constexpr std::string_view kContextName = "kv_cache_size";
constexpr std::string_view kDraftName = "speculative_decoding_k";
constexpr double kSlotsMaxOffered = 64;

std::string_view knob_of(std::string_view address) {
  return address.substr(address.rfind('.') + 1);
}

Duration seconds(TargetReader& reader, std::string_view key, double fallback) {
  return from_seconds(reader.number(key, fallback, 0.01, 3600));
}

tl::unexpected<Error> refuse(const Parameter& knob, std::string_view why) {
  return fail(ErrorCode::kInvalidConfig, fmt::format("knob \"{}\": {}", knob.name, why));
}

}  // namespace

Result<std::unique_ptr<LlamaEngine>> LlamaEngine::attach(const AttachRequest& request) {
  const wire::Value* router = request.target.find("router");
  if (router == nullptr || router->as_object() == nullptr) {
    return fail(ErrorCode::kInvalidConfig,
                "target.router: a llama.cpp fleet is tuned through HAProxy; give a haproxy target "
                "(socket, backend, log)");
  }
  TargetReader router_reader(*router, haproxy::option_keys());
  haproxy::Options options = haproxy::read_options(router_reader);
  if (const Status ok = router_reader.status(); !ok) {
    return tl::unexpected(ok.error().with_context("target.router"));
  }
  if (request.actuator_only) options.log.reset();  // its lines go to one reader: the tuner
  auto front = haproxy::Front::open(std::move(options), request.classes);
  if (!front) return tl::unexpected(front.error());
  auto engine = std::make_unique<LlamaEngine>(LlamaEngine(std::move(*front), request.clock));
  for (const auto step : {&LlamaEngine::read_target, &LlamaEngine::bind}) {
    if (const Status ok = ((*engine).*step)(request); !ok) return tl::unexpected(ok.error());
  }
  return engine;
}

Status LlamaEngine::read_target(const AttachRequest& request) {
  TargetReader reader(request.target, {"replicas", "router", "model", "context_min", "timeout_s",
                                       "drain_s", "restart_s", "ready_s", "settle_s", "stall_s"});
  capabilities_.identity.model = reader.text("model", "");
  context_min_ = reader.integer("context_min", 1, 1, std::int64_t{1} << 30);
  stall_ = seconds(reader, "stall_s", 60);
  (void)reader.number("settle_s", 2, 0, 600);
  const Patience patience{.answer = seconds(reader, "timeout_s", 1),
                          .drain = seconds(reader, "drain_s", 60),
                          .restart = seconds(reader, "restart_s", 60),
                          .ready = seconds(reader, "ready_s", 60)};
  const wire::Value* replicas = reader.find("replicas");
  const wire::Array* array = replicas == nullptr ? nullptr : replicas->as_array();
  if (array == nullptr || array->empty()) {
    reader.complain(replicas == nullptr ? request.target : *replicas, "replicas",
                    "must be a list of objects with \"url\" and \"server\"");
  }
  if (const Status ok = reader.status(); !ok) return ok;
  for (std::size_t i = 0; i < array->size(); ++i) {
    if (const Status ok = read_replica((*array)[i], i, patience); !ok) return ok;
  }
  return first_look();
}

Status LlamaEngine::read_replica(const wire::Value& value, std::size_t index,
                                 const Patience& patience) {
  const std::string where = fmt::format("target.replicas[{}]", index);
  if (value.as_object() == nullptr) return fail(ErrorCode::kInvalidConfig, where + " is no object");
  TargetReader reader(value, {"url", "server", "cap_backend", "restart", "preset", "draft_max"});
  ReplicaOptions options{.url = reader.url("url"),
                         .server = reader.text("server"),
                         .cap_backend = reader.text("cap_backend", ""),
                         .restart = reader.command("restart"),
                         .preset = reader.text("preset", ""),
                         .draft_max = reader.integer("draft_max", 0, 0, 64)};
  if (const Status ok = reader.status(); !ok) {
    return tl::unexpected(ok.error().with_context(where));
  }
  const auto place = front_.place_of(options.server);
  if (!place) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{}: HAProxy's backend \"{}\" has no server \"{}\"; it has {}", where,
                            front_.options().backend, options.server,
                            fmt::join(front_.server_names(), ", ")));
  }
  if (!options.restart.empty() && !options.preset.empty()) {
    return fail(ErrorCode::kInvalidConfig, where + ": give \"restart\" or \"preset\", not both");
  }
  if (!options.preset.empty() && capabilities_.identity.model.empty()) {
    return fail(ErrorCode::kInvalidConfig,
                where + ": \"preset\" needs target.model, the name of its section");
  }
  double per_token = 0;
  for (const auto& [server, price] : front_.options().prices) {
    if (server == options.server) per_token = price.per_token;
  }
  members_.push_back(Member{
      .replica = Replica(std::move(options), capabilities_.identity.model, patience),
      .place = *place,
      .props = {},
      .seen = {},
      .slots = {},
      .metrics = {},
      .per_token = per_token,
      .decoded_at = clock_.now()});
  return {};
}

Status LlamaEngine::first_look() {
  for (Member& member : members_) {
    const auto props = member.replica.server().props();
    if (!props) return tl::unexpected(props.error());
    const auto slots = member.replica.server().slots();
    if (!slots) return tl::unexpected(slots.error());
    const auto metrics = member.replica.server().metrics();
    if (!metrics) return tl::unexpected(metrics.error());
    member.props = member.seen = *props;
    member.slots = *slots;
    member.metrics = *metrics;
    member.replica.found(*slots);
  }
  capabilities_.engine = "llama.cpp " + members_[0].props.build;
  capabilities_.identity.engine = capabilities_.engine;
  if (capabilities_.identity.model.empty()) {
    capabilities_.identity.model = members_[0].props.model;
  }
  return read_caps();
}

LlamaEngine::Knob LlamaEngine::cap_or(std::string_view name, bool& known) const {
  known = true;
  const std::string_view knob = knob_of(name);
  if (knob == kCapName) return Knob::kCap;
  if (knob == kSlotsName) return Knob::kSlots;
  if (knob == kContextName) return Knob::kContext;
  known = knob == kDraftName;
  return Knob::kDraft;
}

Status LlamaEngine::check_knob(Knob knob, const Parameter& p) const {
  if (p.type != ParamType::kInt || p.min < (knob == Knob::kDraft ? 0 : 1)) {
    return refuse(p, "must be an integer above 0");
  }
  if (knob == Knob::kCap) {
    if (has_cap()) return {};
    return refuse(p, "needs a HAProxy backend of one server with a maxconn in front of each "
                     "replica; name it in target.replicas[].cap_backend");
  }
  if (!can_change_flags()) {
    return refuse(p, "llama.cpp has no live form of this flag; give each replica a \"restart\" "
                     "command, or a \"preset\" where it runs in router mode");
  }
  return {};
}

std::vector<Parameter> LlamaEngine::offered() const {
  std::vector<Parameter> knobs;
  const auto add = [&](std::string_view name, double max, ChangeClass change_class) {
    knobs.push_back(Parameter{.name = fmt::format("main.{}", name),
                              .type = ParamType::kInt,
                              .scale = Scale::kLog,
                              .min = 1,
                              .max = max,
                              .choices = {},
                              .default_value = {},
                              .unit = {},
                              .change_class = change_class});
  };
  const double slots = members_[0].slots.count;
  if (has_cap() && slots > 1) add(kCapName, slots, ChangeClass::kLive);
  if (can_change_flags()) {
    add(kSlotsName, std::max(kSlotsMaxOffered, slots), ChangeClass::kRestart);
  }
  return knobs;
}

Status LlamaEngine::bind(const AttachRequest& request) {
  std::vector<Parameter> knobs = request.knobs.empty() ? offered() : request.knobs;
  for (const Parameter& knob : knobs) {
    bool known = false;
    const Knob which = cap_or(knob.name, known);
    if (!known) {
      const std::string near = wire::nearest_name(
          knob_of(knob.name), {std::string(kCapName), std::string(kSlotsName),
                               std::string(kContextName), std::string(kDraftName)});
      return refuse(knob, fmt::format("llama.cpp has POOL.batch_size, slots, kv_cache_size and "
                                      "speculative_decoding_k{}",
                                      near.empty() ? "" : "; did you mean \"" + near + "\"?"));
    }
    if (const Status ok = check_knob(which, knob); !ok) return ok;
    knobs_.push_back(which);
  }
  if (knobs_.empty()) {
    return fail(ErrorCode::kInvalidConfig,
                "nothing to tune: give the replicas a cap_backend, or a restart command");
  }
  describe(request, std::move(knobs));
  return {};
}

void LlamaEngine::describe(const AttachRequest& request, std::vector<Parameter> knobs) {
  serving::Capabilities& c = capabilities_;
  const wire::Value* settle = request.target.find("settle_s");
  const Duration settles = from_seconds(settle == nullptr ? 2.0 : settle->number());
  for (std::size_t k = 0; k < knobs.size(); ++k) {
    const bool cap = knobs_[k] == Knob::kCap;
    const bool reload = !members_[0].replica.options().preset.empty();
    if (knobs[k].change_class != ChangeClass::kForbidden) {
      knobs[k].change_class = cap      ? ChangeClass::kLive
                              : reload ? ChangeClass::kReload
                                       : ChangeClass::kRestart;
    }
    serving::KnobFacts facts;
    facts.readback = knobs_[k] != Knob::kDraft;
    facts.apply_cost = cap ? Duration(std::chrono::milliseconds(1))
                           : Duration(std::chrono::seconds(2) * members_.size());
    facts.note = cap ? "maxconn of the HAProxy backend in front of each replica"
                     : "one replica at a time: out of HAProxy, empty, changed, back";
    c.facts.push_back(std::move(facts));
    c.settle.push_back(settles);
  }
  c.knobs = std::move(knobs);
  c.classes = request.classes;
  c.replicas = static_cast<int>(members_.size());
  c.boot = fleet_values();
}

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request) {
  auto engine = LlamaEngine::attach(request);
  if (!engine) return tl::unexpected(engine.error());
  return std::unique_ptr<serving::Engine>(std::move(*engine));
}

Result<Probe> probe(std::string_view url, Clock&) {
  while (url.ends_with('/')) url.remove_suffix(1);
  Server server(std::string(url), "", std::chrono::seconds(2));
  Probe out;
  const auto props = server.props();
  if (!props) {
    out.notes.push_back(props.error().message);
    out.next.emplace_back("start llama-server with --props --slots --metrics, and give its URL");
    return out;
  }
  out.reachable = true;
  out.identity = {.engine = "llama.cpp " + props->build, .model = props->model, .hardware = {}};
  const auto slots = server.slots();
  const auto metrics = server.metrics();
  const std::string restart = "a flag: changed by drain, restart, ready of one replica at a time";
  out.knobs.push_back({"POOL.batch_size", "maxconn of HAProxy", "absent", "",
                       "llama.cpp has no live cap; HAProxy's maxconn in a one-server backend in "
                       "front of it is one"});
  out.knobs.push_back({"POOL.slots", "--parallel", "restart",
                       slots ? std::to_string(slots->count) : "", restart});
  out.knobs.push_back({"POOL.kv_cache_size", "--ctx-size", "restart",
                       slots ? std::to_string(slots->count * slots->context) : "", restart});
  out.knobs.push_back({"POOL.speculative_decoding_k", "--spec-draft-n-max", "restart",
                       slots && !slots->speculative ? "0" : "", restart});
  if (!slots) out.notes.push_back(slots.error().message);
  if (!metrics) out.notes.push_back(metrics.error().message);
  out.notes.emplace_back("POST /props answers \"success\" and changes nothing");
  out.notes.emplace_back("SIGTERM does not drain: requests in flight are lost");
  out.next.emplace_back("put HAProxy in front of it as docs/howto/llamacpp.md shows");
  return out;
}

}  // namespace arqon::adapters::llamacpp
