// The router of a fleet and what happens to the fleet's machines.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/scenario_parts.h"

namespace arqon::documents::internal {
namespace {

constexpr std::size_t kWeightsMax = 65536;
constexpr std::size_t kEventsMax = 10000;
constexpr Range kStateAgeMs{.min = 0, .max = 60000};
constexpr Range kScore{.min = -100, .max = 100};

// One weight for each of `count` things.
std::vector<double> read_weights(const Node& node, std::size_t count, std::string_view each) {
  std::vector<double> out;
  if (!node) return out;
  double sum = 0;
  for (const Node& item : node.items(kWeightsMax)) {
    out.push_back(item.number(kNotNegative).value_or(0));
    sum += out.back();
  }
  if (node.value().as_array() == nullptr) return out;
  if (out.size() != count) {
    node.fail(fmt::format("must have one weight per {}: {} of them", each, count));
  } else if (!(sum > 0)) {
    node.fail("must have a weight above 0");
  }
  return out;
}

std::vector<std::string_view> pool_names(const sim::FleetSpec& fleet) {
  std::vector<std::string_view> out;
  for (const sim::PoolSpec& pool : fleet.pools) out.push_back(pool.name);
  return out;
}

std::optional<sim::CascadeSpec> read_cascade(const Node& node, const sim::FleetSpec& fleet) {
  if (!node) return std::nullopt;
  const Section section(node, kCascadeKeys);
  sim::CascadeSpec out;
  const std::vector<std::string_view> pools = pool_names(fleet);
  if (const auto i = section.need("small").one_of(pools)) out.small = pools[*i];
  if (const auto i = section.need("large").one_of(pools)) out.large = pools[*i];
  if (!out.small.empty() && out.small == out.large) {
    section.get("large").fail("must be another pool than small");
  }
  assign(out.threshold, section.get("threshold").number(kScore));
  assign(out.separation, section.get("separation").number(kScore));
  assign(out.hard_share, section.get("hard_share").number(kFraction));
  assign(out.caught, section.get("caught").number(kFraction));
  assign(out.false_alarms, section.get("false_alarms").number(kFraction));
  return out;
}

// "pool" or "pool/N".
void read_place(const Node& node, const sim::FleetSpec& fleet, sim::FleetEvent& out) {
  const auto text = node.text();
  if (!text) return;
  const std::size_t slash = text->find('/');
  const std::string name = text->substr(0, slash);
  const auto pool = std::find_if(fleet.pools.begin(), fleet.pools.end(),
                                 [&](const auto& p) { return p.name == name; });
  if (pool == fleet.pools.end()) {
    node.fail("no pool has this name", hint_for(name, pool_names(fleet)));
    return;
  }
  out.pool = name;
  if (slash == std::string::npos) return;
  const std::string_view number = std::string_view(*text).substr(slash + 1);
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), out.replica);
  const bool whole = error == std::errc{} && end == number.data() + number.size();
  if (!whole || out.replica < 0 || out.replica >= seats_of(*pool)) {
    node.fail(fmt::format("the replica must be 0 to {}", seats_of(*pool) - 1));
  }
}

sim::FleetEvent read_event(const Node& node, const sim::FleetSpec& fleet) {
  const Section section(node, kEventKeys);
  sim::FleetEvent out;
  assign(out.at_s, section.need("at_s").number({.min = 0, .max = 31 * 86400.0}));
  if (const auto i = section.need("event").one_of(kEvents)) {
    out.kind = static_cast<sim::FleetEventKind>(*i);
  }
  read_place(section.need("replica"), fleet, out);
  const Node speed = section.get("speed");
  assign(out.speed, speed.number({.min = 0.05, .max = 1}));
  const bool throttles = out.kind == sim::FleetEventKind::kThrottle;
  if (speed && !throttles) speed.fail_key("goes with the event \"throttle\" only");
  if (!speed && throttles && section.has("event")) section.need("speed");
  return out;
}

}  // namespace

sim::RouterSpec read_router(const Node& node, const sim::FleetSpec& fleet) {
  const Section section(node, kRouterKeys);
  sim::RouterSpec out;
  if (const auto index = section.get("policy").one_of(kPolicies)) out.policy = kPolicies[*index];
  assign(out.state_age_ms, section.get("state_age_ms").number(kStateAgeMs));
  const Node weights = section.get("weights"), pools = section.get("pool_weights");
  out.weights = read_weights(weights, replicas_in_all(fleet), "replica, all pools in order");
  if (weights && out.policy != "weighted") weights.fail_key("goes with policy \"weighted\" only");
  out.pool_weights = read_weights(pools, fleet.pools.size(), "pool");
  const Node depth = section.get("spill_depth");
  assign(out.spill_depth, depth.number({.min = 0, .max = 1e9}));
  if (depth && pools) depth.fail_key("does not go with pool_weights");
  out.cascade = read_cascade(section.get("cascade"), fleet);
  if (out.cascade && (depth || pools)) {
    (pools ? pools : depth).fail_key("does not go with a cascade, which chooses the pool");
  }
  return out;
}

std::vector<sim::FleetEvent> read_events(const Node& node, const sim::FleetSpec& fleet) {
  std::vector<sim::FleetEvent> out;
  if (!node) return out;
  for (const Node& item : node.items(kEventsMax)) {
    out.push_back(read_event(item, fleet));
    if (out.size() > 1 && out.back().at_s < out[out.size() - 2].at_s) {
      item.child("at_s").fail("events must come in the order of time");
    }
  }
  return out;
}

wire::Object router_object(const sim::RouterSpec& router) {
  wire::Object out{{"policy", router.policy},
                   {"state_age_ms", wire::compact_number(router.state_age_ms)}};
  const auto weights = [&](const char* key, const std::vector<double>& values) {
    if (values.empty()) return;
    wire::Array array;
    for (const double w : values) array.push_back(wire::compact_number(w));
    out.emplace_back(key, std::move(array));
  };
  weights("weights", router.weights);
  weights("pool_weights", router.pool_weights);
  if (router.pool_weights.empty() && !router.cascade) {
    out.emplace_back("spill_depth", wire::compact_number(router.spill_depth));
  }
  if (const auto& c = router.cascade) {
    out.emplace_back("cascade",
                     wire::Object{{"small", c->small},
                                  {"large", c->large},
                                  {"threshold", wire::compact_number(c->threshold)},
                                  {"separation", wire::compact_number(c->separation)},
                                  {"hard_share", wire::compact_number(c->hard_share)},
                                  {"caught", wire::compact_number(c->caught)},
                                  {"false_alarms", wire::compact_number(c->false_alarms)}});
  }
  return out;
}

wire::Array events_array(const std::vector<sim::FleetEvent>& events) {
  wire::Array out;
  for (const sim::FleetEvent& event : events) {
    wire::Object object{
        {"at_s", wire::compact_number(event.at_s)},
        {"event", kEvents[static_cast<std::size_t>(event.kind)]},
        {"replica",
         event.replica < 0 ? event.pool : fmt::format("{}/{}", event.pool, event.replica)}};
    if (event.kind == sim::FleetEventKind::kThrottle) {
      object.emplace_back("speed", wire::compact_number(event.speed));
    }
    out.emplace_back(std::move(object));
  }
  return out;
}

}  // namespace arqon::documents::internal
