#include "arqon/documents/study.h"

#include <fmt/format.h>

#include <algorithm>

#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/parameters.h"
#include "arqon/documents/internal/reader.h"

namespace arqon::documents {
namespace {

using internal::assign;
using internal::Issues;
using internal::Node;
using internal::Section;

constexpr std::size_t kSlotsMax = 512;
constexpr std::size_t kConstraintsMax = 64;
// The largest double below 2^63.
constexpr internal::Range kSeed{.min = 0, .max = 9223372036854774784.0};

Space read_bounds(const Node& node) {
  std::vector<Parameter> parameters;
  std::size_t slots = 0;
  for (const auto& [name, member] : node.members(kSlotsMax)) {
    if (name.empty()) member.fail_key("a parameter needs a name");
    const auto parameter =
        internal::read_parameter(name, Section(member, internal::kParameterKeys));
    parameters.push_back(parameter.value_or(internal::placeholder(name)));
    slots += parameters.back().slots();
  }
  if (node && node.value().as_object() != nullptr && node.value().as_object()->empty()) {
    node.fail("must name at least one parameter");
  }
  if (slots > kSlotsMax) node.fail(fmt::format("at most {} values in all", kSlotsMax));
  return Space(std::move(parameters));
}

solver::Objective read_objective(const Node& node) {
  const Section section(node, internal::kObjectiveKeys);
  solver::Objective out;
  assign(out.metric, section.need("metric").text());
  if (const auto index = section.need("direction").one_of(internal::kDirections)) {
    out.minimize = *index == 1;
  }
  return out;
}

std::vector<solver::Constraint> read_constraints(const Node& node) {
  std::vector<solver::Constraint> out;
  for (const Node& item : node.items(kConstraintsMax)) {
    const Section section(item, internal::kConstraintKeys);
    if (!section.is_object()) continue;
    solver::Constraint c;
    assign(c.metric, section.need("metric").text());
    c.min = section.get("min").number();
    c.max = section.get("max").number();
    if (!section.has("min") && !section.has("max")) item.fail("needs min or max, or both");
    if (c.min && c.max && *c.min > *c.max) section.get("max").fail("must not be below min");
    const bool twin = std::any_of(out.begin(), out.end(),
                                  [&](const auto& other) { return other.metric == c.metric; });
    if (twin && !c.metric.empty()) {
      section.get("metric").fail("has a constraint already; give min and max in one");
    }
    out.push_back(std::move(c));
  }
  return out;
}

void read_goal(const Section& root, solver::StudyConfig& config) {
  const Node direction = root.get("direction");
  const Node objective = root.get("objective");
  const Node constraints = root.get("constraints");
  if (const auto index = direction.one_of(internal::kDirections)) {
    config.maximize_value = *index == 0;
  }
  if (objective) config.objective = read_objective(objective);
  config.constraints = read_constraints(constraints);
  if (objective && direction) {
    direction.fail_key("speaks of `value` and cannot stand beside an objective",
                       "put it inside \"objective\"");
  }
  if (constraints && !objective) {
    constraints.fail_key("constraints need an objective: results then carry metrics");
  }
}

StudyDocument read_study(const Node& node) {
  const Section root(node, internal::kStudyKeys);
  StudyDocument out;
  solver::StudyConfig& config = out.config;
  root.get("schema").integer({.min = 1, .max = 1});
  assign(config.seed, root.get("seed").integer(kSeed));
  assign(config.budget, root.get("budget").integer(internal::kCountFromOne));
  read_goal(root, config);
  assign(config.probe_ratio, root.get("probe_ratio").number(internal::kFraction));
  if (const auto index = root.get("strategy").one_of(internal::kStrategies)) {
    config.strategy = internal::kStrategies[*index];
  }
  config.space = read_bounds(root.need("bounds"));
  if (const Node guardrails = root.get("guardrails")) {
    out.guardrails = internal::read_guardrails(guardrails, config.space);
  }
  return out;
}

wire::Object goal_object(const solver::StudyConfig& config) {
  if (!config.objective) {
    return {{"direction", internal::kDirections[config.maximize_value ? 0 : 1]}};
  }
  wire::Array constraints;
  for (const solver::Constraint& c : config.constraints) {
    wire::Object item{{"metric", c.metric}};
    if (c.min) item.emplace_back("min", wire::compact_number(*c.min));
    if (c.max) item.emplace_back("max", wire::compact_number(*c.max));
    constraints.emplace_back(std::move(item));
  }
  const auto direction = internal::kDirections[config.objective->minimize ? 1 : 0];
  return {
      {"objective", wire::Object{{"metric", config.objective->metric}, {"direction", direction}}},
      {"constraints", std::move(constraints)}};
}

}  // namespace

tl::expected<StudyDocument, wire::Diagnostics> parse_study(std::string_view text) {
  return internal::parse_document<StudyDocument>(text, read_study);
}

tl::expected<guard::Guardrails, wire::Diagnostics> parse_guardrails(std::string_view text,
                                                                    const Space& space) {
  return internal::parse_document<guard::Guardrails>(text, [&](const Node& node) {
    return internal::read_guardrails(node, space).value_or(guard::Guardrails{});
  });
}

guard::Guardrails default_guardrails(const Space& space) {
  Issues issues;
  return internal::read_guardrails(Node(nullptr, "", issues), space).value();
}

std::string to_json(const StudyDocument& study) {
  const solver::StudyConfig& config = study.config;
  wire::Object out{{"schema", 1}, {"seed", config.seed}};
  if (config.budget) out.emplace_back("budget", *config.budget);
  for (wire::Member& member : goal_object(config)) out.push_back(std::move(member));
  wire::Object bounds;
  for (const Parameter& p : config.space.parameters()) {
    bounds.emplace_back(p.name, internal::parameter_object(p));
  }
  out.emplace_back("bounds", std::move(bounds));
  out.emplace_back("probe_ratio", wire::compact_number(config.probe_ratio));
  out.emplace_back("strategy", config.strategy);
  if (study.guardrails) {
    out.emplace_back("guardrails", internal::guardrails_object(*study.guardrails, config.space));
  }
  return wire::write_json(wire::Value(std::move(out)), 2);
}

}  // namespace arqon::documents
