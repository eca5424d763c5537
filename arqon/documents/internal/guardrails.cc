#include <fmt/format.h>

#include <algorithm>

#include "arqon/base/assert.h"
#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/parameters.h"

namespace arqon::documents::internal {
namespace {

constexpr std::size_t kEntriesMax = 512;

// One node per parameter, found by position or by name; absent where nothing is said.
std::vector<Node> entries(const Node& node, const Space& space) {
  const Node absent(nullptr, node.path(), node.issues());
  std::vector<Node> out(space.size(), absent);
  if (!node) return out;
  if (node.value().as_array() != nullptr) {
    const std::vector<Node> items = node.items(kEntriesMax);
    if (items.size() != space.size()) {
      node.fail(fmt::format("must have one entry per parameter, in their order: {} of them",
                            space.size()));
      return out;
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!items[i].value().is_null()) out[i] = items[i];
    }
    return out;
  }
  if (node.value().as_object() == nullptr) {
    node.fail("must be an array with one entry per parameter, or an object by name");
    return out;
  }
  std::vector<std::string_view> names;
  for (const Parameter& p : space.parameters()) names.push_back(p.name);
  for (const auto& [key, member] : node.members(kEntriesMax)) {
    if (const auto index = space.find(key)) {
      out[*index] = member;
    } else {
      member.fail_key("no parameter has this name", hint_for(key, names));
    }
  }
  return out;
}

// [low, high] inside the parameter's own range.
bool read_limits(const Node& node, const Parameter& p, guard::Limits& limits) {
  if (!node) return true;
  const std::vector<Node> ends = node.items(kEntriesMax);
  if (node.value().as_array() == nullptr) return false;
  if (ends.size() != 2) {
    node.fail("must be [low, high]");
    return false;
  }
  const auto low = ends[0].number({.min = p.min, .max = p.max});
  const auto high = ends[1].number({.min = p.min, .max = p.max});
  if (!low || !high) return false;
  if (!(*low < *high)) {
    node.fail("low must be below high");
    return false;
  }
  limits.min = *low;
  limits.max = *high;
  return true;
}

// Categories have no distance: any one is a step from any other.
double default_delta(const Parameter& p, const guard::Limits& limits) {
  if (p.type == ParamType::kCategorical) return std::max(1.0, limits.max - limits.min);
  return std::max(0.1 * (limits.max - limits.min), p.grid_step());
}

bool read_delta(const Node& node, const Parameter& p, guard::Limits& limits) {
  if (!node) {
    limits.max_delta = default_delta(p, limits);
    return true;
  }
  const auto delta = node.number(kPositive);
  if (!delta) return false;
  if (*delta < p.grid_step()) {
    node.fail(fmt::format("must be at least one step, {}, or the parameter can never move",
                          wire::shortest(p.grid_step())));
    return false;
  }
  limits.max_delta = *delta;
  return true;
}

}  // namespace

std::optional<guard::Guardrails> read_guardrails(const Node& node, const Space& space) {
  const Section section(node, kGuardrailKeys);
  if (node && !section.is_object()) return std::nullopt;
  const std::vector<Node> bounds = entries(section.get("bounds"), space);
  const std::vector<Node> deltas = entries(section.get("max_delta"), space);
  guard::Guardrails out;
  bool ok = true;
  for (std::size_t i = 0; i < space.size(); ++i) {
    guard::Limits limits{.min = space[i].min, .max = space[i].max};
    ok = read_limits(bounds[i], space[i], limits) && ok;
    ok = read_delta(deltas[i], space[i], limits) && ok;
    out.limits.push_back(limits);
  }
  assign(out.max_updates_per_second, section.get("max_updates_per_second").number(kPositive));
  assign(out.reflex_updates_per_second, section.get("reflex_updates_per_second").number(kPositive));
  return ok ? std::optional(std::move(out)) : std::nullopt;
}

wire::Object guardrails_object(const guard::Guardrails& guardrails, const Space& space) {
  ARQON_ASSERT(guardrails.limits.size() == space.size());
  wire::Object bounds, deltas;
  for (std::size_t i = 0; i < space.size(); ++i) {
    const guard::Limits& limits = guardrails.limits[i];
    bounds.emplace_back(space[i].name, wire::Array{wire::compact_number(limits.min),
                                                   wire::compact_number(limits.max)});
    deltas.emplace_back(space[i].name, wire::compact_number(limits.max_delta));
  }
  return {
      {"bounds", std::move(bounds)},
      {"max_delta", std::move(deltas)},
      {"max_updates_per_second", wire::compact_number(guardrails.max_updates_per_second)},
      {"reflex_updates_per_second", wire::compact_number(guardrails.reflex_updates_per_second)}};
}

}  // namespace arqon::documents::internal
