#include "arqon/space/space.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "arqon/base/assert.h"

namespace arqon {
namespace {

constexpr double kGridTolerance = 1e-9;

bool on_grid(const Parameter& p, double value) {
  const double step = p.grid_step();
  if (step <= 0) return true;
  const double origin = p.type == ParamType::kInt && p.step <= 0 ? 0.0 : p.min;
  const double steps = (value - origin) / step;
  // The top of the range is always reachable, even when it is not a whole step from the bottom.
  return std::abs(steps - std::round(steps)) <= kGridTolerance * std::max(1.0, std::abs(steps)) ||
         value == p.max;
}

double snap_scalar(const Parameter& p, double value) {
  if (p.scale == Scale::kPeriodic) {
    const double range = p.max - p.min;
    value = p.min + (value - p.min) - range * std::floor((value - p.min) / range);
  }
  value = std::clamp(value, p.min, p.max);
  const double step = p.grid_step();
  if (step <= 0) return value;
  const double origin = p.type == ParamType::kInt && p.step <= 0 ? 0.0 : p.min;
  const double low = std::clamp(origin + std::floor((value - origin) / step) * step, p.min, p.max);
  const double high = std::min(low + step, p.max);
  return value - low <= high - value ? low : high;
}

void snap_simplex(std::span<double> weights) {
  double sum = 0;
  for (double& w : weights) sum += w = std::max(0.0, w);
  for (double& w : weights) {
    w = sum > 0 ? w / sum : 1.0 / static_cast<double>(weights.size());
  }
}

double encode_scalar(const Parameter& p, double value) {
  if (p.max <= p.min) return 0.0;
  if (p.scale == Scale::kLog) {
    return (std::log(value) - std::log(p.min)) / (std::log(p.max) - std::log(p.min));
  }
  return (value - p.min) / (p.max - p.min);
}

double decode_scalar(const Parameter& p, double u) {
  if (p.scale == Scale::kLog) {
    return std::exp(std::log(p.min) + u * (std::log(p.max) - std::log(p.min)));
  }
  return p.min + u * (p.max - p.min);
}

bool scalar_ok(const Parameter& p, double value) {
  return std::isfinite(value) && value >= p.min && value <= p.max && on_grid(p, value);
}

bool simplex_ok(std::span<const double> weights) {
  double sum = 0;
  for (const double w : weights) {
    if (!std::isfinite(w) || w < 0 || w > 1) return false;
    sum += w;
  }
  return std::abs(sum - 1) <= 1e-6;
}

}  // namespace

Space::Space(std::vector<Parameter> parameters) : parameters_(std::move(parameters)) {
  offsets_.reserve(parameters_.size() + 1);
  offsets_.push_back(0);
  for (Parameter& p : parameters_) {
    if (p.type == ParamType::kCategorical) {
      ARQON_ASSERT(!p.choices.empty());
      p.min = 0;
      p.max = static_cast<double>(p.choices.size() - 1);
    } else if (p.type == ParamType::kBool || p.type == ParamType::kSimplex) {
      p.min = 0;
      p.max = 1;
    }
    offsets_.push_back(offsets_.back() + p.slots());
  }
}

std::optional<std::size_t> Space::find(std::string_view name) const {
  for (std::size_t i = 0; i < size(); ++i) {
    if (parameters_[i].name == name) return i;
  }
  return std::nullopt;
}

std::optional<std::size_t> Space::first_violation(std::span<const double> config) const {
  if (config.size() != slots()) return 0;
  for (std::size_t i = 0; i < size(); ++i) {
    const Parameter& p = parameters_[i];
    const auto values = config.subspan(offsets_[i], p.slots());
    if (p.type == ParamType::kSimplex ? !simplex_ok(values) : !scalar_ok(p, values[0])) return i;
  }
  return std::nullopt;
}

bool Space::contains(std::span<const double> config) const {
  return config.size() == slots() && !first_violation(config).has_value();
}

Config Space::snap(std::span<const double> config) const {
  ARQON_ASSERT(config.size() == slots());
  Config out(config.begin(), config.end());
  for (std::size_t i = 0; i < size(); ++i) {
    const Parameter& p = parameters_[i];
    const auto values = std::span(out).subspan(offsets_[i], p.slots());
    if (p.type == ParamType::kSimplex) {
      snap_simplex(values);
    } else {
      values[0] = snap_scalar(p, values[0]);
    }
  }
  return out;
}

std::vector<double> Space::encode(std::span<const double> config) const {
  ARQON_ASSERT(config.size() == slots());
  std::vector<double> unit(config.begin(), config.end());
  for (std::size_t i = 0; i < size(); ++i) {
    const Parameter& p = parameters_[i];
    if (p.type != ParamType::kSimplex) unit[offsets_[i]] = encode_scalar(p, config[offsets_[i]]);
  }
  return unit;
}

Config Space::decode(std::span<const double> unit) const {
  ARQON_ASSERT(unit.size() == slots());
  Config out(unit.begin(), unit.end());
  for (std::size_t i = 0; i < size(); ++i) {
    const Parameter& p = parameters_[i];
    if (p.type != ParamType::kSimplex) out[offsets_[i]] = decode_scalar(p, unit[offsets_[i]]);
  }
  return snap(out);
}

Config Space::default_config() const {
  Config out;
  out.reserve(slots());
  for (const Parameter& p : parameters_) {
    if (p.default_value) {
      out.insert(out.end(), p.default_value->begin(), p.default_value->end());
    } else if (p.type == ParamType::kSimplex) {
      out.insert(out.end(), p.slots(), 1.0 / static_cast<double>(p.slots()));
    } else {
      out.push_back(decode_scalar(p, 0.5));
    }
  }
  return snap(out);
}

}  // namespace arqon
