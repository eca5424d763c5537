#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/parameters.h"
#include "arqon/guard/presets.h"

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

// What may be left out, each with its own key: from 0, where 0 is no limit.
bool read_pace(const Section& section, const Space& space, guard::Guardrails& out) {
  bool ok = true;
  const auto read = [&](const char* key, const Range& range, const auto& put) {
    const std::vector<Node> nodes = entries(section.get(key), space);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (!nodes[i]) continue;
      const auto value = nodes[i].number(range);
      ok = ok && value;
      if (value) put(out.limits[i], *value);
    }
  };
  read("max_ratio", {.min = 1, .above_min = true},
       [](guard::Limits& l, double v) { l.max_ratio = v; });
  read("max_rise", kPositive, [](guard::Limits& l, double v) { l.max_rise = v; });
  read("travel", kNotNegative, [](guard::Limits& l, double v) { l.travel = v; });
  read("flips", {.min = 0, .max = 1000},
       [](guard::Limits& l, double v) { l.flips = static_cast<std::uint32_t>(v); });
  read("dwell_s", {.min = 0, .max = 1e6}, [](guard::Limits& l, double v) { l.dwell_s = v; });
  return ok;
}

void read_words(const Section& section, const Space& space, guard::Guardrails& out) {
  const std::vector<Node> jumps = entries(section.get("jump"), space);
  const std::vector<Node> owners = entries(section.get("owner"), space);
  for (std::size_t i = 0; i < space.size(); ++i) {
    if (const auto way = jumps[i].one_of(kJumps)) out.limits[i].protective = *way == 0 ? 1 : -1;
    if (const auto owner = owners[i].one_of(kOwners)) {
      out.limits[i].owner = static_cast<guard::Owner>(*owner);
    }
  }
}

// "2 main.a + main.b * main.c <= 100": words with blanks between them.
class ConstraintReader {
 public:
  ConstraintReader(const Node& node, const Space& space) : node_(node), space_(space) {}

  std::optional<guard::Constraint> read() {
    const auto text = node_.text();
    if (!text) return std::nullopt;
    guard::Constraint out;
    out.text = *text;
    split(*text);
    if (!side(out, 1)) return std::nullopt;
    const std::string_view relation = next();
    if (relation != "<=" && relation != ">=") {
      return node_.fail("needs one <= or >= between two sums",
                        "as in \"main.batch_size + 64 <= main.prefill_token_budget\"");
    }
    if (!side(out, -1)) return std::nullopt;
    if (at_ != words_.size()) return node_.fail(fmt::format("what is \"{}\"?", words_[at_]));
    if (out.terms.empty()) return node_.fail("names no parameter");
    if (out.terms.size() > kTermsMax) return node_.fail(fmt::format("at most {} terms", kTermsMax));
    if (relation == ">=") {
      out.limit = -out.limit;
      for (guard::Constraint::Term& term : out.terms) term.weight = -term.weight;
    }
    return out;
  }

 private:
  static constexpr std::size_t kTermsMax = 8;
  static constexpr std::size_t kWordsMax = 64;

  void split(std::string_view text) {
    while (words_.size() < kWordsMax) {
      const std::size_t from = text.find_first_not_of(' ');
      if (from == std::string_view::npos) return;
      const std::size_t to = std::min(text.find(' ', from), text.size());
      words_.emplace_back(text.substr(from, to - from));
      text.remove_prefix(to);
    }
  }
  std::string_view peek() const { return at_ < words_.size() ? words_[at_] : std::string_view(); }
  std::string_view next() { return at_ < words_.size() ? words_[at_++] : std::string_view(); }
  bool take(std::string_view word) {
    if (peek() != word) return false;
    ++at_;
    return true;
  }

  // A sum; numbers without a parameter go to the limit.
  bool side(guard::Constraint& out, double sign) {
    double term_sign = take("-") ? -sign : sign;
    while (term(out, term_sign)) {
      if (take("+")) {
        term_sign = sign;
      } else if (take("-")) {
        term_sign = -sign;
      } else {
        return true;
      }
    }
    return false;
  }

  bool term(guard::Constraint& out, double sign) {
    guard::Constraint::Term term{.weight = sign};
    const std::optional<double> weight = number(peek());
    if (weight) {
      ++at_;
      take("*");
      term.weight = sign * *weight;
    }
    const auto slot = knob();
    if (!slot) {
      if (weight) {
        out.limit -= term.weight;
        return true;
      }
      node_.fail(fmt::format("\"{}\" is no parameter and no number", peek()), hint());
      return false;
    }
    term.slot = *slot;
    if (take("*")) {
      const auto times = knob();
      if (!times) {
        node_.fail(fmt::format("\"{}\" is no parameter", peek()), hint());
        return false;
      }
      term.times = *times;
    }
    out.terms.push_back(term);
    return true;
  }

  static std::optional<double> number(std::string_view word) {
    double out = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
    if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(out)) {
      return std::nullopt;
    }
    return out;
  }

  // A parameter of one slot.
  std::optional<std::uint16_t> knob() {
    const auto index = space_.find(peek());
    if (!index || space_[*index].type == ParamType::kSimplex) return std::nullopt;
    ++at_;
    return static_cast<std::uint16_t>(space_.offset(*index));
  }
  std::string hint() const {
    std::vector<std::string_view> names;
    for (const Parameter& p : space_.parameters()) names.push_back(p.name);
    return hint_for(peek(), names);
  }

  const Node& node_;
  const Space& space_;
  std::vector<std::string> words_;
  std::size_t at_ = 0;
};

bool read_known(const Node& node, const Space& space, guard::Guardrails& out) {
  constexpr std::size_t kConstraintsMax = 16;
  bool ok = true;
  for (const Node& item : node.items(kConstraintsMax)) {
    auto constraint = ConstraintReader(item, space).read();
    ok = ok && constraint;
    if (constraint) out.constraints.push_back(std::move(*constraint));
  }
  return ok;
}

// The preset's limits inside the bounds that the document gives.
void take_preset(const guard::Guardrails& preset, std::size_t i, guard::Limits& limits) {
  const double low = limits.min, high = limits.max;
  limits = preset.limits[i];
  limits.min = low;
  limits.max = high;
}

// Numbers per parameter, left out where all are what they are by default.
template <typename Value>
void put_per_knob(wire::Object& out, const char* key, const guard::Guardrails& guardrails,
                  const Space& space, const Value& value) {
  wire::Object numbers;
  for (std::size_t i = 0; i < space.size(); ++i) {
    if (auto v = value(guardrails.limits[i])) numbers.emplace_back(space[i].name, std::move(*v));
  }
  if (!numbers.empty()) out.emplace_back(key, std::move(numbers));
}

std::optional<wire::Value> unless_zero(double value) {
  return value == 0 ? std::nullopt : std::optional(wire::compact_number(value));
}

void put_pace(wire::Object& out, const guard::Guardrails& g, const Space& space) {
  using guard::Limits;
  put_per_knob(out, "max_ratio", g, space,
               [](const Limits& l) { return unless_zero(l.max_ratio); });
  put_per_knob(out, "max_rise", g, space, [](const Limits& l) { return unless_zero(l.max_rise); });
  put_per_knob(out, "travel", g, space, [](const Limits& l) { return unless_zero(l.travel); });
  put_per_knob(out, "flips", g, space, [](const Limits& l) { return unless_zero(l.flips); });
  put_per_knob(out, "dwell_s", g, space, [](const Limits& l) { return unless_zero(l.dwell_s); });
  put_per_knob(out, "jump", g, space, [](const Limits& l) -> std::optional<wire::Value> {
    if (l.protective == 0) return std::nullopt;
    return wire::Value(std::string(kJumps[l.protective > 0 ? 0 : 1]));
  });
  put_per_knob(out, "owner", g, space, [](const Limits& l) -> std::optional<wire::Value> {
    if (l.owner == guard::Owner::kAnyone) return std::nullopt;
    return wire::Value(std::string(guard::to_string(l.owner)));
  });
  const guard::Guardrails plain;
  if (g.window_s != plain.window_s) out.emplace_back("window_s", wire::compact_number(g.window_s));
  if (g.cool_down_s != 0) out.emplace_back("cool_down_s", wire::compact_number(g.cool_down_s));
  if (g.failures_per_hour != 0) {
    out.emplace_back("failures_per_hour", std::int64_t{g.failures_per_hour});
  }
  if (g.blast.share != 0) out.emplace_back("unproven_share", wire::compact_number(g.blast.share));
  if (g.blast.domains != 0) out.emplace_back("unproven_domains", std::int64_t{g.blast.domains});
  if (g.blast.spare != 0) out.emplace_back("spare_replicas", std::int64_t{g.blast.spare});
  wire::Array constraints;
  for (const guard::Constraint& c : g.constraints) constraints.emplace_back(c.text);
  if (!constraints.empty()) out.emplace_back("constraints", std::move(constraints));
}

}  // namespace

void read_paces(const Section& section, guard::Guardrails& out) {
  constexpr Range kSeconds{.min = 0, .max = 1e6};
  assign(out.max_updates_per_second, section.get("max_updates_per_second").number(kPositive));
  assign(out.reflex_updates_per_second, section.get("reflex_updates_per_second").number(kPositive));
  assign(out.window_s, section.get("window_s").number({.min = 1e-3, .max = 1e6}));
  assign(out.cool_down_s, section.get("cool_down_s").number(kSeconds));
  assign(out.failures_per_hour, section.get("failures_per_hour").integer({.min = 0, .max = 64}));
  assign(out.blast.share, section.get("unproven_share").number(kFraction));
  assign(out.blast.domains, section.get("unproven_domains").integer({.min = 0, .max = 1e6}));
  assign(out.blast.spare, section.get("spare_replicas").integer({.min = 0, .max = 1e6}));
}

std::optional<guard::Guardrails> read_guardrails(const Node& node, const Space& space) {
  const Section section(node, kGuardrailKeys);
  if (node && !section.is_object()) return std::nullopt;
  const std::vector<Node> bounds = entries(section.get("bounds"), space);
  const std::vector<Node> deltas = entries(section.get("max_delta"), space);
  std::optional<guard::Guardrails> preset;
  if (const auto name = section.get("preset").one_of(kPresets)) {
    preset = guard::make_preset(static_cast<guard::Preset>(*name), space);
  }
  guard::Guardrails out = preset.value_or(guard::Guardrails{});
  out.limits.clear();
  bool ok = true;
  for (std::size_t i = 0; i < space.size(); ++i) {
    guard::Limits limits{.min = space[i].min, .max = space[i].max};
    ok = read_limits(bounds[i], space[i], limits) && ok;
    if (preset) take_preset(*preset, i, limits);
    if (!preset || deltas[i]) ok = read_delta(deltas[i], space[i], limits) && ok;
    if (deltas[i]) limits.max_rise = 0;  // the preset's rise belonged to its own max_delta
    out.limits.push_back(limits);
  }
  ok = read_pace(section, space, out) && ok;
  read_words(section, space, out);
  ok = read_known(section.get("constraints"), space, out) && ok;
  read_paces(section, out);
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
  wire::Object out{
      {"bounds", std::move(bounds)},
      {"max_delta", std::move(deltas)},
      {"max_updates_per_second", wire::compact_number(guardrails.max_updates_per_second)},
      {"reflex_updates_per_second", wire::compact_number(guardrails.reflex_updates_per_second)}};
  put_pace(out, guardrails, space);
  return out;
}

}  // namespace arqon::documents::internal
