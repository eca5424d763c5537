// Parameters, settings and guardrails as studies and scenarios write them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "arqon/documents/internal/reader.h"
#include "arqon/guard/guardrails.h"
#include "arqon/space/space.h"

namespace arqon::documents::internal {

// One member of "bounds" or "knobs". Nothing when any part of it is wrong.
std::optional<Parameter> read_parameter(const std::string& name, const Section& section);
// Stands for a parameter that could not be read, so that what refers to it can still be checked. A
// document that needs one has an issue and is never used.
Parameter placeholder(const std::string& name);
wire::Object parameter_object(const Parameter& parameter);

// How strict a setting is read: what was asked lies on the grid, what was in force may lie between.
enum class Grid { kOn, kOff };
// An object with one value per parameter of the space: all there, none unknown.
std::optional<Config> read_setting(const Node& node, const Space& space, Grid grid);
wire::Object setting_object(const Space& space, const Config& config);

// The document {"bounds", "max_delta", "max_updates_per_second", "reflex_updates_per_second"},
// lists by position or by name. An absent node gives the defaults.
std::optional<guard::Guardrails> read_guardrails(const Node& node, const Space& space);
// The guardrails that do not speak of single parameters: rates, windows, failures, reach.
void read_paces(const Section& section, guard::Guardrails& out);
wire::Object guardrails_object(const guard::Guardrails& guardrails, const Space& space);

}  // namespace arqon::documents::internal
