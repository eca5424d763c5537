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
    case ViolationKind::kOwner:
      return fmt::format("{}: may be moved by the {} alone, not by the {}", p.name,
                         to_string(static_cast<Owner>(v.limit)),
                         to_string(static_cast<Owner>(v.value)));
    case ViolationKind::kLane:
      return fmt::format("{}: a {} is not for the reflex lane", p.name,
                         to_string(p.change_class));
    case ViolationKind::kDwell:
      return fmt::format("{}: moved a moment ago; {:.3g} s until it may again, of {:.3g} s", p.name,
                         v.value, v.limit);
    case ViolationKind::kFlips:
      return fmt::format("{}: turns round {} times in the window; at most {}", p.name, v.value,
                         v.limit);
    case ViolationKind::kTravel:
      return fmt::format("{}: travels {} in the window; at most {}", p.name, v.value,
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
    case ViolationKind::kConstraint:
      return fmt::format("constraint {}: the sum is {}; at most {}", violation.param + 1,
                         violation.value, violation.limit);
    case ViolationKind::kCoolDown:
      return fmt::format("experiments failed lately: {:.3g} s until the next, of {:.3g} s",
                         violation.value, violation.limit);
    case ViolationKind::kReach:
      return fmt::format("reaches {}; the limit is {}", violation.value, violation.limit);
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
