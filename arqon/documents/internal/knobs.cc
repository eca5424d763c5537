#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/parameters.h"
#include "arqon/documents/internal/scenario_parts.h"

namespace arqon::documents::internal {
namespace {

// As many values as the guard can hold.
constexpr std::size_t kSlotsMax = 64;

std::vector<std::string> known_addresses(const sim::FleetSpec& fleet) {
  std::vector<std::string> out;
  for (const sim::PoolSpec& pool : fleet.pools) {
    for (const PoolKnob& knob : kPoolKnobs) {
      out.push_back(fmt::format("{}.{}", pool.name, knob.name));
    }
    for (const std::string_view knob : kCountKnobs) {
      out.push_back(fmt::format("{}.{}", pool.name, knob));
    }
  }
  for (const std::string_view knob :
       {kRouterWeights, kRouterPoolWeights, kRouterSpillDepth, kRouterThreshold}) {
    out.emplace_back(knob);
  }
  return out;
}

const sim::PoolSpec* find_pool(const sim::FleetSpec& fleet, std::string_view name) {
  for (const sim::PoolSpec& pool : fleet.pools) {
    if (pool.name == name) return &pool;
  }
  return nullptr;
}

const PoolKnob* find_knob(std::string_view name) {
  for (const PoolKnob& knob : kPoolKnobs) {
    if (knob.name == name) return &knob;
  }
  return nullptr;
}

std::string pools_hint(const sim::FleetSpec& fleet) {
  std::string out = "pools:";
  for (const sim::PoolSpec& pool : fleet.pools) {
    out += fmt::format("{} {}", &pool == fleet.pools.data() ? "" : ",", pool.name);
  }
  return out;
}

std::string knobs_hint() {
  std::string out = "knobs:";
  for (const PoolKnob& knob : kPoolKnobs) {
    out += fmt::format("{} {}", &knob == kPoolKnobs.data() ? "" : ",", knob.name);
  }
  for (const std::string_view knob : kCountKnobs) out += fmt::format(", {}", knob);
  return out;
}

struct Target {
  const sim::PoolSpec* pool = nullptr;
  const PoolKnob* knob = nullptr;
  std::string_view count;  // instead of knob: one of kCountKnobs
};

// What "pool.knob" or "pool/N.knob" leads to; nothing and recorded when that is nowhere.
std::optional<Target> resolve(const std::string& address, const Node& node,
                              const sim::FleetSpec& fleet) {
  const std::string near = wire::nearest_name(address, known_addresses(fleet));
  const std::string hint = near.empty() ? "" : fmt::format("did you mean \"{}\"?", near);
  const std::size_t dot = address.find('.');
  if (dot == std::string::npos) {
    return node.fail_key("an address is \"pool.knob\", \"pool/N.knob\" or \"router.weights\"",
                         hint);
  }
  const std::string_view scope = std::string_view(address).substr(0, dot);
  const std::size_t slash = scope.find('/');
  const sim::PoolSpec* pool = find_pool(fleet, scope.substr(0, slash));
  const std::string_view name = std::string_view(address).substr(dot + 1);
  const PoolKnob* knob = find_knob(name);
  if (pool == nullptr) {
    return node.fail_key("no pool has this name", hint.empty() ? pools_hint(fleet) : hint);
  }
  const auto count = std::find(kCountKnobs.begin(), kCountKnobs.end(), name);
  if (count != kCountKnobs.end()) {
    if (slash == std::string_view::npos) return Target{pool, nullptr, *count};
    return node.fail_key("is a knob of the pool, not of a replica");
  }
  if (knob == nullptr) {
    return node.fail_key("no knob has this name", hint.empty() ? knobs_hint() : hint);
  }
  if (slash == std::string_view::npos) return Target{pool, knob, {}};
  const std::string_view number = scope.substr(slash + 1);
  int replica = -1;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), replica);
  const bool whole = error == std::errc{} && end == number.data() + number.size();
  if (!whole || replica < 0 || replica >= seats_of(*pool)) {
    return node.fail_key(fmt::format("the replica must be 0 to {}", seats_of(*pool) - 1));
  }
  return Target{pool, knob, {}};
}

// Checks a pool's knob against what engines allow, and fills in what only the engine knows.
void fit_engine(const Section& section, const Target& target, Parameter& p) {
  const PoolKnob& knob = *target.knob;
  const ParamType wanted = knob.whole ? ParamType::kInt : ParamType::kFloat;
  if (p.type != wanted) {
    const Node at = section.has("type") ? section.get("type") : section.node();
    at.fail(fmt::format("this knob needs type \"{}\"", to_string(wanted)));
    return;
  }
  if (p.min < knob.min) {
    section.get("min").fail(fmt::format("must be {} or more", wire::shortest(knob.min)));
  }
  if (p.max > knob.max) {
    section.get("max").fail(fmt::format("must be {} or less", wire::shortest(knob.max)));
  }
  if (knob.name == "block_size" &&
      (std::fmod(p.min, 16) != 0 || std::fmod(p.grid_step(), 16) != 0 || p.max > 256)) {
    section.get(p.max > 256 ? "max" : "min").fail(fmt::format("each value {}", kBlockRule));
  }
  if (knob.restart && !section.has("class")) p.change_class = ChangeClass::kRestart;
  if (knob.restart && p.change_class != ChangeClass::kRestart &&
      p.change_class != ChangeClass::kForbidden) {
    section.get("class").fail("takes effect after a restart: class \"restart\" or \"forbidden\"");
  }
  const auto option = engine_option(target.pool->engine, knob.name);
  if (!p.default_value && option && Space({p}).contains(std::span(&*option, 1))) {
    p.default_value = std::vector<double>{*option};
  }
}

// Checks a count of replicas against the pool.
void fit_count(const Section& section, const Target& target, Parameter& p) {
  const bool all = target.count == kCountKnobs[0];
  const sim::PoolSpec& pool = *target.pool;
  if (p.type != ParamType::kInt) {
    (section.has("type") ? section.get("type") : section.node()).fail("this knob needs type "
                                                                      "\"int\"");
    return;
  }
  const int low = all ? 1 : 0, high = seats_of(pool) - (all ? 0 : 1);
  if (p.min < low) section.get("min").fail(fmt::format("must be {} or more", low));
  if (p.max > high) {
    section.get("max").fail(fmt::format("must be {} or less: the pool has {} replicas at most",
                                        high,
                                        seats_of(pool)));
  }
  const double now = all ? pool.replicas : pool.prefill_replicas;
  if (!p.default_value && Space({p}).contains(std::span(&now, 1))) {
    p.default_value = std::vector<double>{now};
  }
}

void check_simplex(const Section& section, const Parameter& p, std::size_t parts,
                   std::string_view each) {
  if (p.type == ParamType::kSimplex && p.choices.size() == parts) return;
  section.node().fail(fmt::format("must be a simplex with one choice per {}: {}", each, parts));
}

bool router_knob(std::string_view address) {
  return address == kRouterWeights || address == kRouterPoolWeights ||
         address == kRouterSpillDepth || address == kRouterThreshold;
}

void fit_router(const Section& section, const sim::FleetSpec& fleet, Parameter& p) {
  const sim::RouterSpec& router = fleet.router;
  if (p.name == kRouterWeights) {
    check_simplex(section, p, replicas_in_all(fleet), "replica, all pools in order");
    if (router.policy != "weighted") {
      section.node().fail_key("needs fleet.router.policy \"weighted\"");
    }
    return;
  }
  if (p.name == kRouterThreshold && !router.cascade) {
    section.node().fail_key("needs fleet.router.cascade");
  }
  if (p.name == kRouterPoolWeights) {
    check_simplex(section, p, fleet.pools.size(), "pool");
    if (router.cascade) section.node().fail_key("does not go with a cascade");
    return;
  }
  if (p.type != ParamType::kFloat && p.type != ParamType::kInt) {
    section.node().fail("must be a number");
  } else if (p.name == kRouterSpillDepth && p.min < 0) {
    section.get("min").fail("must be 0 or more");
  }
  if (p.name == kRouterSpillDepth && (!router.pool_weights.empty() || router.cascade)) {
    section.node().fail_key("does not go with pool_weights or a cascade");
  }
}

}  // namespace

Protective read_protective(const Node& node) {
  const Section section(node, kProtectiveKeys);
  Protective out;
  for (const std::string_view key : kProtectiveKeys) {
    if (const auto index = section.get(key).one_of(kProtectiveWays)) {
      out.emplace(key, *index == 0 ? -1 : 1);
    }
  }
  return out;
}

void read_knobs(const Node& node, Scenario& scenario) {
  std::vector<Parameter> parameters;
  std::size_t slots = 0;
  for (const auto& [address, member] : node.members(kSlotsMax)) {
    const Section section(member, kKnobKeys);
    const bool router = router_knob(address);
    const auto target = router ? std::nullopt : resolve(address, member, scenario.fleet);
    auto parameter = read_parameter(address, section);
    scenario.protective.push_back(read_protective(section.get("protective")));
    if (parameter && router) fit_router(section, scenario.fleet, *parameter);
    if (parameter && target && target->knob != nullptr) fit_engine(section, *target, *parameter);
    if (parameter && target && target->knob == nullptr) fit_count(section, *target, *parameter);
    parameters.push_back(parameter.value_or(placeholder(address)));
    slots += parameters.back().slots();
  }
  if (slots > kSlotsMax) node.fail(fmt::format("at most {} values in all", kSlotsMax));
  scenario.knobs = Space(std::move(parameters));
}

wire::Object knobs_object(const Scenario& scenario) {
  wire::Object out;
  for (std::size_t i = 0; i < scenario.knobs.size(); ++i) {
    wire::Object knob = parameter_object(scenario.knobs[i]);
    if (!scenario.protective[i].empty()) {
      wire::Object protective;
      for (const auto& [limit, way] : scenario.protective[i]) {
        protective.emplace_back(limit, kProtectiveWays[way < 0 ? 0 : 1]);
      }
      knob.emplace_back("protective", std::move(protective));
    }
    out.emplace_back(scenario.knobs[i].name, std::move(knob));
  }
  return out;
}

}  // namespace arqon::documents::internal
