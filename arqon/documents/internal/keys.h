// Every key and every name that our documents know, in one place: the readers use these tables, and
// a test holds docs/formats to them.
#pragma once

#include <array>
#include <string_view>

namespace arqon::documents::internal {

using std::string_view;

// -- shared by studies and scenarios
inline constexpr std::array kParameterKeys = std::to_array<string_view>(
    {"min", "max", "scale", "type", "step", "choices", "default", "unit", "class"});
inline constexpr std::array kKnobKeys = std::to_array<string_view>(
    {"min", "max", "scale", "type", "step", "choices", "default", "unit", "class", "protective"});
inline constexpr std::array kGuardrailKeys = std::to_array<string_view>(
    {"bounds", "max_delta", "max_updates_per_second", "reflex_updates_per_second"});

// In the order of the enums they stand for.
inline constexpr std::array kScales = std::to_array<string_view>({"Linear", "Log", "Periodic"});
inline constexpr std::array kTypes =
    std::to_array<string_view>({"float", "int", "categorical", "bool", "simplex"});
inline constexpr std::array kChangeClasses =
    std::to_array<string_view>({"live", "reload", "restart", "request", "forbidden"});
inline constexpr std::array kDirections = std::to_array<string_view>({"maximize", "minimize"});

// -- study
inline constexpr std::array kStudyKeys =
    std::to_array<string_view>({"schema", "seed", "budget", "direction", "objective", "constraints",
                                "bounds", "probe_ratio", "strategy", "guardrails"});
inline constexpr std::array kObjectiveKeys = std::to_array<string_view>({"metric", "direction"});
inline constexpr std::array kConstraintKeys = std::to_array<string_view>({"metric", "min", "max"});
inline constexpr std::array kStrategies = std::to_array<string_view>({"tpe", "random", "sobol"});

// -- results of a study
inline constexpr std::array kTrialKeys =
    std::to_array<string_view>({"params", "applied", "value", "metrics", "context", "status",
                                "cost", "t_s", "generation", "eval_id"});
inline constexpr std::array kMetricKeys =
    std::to_array<string_view>({"value", "n", "over", "lo", "hi"});
inline constexpr std::array kStatuses =
    std::to_array<string_view>({"ok", "failed", "crashed", "refused"});

}  // namespace arqon::documents::internal
