#include "arqon/guard/violation_text.h"

#include <fmt/format.h>

#include <string_view>

namespace arqon::guard {
namespace {

std::string with_unit(double value, const Parameter& p) {
  return p.unit.empty() ? fmt::format("{}", value) : fmt::format("{} {}", value, p.unit);
}

std::string about_knob(const Violation& v, const Parameter& p) {
  switch (v.kind) {
    case ViolationKind::kNotFinite:
      return fmt::format("{}: {} is not a number that may be sent", p.name, v.value);
    case ViolationKind::kOutOfBounds:
      return fmt::format("{}: {} is {} the limit {}", p.name, with_unit(v.value, p),
                         v.value < v.limit ? "below" : "above", with_unit(v.limit, p));
    case ViolationKind::kOffGrid:
      return fmt::format("{}: {} is not a whole step of {}", p.name, v.value, v.limit);
    case ViolationKind::kNotSimplex:
      return fmt::format("{}: the weights sum to {}, not to 1", p.name, v.value);
    case ViolationKind::kMaxDelta:
      if (p.type == ParamType::kSimplex) {
        return fmt::format("{}: moves {} of the total weight at once; at most {}", p.name, v.value,
                           v.limit);
      }
      return fmt::format("{}: {} is further than {} from the value in force", p.name, v.value,
                         with_unit(v.limit, p));
    case ViolationKind::kForbidden:
      return fmt::format("{}: may not be changed from {} to {}", p.name, v.limit, v.value);
    default:
      return {};
  }
}

}  // namespace

std::string describe(const Violation& violation, const Space& space) {
  switch (violation.kind) {
    case ViolationKind::kNone:
      return {};
    case ViolationKind::kWrongLength:
      return fmt::format("{} values for {} slots", violation.value, violation.limit);
    case ViolationKind::kRate:
      return fmt::format("too soon: {:.3g} s until the next change, one per {:.3g} s",
                         violation.value, violation.limit);
    case ViolationKind::kNoBaseline:
      return "no baseline has been set";
    case ViolationKind::kUnprovenPending:
      return "an unproven change is still in force";
    case ViolationKind::kSafeMode:
      return "safe mode: only reverts pass";
    case ViolationKind::kFrozen:
      return "frozen: only reverts pass";
    default:
      break;
  }
  if (violation.param >= space.size()) return std::string(to_string(violation.kind));
  return about_knob(violation, space[violation.param]);
}

}  // namespace arqon::guard
