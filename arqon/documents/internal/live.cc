// Scenarios of live engines: what can be checked of them without the engine, and the rest once it
// has said what it offers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/parameters.h"
#include "arqon/documents/internal/scenario_parts.h"

namespace arqon::documents {
namespace internal {
namespace {

constexpr std::size_t kSlotsMax = 64;
constexpr std::size_t kAddressMax = 128;
constexpr std::size_t kEngineNameMax = 64;
// As long as the system allows the path of a socket to be.
constexpr std::size_t kSocketPathMax = 107;

bool engine_name(std::string_view name) {
  if (name.empty() || name.size() > kEngineNameMax || name[0] < 'a' || name[0] > 'z') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// "pool.knob" or "pool/N.knob"; which pools and knobs there are, only the engine knows.
bool plain_address(std::string_view address) {
  const std::size_t dot = address.find('.');
  if (address.size() > kAddressMax || dot == std::string_view::npos) return false;
  const std::string_view scope = address.substr(0, dot);
  const std::size_t slash = scope.find('/');
  if (!plain_name(scope.substr(0, slash), /*dots=*/false)) return false;
  if (slash != std::string_view::npos) {
    const std::string_view replica = scope.substr(slash + 1);
    const bool digits =
        std::all_of(replica.begin(), replica.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (replica.empty() || replica.size() > 5 || !digits) return false;
  }
  return plain_name(address.substr(dot + 1), /*dots=*/false);
}

bool whole_domain(const Section& section) {
  const wire::Value* type = section.node().value().find("type");
  const std::string* word = type == nullptr ? nullptr : type->as_string();
  if (word != nullptr && *word == "bool") return true;
  if (word != nullptr && (*word == "categorical" || *word == "simplex")) {
    return section.has("choices");
  }
  // A float unless it says otherwise, as everywhere; but a live engine knows better.
  return word != nullptr && section.has("min") && section.has("max");
}

// What can be said of a domain in part.
void check_part(const Section& section) {
  section.get("type").one_of(kTypes);
  section.get("scale").one_of(kScales, /*any_case=*/true);
  section.get("class").one_of(kChangeClasses);
  section.get("unit").text();
  const auto low = section.get("min").number();
  const auto high = section.get("max").number();
  if (low && high && !(*low < *high)) {
    section.get("max").fail(fmt::format("must be above min, which is {}", wire::shortest(*low)));
  }
  section.get("step").number(kPositive);
  for (const Node& choice : section.get("choices").items(kSlotsMax)) choice.text();
  if (const Node value = section.get("default")) {
    if (value.value().is_null() || value.value().as_array() != nullptr) {
      value.fail("must be a value of the knob");
    }
  }
}

// Guardrails without knobs to hold them against: by address, numbers in their order.
void check_guardrails(const Node& node) {
  const Section section(node, kGuardrailKeys);
  for (const auto& [address, ends] : section.get("bounds").members(kSlotsMax)) {
    const std::vector<Node> both = ends.items(2);
    if (ends.value().as_array() == nullptr) continue;
    if (both.size() != 2) {
      ends.fail("must be [low, high]");
      continue;
    }
    const auto low = both[0].number();
    const auto high = both[1].number();
    if (low && high && !(*low < *high)) ends.fail("low must be below high");
  }
  for (const auto& [address, delta] : section.get("max_delta").members(kSlotsMax)) {
    delta.number(kPositive);
  }
  for (const std::string_view key : kPerKnobNumbers) {
    for (const auto& [address, value] : section.get(key).members(kSlotsMax)) {
      value.number(kNotNegative);
    }
  }
  for (const auto& [address, way] : section.get("jump").members(kSlotsMax)) way.one_of(kJumps);
  for (const auto& [address, owner] : section.get("owner").members(kSlotsMax)) {
    owner.one_of(kOwners);
  }
  for (const Node& constraint : section.get("constraints").items(kSlotsMax)) constraint.text();
  section.get("preset").one_of(kPresets);
  guard::Guardrails paces;
  read_paces(section, paces);
}

wire::Value as_written(const Node& node) { return node ? node.value() : wire::Value(); }

std::string names_hint(const std::string& name, const std::vector<Parameter>& engine) {
  std::vector<std::string_view> names;
  for (const Parameter& p : engine) names.push_back(p.name);
  return hint_for(name, names);
}

// The engine's own domain, with what the document says in its place.
wire::Value merged(const Parameter& engine, const wire::Value& written) {
  wire::Object out;
  for (wire::Member& member : parameter_object(engine)) {
    if (member.first != "default" && written.find(member.first) == nullptr) {
      out.push_back(std::move(member));
    }
  }
  if (const wire::Object* members = written.as_object()) {
    out.insert(out.end(), members->begin(), members->end());
  }
  wire::Value value(std::move(out));
  value.line = written.line;
  value.column = written.column;
  value.key_line = written.key_line;
  value.key_column = written.key_column;
  return value;
}

bool on_grid(double distance, double step) {
  const double steps = distance / step;
  return std::abs(steps - std::round(steps)) < 1e-6;
}

// A document may narrow what the engine offers, never widen it.
void check_inside(const Section& section, const Parameter& engine, const Parameter& p) {
  if (p.type != engine.type) {
    section.get("type").fail(fmt::format("the engine's is \"{}\"", to_string(engine.type)));
    return;
  }
  if (p.choices != engine.choices) {
    section.get("choices").fail(
        fmt::format("the engine's are {}", fmt::join(engine.choices, ", ")));
  }
  if (p.change_class != engine.change_class && p.change_class != ChangeClass::kForbidden) {
    section.get("class").fail(
        fmt::format("the engine's is \"{}\"; only \"forbidden\" may be asked "
                    "for instead",
                    to_string(engine.change_class)));
  }
  if (p.type != ParamType::kInt && p.type != ParamType::kFloat) return;
  if (p.min < engine.min) {
    section.get("min").fail(
        fmt::format("the engine allows {} or more", wire::shortest(engine.min)));
  }
  if (p.max > engine.max) {
    section.get("max").fail(
        fmt::format("the engine allows {} or less as it was started", wire::shortest(engine.max)));
  }
  const double step = engine.grid_step();
  if (step > 0 && p.step > 0 && !on_grid(p.step, step)) {
    section.get("step").fail(
        fmt::format("must be a multiple of the engine's, {}", wire::shortest(step)));
  }
  if (step > 0 && !on_grid(p.min - engine.min, step)) {
    section.get("min").fail(fmt::format("the engine counts in steps of {} from {}",
                                        wire::shortest(step), wire::shortest(engine.min)));
  }
}

std::optional<Parameter> fit_knob(const std::string& name, const Node& written,
                                  const std::vector<Parameter>& engine) {
  const auto known = std::find_if(engine.begin(), engine.end(),
                                  [&](const Parameter& p) { return p.name == name; });
  if (known == engine.end()) {
    written.fail_key("the engine has no such knob", names_hint(name, engine));
    return std::nullopt;
  }
  const wire::Value whole = merged(*known, written.value());
  const Section section(Node(&whole, written.path(), written.issues()), kKnobKeys);
  auto p = read_parameter(name, section);
  if (!p) return std::nullopt;
  check_inside(section, *known, *p);
  p->default_value.reset();  // what the engine runs with counts
  return p;
}

}  // namespace

void read_target(const Section& root, Scenario& scenario) {
  const Node target = root.get("target");
  const wire::Value* engine = target ? target.value().find("engine") : nullptr;
  const std::string* name = engine == nullptr ? nullptr : engine->as_string();
  if (name != nullptr && *name != "simulated") {
    if (!engine_name(*name)) {
      target.child("engine").fail("must be \"simulated\" or the name of an engine, lower case");
    }
    scenario.target_engine = *name;
    scenario.target = target.value();
  } else {
    const Section section(target, kTargetKeys);
    section.get("engine").one_of(kTargetEngines);
  }
  const Section agent(root.get("agent"), kAgentKeys);
  if (agent.is_object() && !scenario.live()) {
    agent.node().fail_key("only a live engine has an agent");
  }
  const Node socket = agent.get("socket");
  assign(scenario.agent.socket, socket.text());
  if (scenario.agent.socket.size() > kSocketPathMax) {
    socket.fail(fmt::format("the path of a socket has at most {} bytes", kSocketPathMax));
  }
  assign(scenario.agent.spawn, agent.get("spawn").boolean());
}

void read_live_knobs(const Section& root, Scenario& scenario) {
  const Node knobs = root.get("knobs");
  const Node guardrails = root.get("guardrails");
  std::vector<Parameter> parameters;
  std::vector<Protective> protective;
  bool whole = true;
  std::size_t slots = 0;
  for (const auto& [address, member] : knobs.members(kSlotsMax)) {
    if (!plain_address(address)) {
      member.fail_key("an address is \"pool.knob\" or \"pool/N.knob\"");
    }
    const Section section(member, kKnobKeys);
    protective.push_back(read_protective(section.get("protective")));
    std::optional<Parameter> p;
    if (section.is_object() && whole_domain(section)) {
      p = read_parameter(address, section);
    } else {
      whole = false;
      check_part(section);
    }
    parameters.push_back(p.value_or(placeholder(address)));
    slots += parameters.back().slots();
  }
  if (slots > kSlotsMax) knobs.fail(fmt::format("at most {} values in all", kSlotsMax));
  scenario.live_knobs = as_written(knobs);
  scenario.live_guardrails = as_written(guardrails);
  if (parameters.empty()) {
    check_guardrails(guardrails);
    return;
  }
  const Space space(std::move(parameters));
  auto rails = read_guardrails(guardrails, space);
  if (!whole || !rails) return;
  scenario.knobs = space;
  scenario.protective = std::move(protective);
  scenario.guardrails = std::move(*rails);
}

}  // namespace internal

tl::expected<Scenario, wire::Diagnostics> fit(const Scenario& scenario,
                                              const std::vector<Parameter>& engine) {
  using internal::Node;
  internal::Issues issues;
  Scenario out = scenario;
  std::vector<Parameter> parameters;
  out.protective.clear();
  const Node knobs(scenario.live_knobs.is_null() ? nullptr : &scenario.live_knobs, "knobs", issues);
  for (const auto& [address, member] : knobs.members(internal::kSlotsMax)) {
    if (auto p = internal::fit_knob(address, member, engine)) parameters.push_back(std::move(*p));
    out.protective.push_back(internal::read_protective(member.child("protective")));
  }
  if (!issues.empty()) return tl::unexpected(issues.take());
  if (parameters.empty()) {
    parameters = engine;
    out.protective.resize(engine.size());
  }
  out.knobs = Space(std::move(parameters));
  const Node guardrails(scenario.live_guardrails.is_null() ? nullptr : &scenario.live_guardrails,
                        "guardrails", issues);
  internal::assign(out.guardrails, internal::read_guardrails(guardrails, out.knobs));
  if (!issues.empty()) return tl::unexpected(issues.take());
  return out;
}

}  // namespace arqon::documents
