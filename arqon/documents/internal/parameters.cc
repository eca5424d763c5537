#include "arqon/documents/internal/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "arqon/base/assert.h"
#include "arqon/documents/internal/keys.h"

namespace arqon::documents::internal {
namespace {

constexpr std::size_t kChoicesMax = 64;
// A finer grid than this cannot be told from its own rounding.
constexpr double kStepsMax = 1e12;

bool is_number_type(ParamType type) { return type == ParamType::kFloat || type == ParamType::kInt; }

bool read_choices(const Section& section, Parameter& p) {
  const Node list = section.need("choices");
  if (!list) return false;
  const std::vector<Node> items = list.items(kChoicesMax);
  if (items.size() < 2) {
    const wire::Array* array = list.value().as_array();
    if (array != nullptr && array->size() < 2) list.fail("must list two names or more");
    return false;
  }
  bool ok = true;
  for (const Node& item : items) {
    const auto name = item.text();
    if (!name) {
      ok = false;
    } else if (std::find(p.choices.begin(), p.choices.end(), *name) != p.choices.end()) {
      item.fail("the name appears twice");
      ok = false;
    } else {
      p.choices.push_back(*name);
    }
  }
  return ok;
}

bool read_ends(const Section& section, Parameter& p) {
  const bool whole = p.type == ParamType::kInt;
  const auto end = [&](const char* key) -> std::optional<double> {
    const Node node = section.need(key);
    if (!whole) return node.number();
    const auto integer = node.integer({.min = -kIntegerMax, .max = kIntegerMax});
    return integer ? std::optional(static_cast<double>(*integer)) : std::nullopt;
  };
  const auto low = end("min");
  const auto high = end("max");
  if (!low || !high) return false;
  p.min = *low;
  p.max = *high;
  bool ok = true;
  if (!(p.min < p.max)) {
    section.get("max").fail(fmt::format("must be above min, which is {}", wire::shortest(p.min)));
    ok = false;
  } else if (!std::isfinite(p.max - p.min)) {
    section.get("max").fail("the range is wider than a double can hold");
    ok = false;
  }
  if (p.scale == Scale::kLog && p.min <= 0) {
    section.get("min").fail("must be above 0 on a Log scale");
    ok = false;
  }
  return ok;
}

bool read_step(const Section& section, Parameter& p) {
  const Node node = section.get("step");
  if (!node) return true;
  if (p.type == ParamType::kInt) {
    const auto step = node.integer(kCountFromOne);
    if (!step) return false;
    p.step = static_cast<double>(*step);
  } else {
    const auto step = node.number(kPositive);
    if (!step) return false;
    p.step = *step;
  }
  if (p.step > p.max - p.min) {
    node.fail("must not be larger than max - min");
    return false;
  }
  if ((p.max - p.min) / p.step > kStepsMax) {
    node.fail("is too fine: at most 1e12 steps from min to max");
    return false;
  }
  return true;
}

bool refuse_keys(const Section& section, std::initializer_list<const char*> keys, ParamType type) {
  bool ok = true;
  for (const char* key : keys) {
    if (!section.has(key)) continue;
    section.get(key).fail_key(fmt::format("does not go with type \"{}\"", to_string(type)));
    ok = false;
  }
  return ok;
}

bool read_domain(const Section& section, Parameter& p) {
  if (is_number_type(p.type)) {
    const bool keys_ok = refuse_keys(section, {"choices"}, p.type);
    return read_ends(section, p) && read_step(section, p) && keys_ok;
  }
  const bool keys_ok = refuse_keys(section, {"min", "max", "step", "scale"}, p.type);
  if (p.type == ParamType::kBool) return refuse_keys(section, {"choices"}, p.type) && keys_ok;
  return read_choices(section, p) && keys_ok;
}

std::optional<double> read_flag(const Node& node) {
  if (node.value().as_bool() != nullptr) return *node.value().as_bool() ? 1.0 : 0.0;
  if (node.value().is_number() && (node.value().number() == 0 || node.value().number() == 1)) {
    return node.value().number();
  }
  return node.fail("must be true or false");
}

std::optional<std::vector<double>> read_weights(const Node& node, const Parameter& p) {
  const std::vector<std::string_view> parts(p.choices.begin(), p.choices.end());
  const Section section(node, parts);
  if (!section.is_object()) return std::nullopt;
  std::vector<double> weights;
  double sum = 0;
  for (const std::string_view part : parts) {
    const auto weight = section.need(part).number(kFraction);
    if (!weight) continue;
    weights.push_back(*weight);
    sum += *weight;
  }
  if (weights.size() != parts.size()) return std::nullopt;
  if (std::abs(sum - 1) > 1e-6) {
    return node.fail(fmt::format("weights must sum to 1, these sum to {:.6g}", sum));
  }
  return weights;
}

std::optional<double> read_scalar(const Node& node, const Parameter& p, Grid grid) {
  if (p.type == ParamType::kBool) return read_flag(node);
  if (p.type == ParamType::kCategorical) {
    const std::vector<std::string_view> names(p.choices.begin(), p.choices.end());
    const auto index = node.one_of(names);
    return index ? std::optional(static_cast<double>(*index)) : std::nullopt;
  }
  const auto x = node.number({.min = p.min, .max = p.max});
  if (!x || grid == Grid::kOff) return x;
  const Space alone({p});
  if (alone.contains(std::span(&*x, 1))) return x;
  const double near = alone.snap(std::span(&*x, 1))[0];
  return node.fail(p.type == ParamType::kInt && p.grid_step() == 1
                       ? "must be a whole number"
                       : fmt::format("must be a whole number of steps of {} from {}",
                                     wire::shortest(p.grid_step()), wire::shortest(p.min)),
                   fmt::format("the nearest is {}", wire::shortest(near)));
}

// The value or values of one parameter.
std::optional<std::vector<double>> read_values(const Node& node, const Parameter& p, Grid grid) {
  if (!node) return std::nullopt;
  if (p.type == ParamType::kSimplex) return read_weights(node, p);
  const auto x = read_scalar(node, p, grid);
  return x ? std::optional(std::vector<double>{*x}) : std::nullopt;
}

wire::Value value_of(const Parameter& p, std::span<const double> values) {
  switch (p.type) {
    case ParamType::kFloat:
      return values[0];
    case ParamType::kInt:
      return wire::compact_number(values[0]);
    case ParamType::kBool:
      return values[0] != 0;
    case ParamType::kCategorical: {
      const auto index = static_cast<std::size_t>(std::lround(values[0]));
      ARQON_ASSERT(index < p.choices.size());
      return p.choices[index];
    }
    case ParamType::kSimplex:
      break;
  }
  wire::Object parts;
  for (std::size_t i = 0; i < p.choices.size(); ++i) parts.emplace_back(p.choices[i], values[i]);
  return parts;
}

}  // namespace

std::optional<Parameter> read_parameter(const std::string& name, const Section& section) {
  if (!section.is_object()) return std::nullopt;
  Parameter p{.name = name};
  bool ok = true;
  if (const Node type = section.get("type")) {
    const auto index = type.one_of(kTypes);
    if (!index) return std::nullopt;  // what the other keys mean depends on it
    p.type = static_cast<ParamType>(*index);
  }
  if (const Node scale = section.get("scale"); scale && is_number_type(p.type)) {
    const auto index = scale.one_of(kScales, /*any_case=*/true);
    ok = index.has_value();
    if (index) p.scale = static_cast<Scale>(*index);
  }
  const bool domain_ok = read_domain(section, p);
  ok = ok && domain_ok;
  if (const Node unit = section.get("unit")) {
    const auto text = unit.text();
    ok = ok && text.has_value();
    p.unit = text.value_or("");
  }
  if (const Node change_class = section.get("class")) {
    const auto index = change_class.one_of(kChangeClasses);
    ok = ok && index.has_value();
    if (index) p.change_class = static_cast<ChangeClass>(*index);
  }
  // A default can only be judged against a domain that makes sense.
  if (const Node node = section.get("default"); node && domain_ok) {
    p.default_value = read_values(node, p, Grid::kOn);
    ok = ok && p.default_value.has_value();
  }
  return ok ? std::optional(std::move(p)) : std::nullopt;
}

Parameter placeholder(const std::string& name) {
  constexpr double kWide = 1e300;
  return {.name = name, .min = -kWide, .max = kWide};
}

wire::Object parameter_object(const Parameter& p) {
  wire::Object out;
  if (is_number_type(p.type)) {
    out.emplace_back("min", wire::compact_number(p.min));
    out.emplace_back("max", wire::compact_number(p.max));
    out.emplace_back("scale", to_string(p.scale));
  }
  out.emplace_back("type", to_string(p.type));
  if (is_number_type(p.type) && p.step > 0) out.emplace_back("step", wire::compact_number(p.step));
  if (!p.choices.empty()) {
    out.emplace_back("choices", wire::Array(p.choices.begin(), p.choices.end()));
  }
  if (p.default_value) out.emplace_back("default", value_of(p, *p.default_value));
  if (!p.unit.empty()) out.emplace_back("unit", p.unit);
  out.emplace_back("class", to_string(p.change_class));
  return out;
}

std::optional<Config> read_setting(const Node& node, const Space& space, Grid grid) {
  if (!node) return std::nullopt;
  std::vector<std::string_view> names;
  for (const Parameter& p : space.parameters()) names.push_back(p.name);
  const Section section(node, names);
  if (!section.is_object()) return std::nullopt;
  Config config;
  bool ok = true;
  for (const Parameter& p : space.parameters()) {
    const auto values = read_values(section.need(p.name), p, grid);
    ok = ok && values.has_value();
    if (values) config.insert(config.end(), values->begin(), values->end());
  }
  return ok ? std::optional(std::move(config)) : std::nullopt;
}

wire::Object setting_object(const Space& space, const Config& config) {
  ARQON_ASSERT(config.size() == space.slots());
  wire::Object out;
  for (std::size_t i = 0; i < space.size(); ++i) {
    const auto values = std::span(config).subspan(space.offset(i), space[i].slots());
    out.emplace_back(space[i].name, value_of(space[i], values));
  }
  return out;
}

}  // namespace arqon::documents::internal
