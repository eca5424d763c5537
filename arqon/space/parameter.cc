#include "arqon/space/parameter.h"

namespace arqon {

std::string_view to_string(Scale scale) {
  switch (scale) {
    case Scale::kLinear: return "Linear";
    case Scale::kLog: return "Log";
    case Scale::kPeriodic: return "Periodic";
  }
  return "Linear";
}

std::string_view to_string(ParamType type) {
  switch (type) {
    case ParamType::kFloat: return "float";
    case ParamType::kInt: return "int";
    case ParamType::kCategorical: return "categorical";
    case ParamType::kBool: return "bool";
    case ParamType::kSimplex: return "simplex";
  }
  return "float";
}

std::string_view to_string(ChangeClass change_class) {
  switch (change_class) {
    case ChangeClass::kLive: return "live";
    case ChangeClass::kReload: return "reload";
    case ChangeClass::kRestart: return "restart";
    case ChangeClass::kRequest: return "request";
    case ChangeClass::kForbidden: return "forbidden";
  }
  return "live";
}

double Parameter::grid_step() const {
  switch (type) {
    case ParamType::kFloat: return step;
    case ParamType::kInt: return step > 0 ? step : 1.0;
    case ParamType::kCategorical:
    case ParamType::kBool: return 1.0;
    case ParamType::kSimplex: return 0.0;
  }
  return 0.0;
}

}  // namespace arqon
