// One thing that can be tuned: its domain, its scale, and what a change of it costs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace arqon {

enum class Scale { kLinear, kLog, kPeriodic };
enum class ParamType { kFloat, kInt, kCategorical, kBool, kSimplex };

// How a change reaches the engine. kRequest travels with each request; kForbidden never moves.
enum class ChangeClass { kLive, kReload, kRestart, kRequest, kForbidden };

std::string_view to_string(Scale scale);
std::string_view to_string(ParamType type);
std::string_view to_string(ChangeClass change_class);

// Plain value. Numbers are in the parameter's own unit.
//   kFloat, kInt   one slot in [min, max]
//   kCategorical   one slot holding an index into `choices`
//   kBool          one slot holding 0 or 1
//   kSimplex       `choices.size()` slots >= 0 that sum to 1 (names of the parts in `choices`)
struct Parameter {
  std::string name;  // address, e.g. "main.batch_size"
  ParamType type = ParamType::kFloat;
  Scale scale = Scale::kLinear;
  double min = 0;
  double max = 1;
  double step = 0;  // grid from min; 0 = continuous for kFloat, 1 for kInt
  std::vector<std::string> choices;
  std::optional<std::vector<double>> default_value;  // as many values as slots()
  std::string unit;
  ChangeClass change_class = ChangeClass::kLive;

  std::size_t slots() const { return type == ParamType::kSimplex ? choices.size() : 1; }
  // Distance between neighbouring values; 0 when continuous.
  double grid_step() const;
};

}  // namespace arqon
